//! One greeting and what follows it, on one line.

use std::io::{self, Read, Seek, SeekFrom};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nephrobox_shared::link::frame::PIECE;
use nephrobox_shared::link::message::{
    Hash, Hello, Item, MAGIC, Object, PROTOCOL, Packet, Refused, Reply, Request, SCHEMA, Welcome,
    Word, cut,
};
use nephrobox_shared::link::transfer::{Receiver, Sender, Stalled, Take};
use tokio::time::Instant;

use super::{LinkError, Progress};
use crate::line::Line;
use crate::wire::{HEARTBEAT, SILENCE, Wire};

/// How often a greeting is repeated that got no answer: often, since a box that starts hears nothing.
const GREET_AGAIN: Duration = Duration::from_millis(250);
/// How often a question is repeated that got no answer.
const REPEAT: Duration = Duration::from_millis(700);
/// How long the line is given after the speed changed.
const SETTLE: Duration = Duration::from_millis(120);
/// How long a new speed is tried.
const TRIAL: Duration = Duration::from_millis(900);
/// How long a box needs to go back from a speed that does not work.
const FALL_BACK: Duration = Duration::from_millis(1_800);
/// Speeds that are tried, in bit/s, the fastest first: what serial hardware commonly has.
const SPEEDS: [u32; 8] = [
    3_000_000, 2_000_000, 1_500_000, 1_000_000, 921_600, 460_800, 230_400, 115_200,
];

/// Why something did not get done on this line.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "as for the error it holds")]
pub(super) enum Broken {
    /// The line is gone or silent; on another the same may work.
    Line(io::Error),
    /// No other line will help.
    Fatal(LinkError),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Self::Line(error)
    }
}

impl From<LinkError> for Broken {
    fn from(error: LinkError) -> Self {
        Self::Fatal(error)
    }
}

impl From<Stalled> for Broken {
    fn from(stalled: Stalled) -> Self {
        Self::Line(io::Error::new(io::ErrorKind::TimedOut, stalled.to_string()))
    }
}

/// What of an object has come over an earlier line.
#[derive(Debug, Default)]
pub(super) struct Begun {
    blake3: Option<Hash>,
    bytes: Vec<u8>,
}

/// A session with a box.
pub(super) struct Session {
    wire: Wire<Box<dyn Line>>,
    welcome: Welcome,
    /// Of the next request.
    id: u32,
}

impl Session {
    /// Greets whoever is at the other end of a line at `baud` bit/s (0 for a line without a speed), and goes up to `max_baud`.
    pub(super) async fn begin(
        line: Box<dyn Line>,
        baud: u32,
        max_baud: u32,
        patience: Duration,
    ) -> Result<Self, Broken> {
        let mut wire = Wire::new(line, baud);
        let welcome = greet(&mut wire, patience).await?;
        let mut session = Self {
            wire,
            id: welcome.nonce,
            welcome,
        };
        if baud > 0 {
            session
                .speed_up(baud, max_baud.min(session.welcome.max_baud))
                .await?;
        }
        Ok(session)
    }

    pub(super) fn welcome(&self) -> &Welcome {
        &self.welcome
    }

    /// Nobody has listened for a while.
    pub(super) fn listen_again(&mut self) {
        self.wire.forgive();
    }

    /// Goes to the fastest speed that works, from `base`.
    async fn speed_up(&mut self, base: u32, fastest: u32) -> Result<(), Broken> {
        for baud in SPEEDS {
            if baud > fastest || baud <= base {
                continue;
            }
            match self.reply(&Request::Baud { baud }).await? {
                Reply::Done => {}
                _ => return Ok(()),
            }
            tokio::time::sleep(SETTLE).await;
            // A port that cannot go at this speed stays where it is, and the box comes back.
            let answers = self.wire.set_baud(baud).is_ok() && self.answers().await?;
            if answers {
                return Ok(());
            }
            self.wire.set_baud(base)?;
            tokio::time::sleep(FALL_BACK).await;
            self.wire.forgive();
        }
        Ok(())
    }

    /// Whether the box answers at this speed.
    async fn answers(&mut self) -> Result<bool, Broken> {
        let until = Instant::now() + TRIAL;
        let mut asked = None;
        loop {
            while let Some(packet) = self.wire.packet() {
                if let Packet::Pong(_) = packet {
                    return Ok(true);
                }
            }
            let now = Instant::now();
            if now >= until {
                return Ok(false);
            }
            if asked.is_none_or(|asked| now.duration_since(asked) > TRIAL / 6) {
                self.wire.push(&Packet::Ping(0));
                asked = Some(now);
            }
            self.wire.turn(now + TRIAL / 6).await?;
        }
    }

