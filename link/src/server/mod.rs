//! The box's end of the line: greets, keeps the line alive, moves objects, and asks a [`Desk`] for everything else.

mod desk;

use std::io;
use std::time::Duration;

use nephrobox_shared::link::message::{
    Code, Hash, Hello, MAGIC, Mismatch, PROTOCOL, Packet, Refused, Reply, Request, SCHEMA, Welcome,
    cut,
};
use nephrobox_shared::link::transfer::{Receiver, Sender, Take};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::Instant;

pub use self::desk::{About, Announced, Desk, Speeds};
use crate::line::Line;
use crate::wire::{SILENCE, Wire};

/// How long the line is given to carry an answer before its speed changes.
const SETTLE: Duration = Duration::from_millis(50);
/// How long a new speed may stay silent.
const PROBATION: Duration = Duration::from_millis(1500);
/// How long a turn lasts at most: silence is noticed that much late.
const NAP: Duration = Duration::from_millis(500);

/// An object that comes in.
struct Incoming {
    transfer: u32,
    receiver: Receiver,
}

/// An object that goes out.
struct Outgoing {
    transfer: u32,
    sender: Sender,
    bytes: Vec<u8>,
}

/// What the desk has done.
#[expect(clippy::large_enum_variant, reason = "one at a time exists")]
enum Done {
    Announced {
        bytes: u64,
        answer: Result<Announced, Refused>,
    },
    Fetched {
        offset: u64,
        begun: Option<Hash>,
        answer: Result<Vec<u8>, Refused>,
    },
    Answered(Result<Reply, Refused>),
}

/// A request that the desk is at.
struct Job<D> {
    id: u32,
    handle: JoinHandle<(D, Done)>,
}

/// One line's end on the box.
struct Server<'a, L, D> {
    wire: Wire<L>,
    about: &'a About,
    speeds: Speeds,
    /// The desk, unless a job has it.
    desk: Option<D>,
    job: Option<Job<D>>,
    /// The session's nonce.
    session: Option<u32>,
    /// The last answer, for a tool that did not get it.
    answered: Option<(u32, Reply)>,
    transfers: u32,
    incoming: Option<Incoming>,
    outgoing: Option<Outgoing>,
    /// The speed to go to, and when.
    change: Option<(u32, Instant)>,
    /// Until when something must be heard at a new speed.
    probation: Option<Instant>,
    /// The speed is not that of a session's beginning.
    raised: bool,
}

/// Serves a line until it is gone, and gives the desk back with the reason.
///
/// Silence is no reason: the line then waits, at its first speed, for the next tool that greets.
pub async fn serve<D: Desk>(
    line: impl Line,
    speeds: Speeds,
    about: &About,
    desk: D,
) -> (Option<D>, io::Error) {
    let mut server = Server {
        wire: Wire::new(line, speeds.first),
        about,
        speeds,
        desk: Some(desk),
        job: None,
        session: None,
        answered: None,
        transfers: 0,
        incoming: None,
        outgoing: None,
        change: None,
        probation: None,
        raised: false,
    };
    let error = loop {
        if let Err(error) = server.turn().await {
            break error;
        }
    };
    server.end_transfers();
    if let Some(job) = server.job.take()
        && let Ok((mut desk, _)) = job.handle.await
    {
        desk.pause();
        server.desk = Some(desk);
    }
    (server.desk, error)
}

