//! The serial protocol: frames, transfers, and a whole session with the box's end of the line.

use std::collections::VecDeque;

use crc::{CRC_32_ISO_HDLC, Crc};
use nephrobox_link::server::{About, Announced, Desk, Speeds, serve};
use nephrobox_shared::link::frame::{Decoder, FRAME, encode};
use nephrobox_shared::link::message::{Code, Hash, Item, Object, Refused, Reply, Request, Word};
use nephrobox_shared::link::transfer::{Receiver, Sender, Take};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// The frames of a line whose content is the fuzzer's: 0 and two bytes of length stand before a content, anything else is on the line as it is.
fn framed(mut bytes: &[u8]) -> Vec<u8> {
    let mut line = Vec::new();
    while let Some((&kind, rest)) = bytes.split_first() {
        bytes = rest;
        if kind != 0 {
            line.push(kind);
            continue;
        }
        let Some((length, rest)) = bytes.split_first_chunk::<2>() else {
            break;
        };
        let length = usize::from(u16::from_le_bytes(*length)).min(rest.len());
        let (content, rest) = rest.split_at(length);
        let plain = [content, &CRC.checksum(content).to_le_bytes()].concat();
        let mut coded = vec![0; cobs::max_encoding_length(plain.len())];
        let length = cobs::encode(&plain, &mut coded);
        line.extend(&coded[..length]);
        line.push(0);
        bytes = rest;
    }
    line
}

/// All packets on a line of bytes that come in pieces of `step`, as they read when printed.
fn packets(line: &[u8], step: usize) -> Vec<String> {
    let mut decoder = Decoder::default();
    let mut packets = Vec::new();
    for mut piece in line.chunks(step) {
        while let Some(found) = decoder.advance(&mut piece) {
            if found.is_err() {
                continue;
            }
            let packet = decoder.packet().expect("a frame that was opened holds one");
            let mut frame = [0; FRAME];
            let length = encode(&packet, &mut frame).expect("what came in a frame fits into one");
            let mut again = Decoder::default();
            let mut bytes = &frame[..length];
            assert_eq!(again.advance(&mut bytes), Some(Ok(())));
            assert_eq!(again.packet(), Some(packet.clone()));
            packets.push(format!("{packet:?}"));
        }
    }
    packets
}

/// Frames are the same however the line cuts them.
pub fn link_frames(bytes: &[u8]) {
    let whole = packets(bytes, usize::MAX);
    assert_eq!(whole, packets(bytes, 1));
    let line = framed(bytes);
    let whole = packets(&line, usize::MAX);
    assert_eq!(whole, packets(&line, 7));
}

/// What may happen to a transfer, one byte each.
enum Step {
    Wait(u64),
    Deliver,
    Lose,
    Repeat,
    Acknowledge,
    /// A piece or an acknowledgement that nobody of good will sends.
    Lie,
}