    /// Keeps the line alive and notices when it is dead; moves bytes.
    async fn turn(&mut self, wake: Option<u64>) -> Result<(), Broken> {
        let now = Instant::now();
        if now.duration_since(self.wire.heard()) > SILENCE {
            let words = format!("the box was silent for {} s", SILENCE.as_secs());
            return Err(Broken::Line(io::Error::new(io::ErrorKind::TimedOut, words)));
        }
        let beat = self.wire.said().max(self.wire.heard()) + HEARTBEAT;
        if now >= beat {
            self.wire.push(&Packet::Ping(0));
        }
        let beat = now + HEARTBEAT / 2;
        let until = wake.map_or(beat, |ms| self.wire.moment(ms).min(beat));
        Ok(self.wire.turn(until).await?)
    }

    /// Asks, and repeats the question until there is an answer.
    async fn reply(&mut self, request: &Request) -> Result<Reply, Broken> {
        let id = self.next_id();
        let mut asked: Option<Instant> = None;
        loop {
            while let Some(packet) = self.wire.packet() {
                if let Packet::Reply {
                    id: answered,
                    reply,
                } = packet
                    && answered == id
                {
                    return Ok(reply);
                }
            }
            let now = Instant::now();
            if asked.is_none_or(|asked| now.duration_since(asked) >= REPEAT) {
                self.wire.push(&Packet::Request {
                    id,
                    request: request.clone(),
                });
                asked = Some(now);
            }
            self.turn(None).await?;
        }
    }

    /// Asks; a refusal is an error.
    pub(super) async fn ask(&mut self, request: &Request) -> Result<Reply, Broken> {
        match self.reply(request).await? {
            Reply::Refused(refusal) => Err(LinkError::Refused(refusal).into()),
            reply => Ok(reply),
        }
    }

    /// Sends an object of `bytes` bytes.
    pub(super) async fn put(
        &mut self,
        object: &Object,
        bytes: u64,
        blake3: Hash,
        source: &mut (impl Read + Seek),
        heard: &mut dyn FnMut(Progress),
    ) -> Result<Word, Broken> {
        let request = Request::Put {
            object: object.clone(),
            bytes,
            blake3,
        };
        let (transfer, offset) = match self.ask(&request).await? {
            Reply::Have { id } => return Ok(id),
            Reply::Go { transfer, offset } => (transfer, offset),
            _ => return Err(LinkError::Nonsense.into()),
        };
        self.send(transfer, offset, bytes, source, heard).await?;
        heard(Progress::Checking);
        match self.ask(&Request::Finish { transfer }).await? {
            Reply::Have { id } => Ok(id),
            _ => Err(LinkError::Nonsense.into()),
        }
    }

    async fn send(
        &mut self,
        transfer: u32,
        offset: u64,
        bytes: u64,
        source: &mut (impl Read + Seek),
        heard: &mut dyn FnMut(Progress),
    ) -> Result<(), Broken> {
        let mut sender = Sender::new(bytes, offset, self.wire.now_ms());
        let mut at = None;
        let mut buffer = vec![0; PIECE];
        let mut told = None;
        loop {
            let now = self.wire.now_ms();
            while let Some(packet) = self.wire.packet() {
                match packet {
                    Packet::Ack {
                        transfer: ours,
                        next,
                        round,
                        gap,
                    } if ours == transfer => {
                        sender.acknowledge(next, round, gap, now);
                    }
                    Packet::Abort {
                        transfer: ours,
                        refusal,
                    } if ours == transfer => {
                        return Err(LinkError::Refused(refusal).into());
                    }
                    _ => {}
                }
            }
            if told != Some(sender.acknowledged()) {
                told = Some(sender.acknowledged());
                heard(Progress::Bytes {
                    done: sender.acknowledged(),
                    total: bytes,
                });
            }
            if sender.is_done() {
                return Ok(());
            }
            sender.check(now)?;
            while self.wire.has_room()
                && let Some(piece) = sender.poll(now)
            {
                let part = &mut buffer[..piece.len];
                if at != Some(piece.offset) {
                    source
                        .seek(SeekFrom::Start(piece.offset))
                        .map_err(LinkError::Source)?;
                }
                source.read_exact(part).map_err(LinkError::Source)?;
                at = Some(piece.offset + piece.len as u64);
                let (offset, round) = (piece.offset, piece.round);
                self.wire.push(&Packet::Data {
                    transfer,
                    offset,
                    round,
                    bytes: part,
                });
            }
            self.turn(sender.wake_ms()).await?;
        }
    }