impl<L: Line, D: Desk> Server<'_, L, D> {
    async fn turn(&mut self) -> io::Result<()> {
        self.hear();
        self.speak()?;
        let until = self.wake();
        match &mut self.job {
            None => self.wire.turn(until).await,
            Some(job) => {
                tokio::select! {
                    moved = self.wire.turn(until) => moved,
                    done = &mut job.handle => self.finished(done),
                }
            }
        }
    }

    /// Looks at everything that has come.
    fn hear(&mut self) {
        loop {
            let now = self.wire.now_ms();
            let Some(packet) = self.wire.packet() else {
                return;
            };
            self.probation = None;
            match packet {
                Packet::Hello(hello) => self.greet(&hello),
                _ if self.session.is_none() => {}
                Packet::Ping(number) => self.wire.push(&Packet::Pong(number)),
                Packet::Request { id, request } => self.request(id, request),
                Packet::Data {
                    transfer,
                    offset,
                    round,
                    bytes,
                } => {
                    let ours = self
                        .incoming
                        .as_mut()
                        .filter(|incoming| incoming.transfer == transfer);
                    let (Some(incoming), Some(desk)) = (ours, self.desk.as_mut()) else {
                        continue;
                    };
                    if let Take::From(skip) =
                        incoming.receiver.piece(offset, bytes.len(), round, now)
                        && let Err(refusal) = desk.take(offset + skip as u64, &bytes[skip..])
                    {
                        self.incoming = None;
                        self.wire.push(&Packet::Abort { transfer, refusal });
                    }
                }
                Packet::Ack {
                    transfer,
                    next,
                    round,
                    gap,
                } => {
                    let ours = self
                        .outgoing
                        .as_mut()
                        .filter(|outgoing| outgoing.transfer == transfer);
                    if let Some(outgoing) = ours {
                        outgoing.sender.acknowledge(next, round, gap, now);
                    }
                }
                Packet::Abort { transfer, .. } => {
                    self.outgoing
                        .take_if(|outgoing| outgoing.transfer == transfer);
                    if self
                        .incoming
                        .take_if(|incoming| incoming.transfer == transfer)
                        .is_some()
                    {
                        self.pause();
                    }
                }
                Packet::Welcome(_)
                | Packet::Mismatch(_)
                | Packet::Pong(_)
                | Packet::Reply { .. } => {}
            }
        }
    }

    fn greet(&mut self, hello: &Hello) {
        if hello.magic != MAGIC {
            return;
        }
        let nonce = hello.nonce;
        if (hello.protocol, hello.schema) != (PROTOCOL, SCHEMA) {
            let software = cut(&self.about.software);
            let mismatch = Mismatch {
                nonce,
                protocol: PROTOCOL,
                schema: SCHEMA,
                software,
            };
            self.wire.push(&Packet::Mismatch(mismatch));
            return;
        }
        if self.session != Some(nonce) {
            self.end_transfers();
            self.session = Some(nonce);
            self.answered = None;
        }
        self.wire.push(&Packet::Welcome(Welcome {
            nonce,
            software: cut(&self.about.software),
            name: cut(&self.about.name),
            max_baud: self.speeds.fastest,
        }));
    }

    fn request(&mut self, id: u32, request: Request) {
        if let Some((_, reply)) = self
            .answered
            .as_ref()
            .filter(|(answered, _)| *answered == id)
        {
            let reply = reply.clone();
            return self.wire.push(&Packet::Reply { id, reply });
        }
        // Of the job that is being done, the tool hears when it is done. A tool that has given up on it asks again.
        let Some(mut desk) = self.desk.take() else {
            return;
        };
        let job: Box<dyn FnOnce(&mut D) -> Done + Send> = match request {
            Request::Baud { baud } => {
                self.desk = Some(desk);
                let reply = self.change_speed(baud);
                return self.reply(id, reply);
            }
            Request::Put {
                object,
                bytes,
                blake3,
            } => {
                if self.incoming.take().is_some() {
                    desk.pause();
                }
                Box::new(move |desk| Done::Announced {
                    bytes,
                    answer: desk.put(&object, bytes, &blake3),
                })
            }
            Request::Finish { transfer } => {
                let whole = self.incoming.as_ref().is_some_and(|incoming| {
                    incoming.transfer == transfer && incoming.receiver.is_done()
                });
                if !whole {
                    self.desk = Some(desk);
                    let words = "the transfer is not whole, or is none; announce the object again";
                    return self.reply(id, Reply::Refused(Refused::new(Code::BadRequest, words)));
                }
                self.incoming = None;
                Box::new(|desk| Done::Answered(desk.finish().map(|id| Reply::Have { id })))
            }
            Request::Get {
                item,
                offset,
                blake3,
            } => {
                self.outgoing = None;
                Box::new(move |desk| Done::Fetched {
                    offset,
                    begun: blake3,
                    answer: desk.get(&item),
                })
            }
            Request::Scan { .. }
            | Request::Confirm { .. }
            | Request::Slots
            | Request::Rollback { .. }
            | Request::Erase { .. } => Box::new(move |desk| Done::Answered(desk.answer(&request))),
        };
        let handle = spawn_blocking(move || {
            let done = job(&mut desk);
            (desk, done)
        });
        self.job = Some(Job { id, handle });
    }

    /// The desk has done a job.
    fn finished(&mut self, done: Result<(D, Done), tokio::task::JoinError>) -> io::Result<()> {
        let Some(Job { id, .. }) = self.job.take() else {
            return Ok(());
        };
        // A desk that panics is gone, and with it this session; whoever serves the line has another.
        // What it said when it panicked may quote a scan, and an error of a line is logged.
        let (desk, done) =
            done.map_err(|_| io::Error::other("a fault where the tool is answered"))?;
        self.desk = Some(desk);
        let now = self.wire.now_ms();
        let reply = match done {
            Done::Answered(answer) => answer,
            Done::Announced { bytes, answer } => answer.map(|announced| match announced {
                Announced::Have(id) => Reply::Have { id },
                Announced::From(offset) => {
                    let transfer = self.next_transfer();
                    let receiver = Receiver::new(bytes, offset, now);
                    self.incoming = Some(Incoming { transfer, receiver });
                    Reply::Go { transfer, offset }
                }
            }),
            Done::Fetched {
                offset,
                begun,
                answer,
            } => answer.map(|object| {
                let transfer = self.next_transfer();
                let blake3 = *blake3::hash(&object).as_bytes();
                let bytes = object.len() as u64;
                let offset = if begun == Some(blake3) {
                    offset.min(bytes)
                } else {
                    0
                };
                let sender = Sender::new(bytes, offset, now);
                self.outgoing = Some(Outgoing {
                    transfer,
                    sender,
                    bytes: object,
                });
                Reply::Coming {
                    transfer,
                    offset,
                    bytes,
                    blake3,
                }
            }),
        };
        if self.session.is_some() {
            self.reply(id, reply.unwrap_or_else(Reply::Refused));
        } else {
            self.end_transfers();
        }
        Ok(())
    }

    fn reply(&mut self, id: u32, reply: Reply) {
        self.wire.push(&Packet::Reply {
            id,
            reply: reply.clone(),
        });
        self.answered = Some((id, reply));
    }

    fn change_speed(&mut self, baud: u32) -> Reply {
        if baud == 0 || baud > self.speeds.fastest || self.speeds.first == 0 {
            let words = "the line cannot go at that speed; leave it as it is";
            return Reply::Refused(Refused::new(Code::BadRequest, words));
        }
        self.change = Some((baud, Instant::now() + SETTLE));
        Reply::Done
    }

    /// Says what is due.
    fn speak(&mut self) -> io::Result<()> {
        let (now, now_ms) = (Instant::now(), self.wire.now_ms());
        let silent = now.duration_since(self.wire.heard()) > SILENCE;
        if silent && self.speeds.first == 0 {
            // A connection can be made again, and others wait for its place.
            return Err(io::ErrorKind::TimedOut.into());
        }
        if silent && (self.session.is_some() || self.raised) {
            self.session = None;
            self.end_transfers();
            self.first_speed()?;
        }
        if let Some((baud, _)) = self
            .change
            .take_if(|(_, when)| now >= *when && self.wire.is_drained())
        {
            self.wire.set_baud(baud)?;
            self.raised = baud != self.speeds.first;
            self.probation = self.raised.then_some(now + PROBATION);
        }
        if self.probation.take_if(|until| now >= *until).is_some() {
            self.first_speed()?;
        }
        if let Some(incoming) = &mut self.incoming {
            let transfer = incoming.transfer;
            if let Some(ack) = incoming.receiver.poll(now_ms) {
                let (next, round, gap) = (ack.next, ack.round, ack.gap);
                self.wire.push(&Packet::Ack {
                    transfer,
                    next,
                    round,
                    gap,
                });
            }
            if incoming.receiver.check(now_ms).is_err() {
                self.incoming = None;
                self.pause();
            }
        }
        if let Some(outgoing) = &mut self.outgoing {
            let transfer = outgoing.transfer;
            while self.wire.has_room()
                && let Some(piece) = outgoing.sender.poll(now_ms)
            {
                let bytes = &outgoing.bytes[piece.offset as usize..][..piece.len];
                self.wire.push(&Packet::Data {
                    transfer,
                    offset: piece.offset,
                    round: piece.round,
                    bytes,
                });
            }
            if outgoing.sender.is_done() || outgoing.sender.check(now_ms).is_err() {
                self.outgoing = None;
            }
        }
        Ok(())
    }

    /// When there is something to say again at the latest.
    fn wake(&self) -> Instant {
        let transfers = [
            self.incoming
                .as_ref()
                .and_then(|incoming| incoming.receiver.wake_ms()),
            self.outgoing
                .as_ref()
                .and_then(|outgoing| outgoing.sender.wake_ms()),
        ];
        let transfers = transfers
            .into_iter()
            .flatten()
            .map(|ms| self.wire.moment(ms));
        let change = self.change.map(|(_, when)| when);
        let now = Instant::now();
        transfers
            .chain(change)
            .chain(self.probation)
            .fold(now + NAP, Instant::min)
    }

    fn first_speed(&mut self) -> io::Result<()> {
        if self.raised {
            self.raised = false;
            self.wire.set_baud(self.speeds.first)?;
        }
        Ok(())
    }

    fn next_transfer(&mut self) -> u32 {
        // Not 0, 1, 2 in every session: pieces of an earlier one may still be on the line.
        self.transfers = self.transfers.wrapping_add(1);
        self.transfers ^ self.session.unwrap_or(0)
    }

    fn end_transfers(&mut self) {
        self.outgoing = None;
        if self.incoming.take().is_some() {
            self.pause();
        }
    }

    fn pause(&mut self) {
        if let Some(desk) = &mut self.desk {
            desk.pause();
        }
    }
}