/// A transfer over a line that loses, repeats, delays and lies. What the receiver keeps is always the beginning of the object, and nothing overflows.
pub fn link_transfer(bytes: &[u8]) {
    let Some((head, steps)) = bytes.split_first_chunk::<16>() else {
        return;
    };
    let number = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().expect("eight bytes"));
    let (size, offset) = (number(0) >> (head[15] % 64), number(8));
    let mut now = u64::from(head[0]);
    let mut sender = Sender::new(size, offset, now);
    let mut receiver = Receiver::new(size, offset, now);
    let mut line = VecDeque::new();
    let mut kept = receiver.received();
    for (index, &step) in steps.iter().enumerate().take(4096) {
        let argument = u64::from(step >> 3);
        let step = match step & 7 {
            0 => Step::Wait(argument * argument * argument),
            1 | 2 => Step::Deliver,
            3 => Step::Lose,
            4 => Step::Repeat,
            5 | 6 => Step::Acknowledge,
            _ => Step::Lie,
        };
        while let Some(piece) = sender.poll(now) {
            assert!(piece.offset + piece.len as u64 <= size && piece.len > 0);
            line.push_back(piece);
        }
        match step {
            Step::Wait(ms) => now += ms,
            Step::Deliver => {
                if let Some(piece) = line.pop_front() {
                    let take = receiver.piece(piece.offset, piece.len, piece.round, now);
                    if let Take::From(skip) = take {
                        assert_eq!(
                            piece.offset + skip as u64,
                            kept,
                            "no hole and nothing twice"
                        );
                        kept = piece.offset + piece.len as u64;
                    }
                }
            }
            Step::Lose => drop(line.pop_front()),
            Step::Repeat => line.extend(line.front().copied()),
            Step::Acknowledge => {
                if let Some(said) = receiver.poll(now) {
                    sender.acknowledge(said.next, said.round, said.gap, now);
                }
            }
            Step::Lie => {
                let from = |at: usize| {
                    let mut word = [0; 8];
                    for (byte, source) in word.iter_mut().zip(steps.iter().skip(at)) {
                        *byte = *source;
                    }
                    u64::from_le_bytes(word)
                };
                let (lie, round) = (from(index + 1), argument as u8);
                sender.acknowledge(lie, round, argument % 2 == 0, now);
                let mut deceived = receiver.clone();
                if let Take::From(skip) = deceived.piece(lie, usize::from(round) * 300, round, now)
                {
                    assert!(skip <= usize::from(round) * 300);
                }
                assert!(deceived.received() <= size);
            }
        }
        assert_eq!(receiver.received(), kept);
        assert!(kept <= size && sender.acknowledged() <= size);
        let _ = sender.check(now);
        let _ = receiver.check(now);
        assert_eq!(receiver.is_done(), kept == size);
    }
}

/// A box that keeps what is sent in memory, and knows no more than that.
#[derive(Default)]
struct Memory {
    coming: Option<(u64, Hash, Vec<u8>)>,
}

/// More bytes are not taken.
const ROOM: u64 = 1 << 20;

impl Desk for Memory {
    fn put(&mut self, _object: &Object, bytes: u64, blake3: &Hash) -> Result<Announced, Refused> {
        if bytes > ROOM {
            return Err(Refused::new(Code::Full, "no room"));
        }
        self.coming = Some((bytes, *blake3, Vec::new()));
        Ok(Announced::From(0))
    }

    fn take(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Refused> {
        let (size, _, held) = self.coming.as_mut().expect("an object was announced");
        assert_eq!(offset, held.len() as u64, "bytes follow those before");
        held.extend_from_slice(bytes);
        assert!(held.len() as u64 <= *size, "more than was announced");
        Ok(())
    }

    fn finish(&mut self) -> Result<Word, Refused> {
        let (size, hash, held) = self.coming.take().expect("an object was announced");
        assert_eq!(held.len() as u64, size, "finished before all is there");
        if blake3::hash(&held).as_bytes() == &hash {
            Ok(Word::try_from("1").expect("it fits"))
        } else {
            Err(Refused::new(Code::Hash, "another object"))
        }
    }

    fn pause(&mut self) {}

    fn get(&mut self, item: &Item) -> Result<Vec<u8>, Refused> {
        Ok(format!("{item:?}").repeat(100).into_bytes())
    }

    fn answer(&mut self, _request: &Request) -> Result<Reply, Refused> {
        Ok(Reply::Done)
    }
}

/// A tool, or whoever has the cable, says these frames and hangs up.
pub fn link_session(bytes: &[u8]) {
    let line = framed(bytes);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let (here, there) = tokio::io::duplex(1 << 16);
        let (mut hear, mut say) = tokio::io::split(here);
        let about = About {
            software: "test".into(),
            name: "test".into(),
        };
        let served = serve(there, Speeds::default(), &about, Memory::default());
        let peer = async {
            let listen = async {
                let mut sink = [0; 4096];
                while hear.read(&mut sink).await.is_ok_and(|count| count > 0) {}
            };
            let speak = async {
                let _ = say.write_all(&line).await;
                let _ = say.shutdown().await;
            };
            tokio::join!(listen, speak);
        };
        let ((desk, _), ()) = tokio::join!(served, peer);
        assert!(desk.is_some(), "the desk is lost: it has panicked");
    });
}