    /// Fetches an object, from where `begun` ends if it is still the same.
    pub(super) async fn get(
        &mut self,
        item: &Item,
        limit: u64,
        begun: &mut Begun,
        heard: &mut dyn FnMut(Progress),
    ) -> Result<Vec<u8>, Broken> {
        let offset = begun.bytes.len() as u64;
        let request = Request::Get {
            item: item.clone(),
            offset,
            blake3: begun.blake3,
        };
        let Reply::Coming {
            transfer,
            offset,
            bytes,
            blake3,
        } = self.ask(&request).await?
        else {
            return Err(LinkError::Nonsense.into());
        };
        if bytes > limit {
            let refusal = Refused::new(nephrobox_shared::link::message::Code::Size, "too large");
            self.wire.push(&Packet::Abort { transfer, refusal });
            return Err(LinkError::TooLarge { bytes, limit }.into());
        }
        if begun.blake3 != Some(blake3) || offset > begun.bytes.len() as u64 {
            begun.bytes.clear();
        }
        begun.bytes.truncate(offset as usize);
        begun.blake3 = Some(blake3);
        if offset != begun.bytes.len() as u64 {
            return Err(LinkError::Nonsense.into());
        }
        self.receive(transfer, bytes, &mut begun.bytes, heard)
            .await?;
        let whole = std::mem::take(&mut begun.bytes);
        if *blake3::hash(&whole).as_bytes() == blake3 {
            Ok(whole)
        } else {
            Err(LinkError::Damaged.into())
        }
    }

    async fn receive(
        &mut self,
        transfer: u32,
        bytes: u64,
        into: &mut Vec<u8>,
        heard: &mut dyn FnMut(Progress),
    ) -> Result<(), Broken> {
        let mut receiver = Receiver::new(bytes, into.len() as u64, self.wire.now_ms());
        loop {
            let now = self.wire.now_ms();
            let before = into.len();
            while let Some(packet) = self.wire.packet() {
                match packet {
                    Packet::Data {
                        transfer: ours,
                        offset,
                        round,
                        bytes: part,
                    } if ours == transfer => {
                        if let Take::From(skip) = receiver.piece(offset, part.len(), round, now) {
                            into.extend_from_slice(&part[skip..]);
                        }
                    }
                    Packet::Abort {
                        transfer: ours,
                        refusal,
                    } if ours == transfer => {
                        return Err(LinkError::Refused(refusal).into());
                    }
                    _ => {}
                }
            }
            if into.len() > before {
                heard(Progress::Bytes {
                    done: into.len() as u64,
                    total: bytes,
                });
            }
            if let Some(ack) = receiver.poll(now) {
                let (next, round, gap) = (ack.next, ack.round, ack.gap);
                self.wire.push(&Packet::Ack {
                    transfer,
                    next,
                    round,
                    gap,
                });
            }
            if receiver.is_done() {
                // The last acknowledgement goes out with whatever is said next, or now.
                while !self.wire.is_drained() {
                    self.turn(None).await?;
                }
                return Ok(());
            }
            receiver.check(now)?;
            self.turn(receiver.wake_ms()).await?;
        }
    }

    fn next_id(&mut self) -> u32 {
        self.id = self.id.wrapping_add(1);
        self.id
    }
}

/// Greets until the box answers.
async fn greet(wire: &mut Wire<Box<dyn Line>>, patience: Duration) -> Result<Welcome, Broken> {
    let nonce = nonce();
    let hello = Hello {
        magic: MAGIC,
        protocol: PROTOCOL,
        schema: SCHEMA,
        nonce,
        software: cut(concat!("nephrobox-link ", env!("CARGO_PKG_VERSION"))),
    };
    let until = Instant::now() + patience;
    let mut said = None;
    loop {
        while let Some(packet) = wire.packet() {
            match packet {
                Packet::Welcome(welcome) if welcome.nonce == nonce => return Ok(welcome),
                Packet::Mismatch(mismatch) if mismatch.nonce == nonce => {
                    return Err(LinkError::Mismatch(mismatch).into());
                }
                _ => {}
            }
        }
        let now = Instant::now();
        if now >= until {
            return Err(Broken::Line(io::ErrorKind::TimedOut.into()));
        }
        if said.is_none_or(|said| now.duration_since(said) >= GREET_AGAIN) {
            wire.push(&Packet::Hello(hello.clone()));
            said = Some(now);
        }
        wire.turn(until.min(now + GREET_AGAIN)).await?;
    }
}

/// A number that an earlier session is unlikely to have had.
fn nonce() -> u32 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let seed = (since.as_nanos() as u64) ^ (u64::from(std::process::id()) << 32);
    let hash = blake3::hash(&seed.to_le_bytes());
    let [a, b, c, d, ..] = *hash.as_bytes();
    u32::from_le_bytes([a, b, c, d])
}
