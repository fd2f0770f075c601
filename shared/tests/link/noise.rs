//! Transfers over lines that drop, double, flip and delay bytes: 1,000 of them, each from its seed.
//!
//! Every transfer arrives whole or fails with a named error, and at one damaged byte in 10,000 it arrives.

use std::collections::VecDeque;

use nephrobox_shared::link::frame::{Decoder, FRAME, encode};
use nephrobox_shared::link::message::Packet;
use nephrobox_shared::link::transfer::{Receiver, Sender, Stalled, Take};

/// Chance (splitmix64).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// One direction of a line in virtual time.
struct Direction {
    chance: Chance,
    /// One byte in so many is damaged.
    one_in: u64,
    bytes_per_ms: usize,
    /// Bytes that wait for the line.
    waiting: VecDeque<u8>,
    /// Bytes on their way, with the time at which they arrive.
    flying: VecDeque<(u64, u8)>,
    latency_ms: u64,
    carried: u64,
}

impl Direction {
    fn new(seed: u64, one_in: u64) -> Self {
        let mut chance = Chance(seed);
        Self {
            one_in,
            bytes_per_ms: [12, 92, 300][chance.below(3) as usize], // 115,200 bit/s, 921,600 and 3 million
            latency_ms: chance.below(20),
            waiting: VecDeque::new(),
            flying: VecDeque::new(),
            carried: 0,
            chance,
        }
    }

    fn send(&mut self, packet: &Packet<'_>) {
        let mut frame = [0; FRAME];
        let len = encode(packet, &mut frame).expect("a frame");
        self.waiting.extend(&frame[..len]);
    }

    /// Lets a millisecond pass and returns what arrives in it.
    fn tick(&mut self, now_ms: u64) -> Vec<u8> {
        for _ in 0..self.bytes_per_ms.min(self.waiting.len()) {
            let byte = self.waiting.pop_front().expect("counted");
            self.carried += 1;
            let arrives = now_ms + self.latency_ms;
            if self.chance.below(self.one_in) > 0 {
                self.flying.push_back((arrives, byte));
                continue;
            }
            match self.chance.below(4) {
                0 => {}
                1 => self.flying.extend([(arrives, byte), (arrives, byte)]),
                2 => self
                    .flying
                    .push_back((arrives, byte ^ (1 << self.chance.below(8)))),
                // The line holds everything up from this byte on, for up to a second.
                _ => self
                    .flying
                    .push_back((arrives + self.chance.below(1000), byte)),
            }
        }
        let due = self
            .flying
            .iter()
            .take_while(|(arrives, _)| *arrives <= now_ms)
            .count();
        self.flying.drain(..due).map(|(_, byte)| byte).collect()
    }
}

/// How a transfer went.
#[derive(Debug)]
struct Outcome {
    result: Result<(), Stalled>,
    ms: u64,
    retries: u64,
    /// Bytes on the line for each byte of the object.
    cost: f64,
}

/// Sends an object over a damaged line. Whatever the receiver keeps is compared with the object on the spot.
fn transfer(seed: u64, one_in: u64, object: &[u8]) -> Outcome {
    let (mut out, mut back) = (Direction::new(seed, one_in), Direction::new(!seed, one_in));
    let total = object.len() as u64;
    let (mut sender, mut receiver) = (Sender::new(total, 0, 0), Receiver::new(total, 0, 0));
    let (mut at_box, mut at_tool) = (Decoder::default(), Decoder::default());
    let mut now = 0;
    let result = loop {
        if sender.is_done() {
            break Ok(());
        }
        if let Err(stalled) = sender.check(now) {
            break Err(stalled);
        }
        while out.waiting.len() < out.bytes_per_ms * 50
            && let Some(piece) = sender.poll(now)
        {
            let bytes = &object[piece.offset as usize..][..piece.len];
            out.send(&Packet::Data {
                transfer: 1,
                offset: piece.offset,
                round: piece.round,
                bytes,
            });
        }
        let came = out.tick(now);
        let mut rest = &came[..];
        while let Some(end) = at_box.advance(&mut rest) {
            let Some(Packet::Data {
                offset,
                round,
                bytes,
                ..
            }) = end.ok().and_then(|()| at_box.packet())
            else {
                continue;
            };
            if let Take::From(skip) = receiver.piece(offset, bytes.len(), round, now) {
                let from = offset as usize + skip;
                assert_eq!(bytes[skip..], object[from..offset as usize + bytes.len()]);
            }
        }
        if let Some(ack) = receiver.poll(now) {
            back.send(&Packet::Ack {
                transfer: 1,
                next: ack.next,
                round: ack.round,
                gap: ack.gap,
            });
        }
        let came = back.tick(now);
        let mut rest = &came[..];
        while let Some(end) = at_tool.advance(&mut rest) {
            if let Some(Packet::Ack {
                next, round, gap, ..
            }) = end.ok().and_then(|()| at_tool.packet())
            {
                sender.acknowledge(next, round, gap, now);
            }
        }
        now += 1;
    };
    assert!(result.is_err() || receiver.is_done());
    Outcome {
        result,
        ms: now,
        retries: sender.retries(),
        cost: out.carried as f64 / total as f64,
    }
}

fn object(bytes: usize) -> Vec<u8> {
    let mut chance = Chance(bytes as u64);
    (0..bytes).map(|_| chance.next() as u8).collect()
}

/// Shows RQ-57.
#[test]
fn a_thousand_noisy_lines_carry_every_object_whole() {
    let object = object(100_000);
    let (mut ms, mut retries, mut cost) = (0, 0, 0.0);
    for seed in 0..1000 {
        let outcome = transfer(seed, 10_000, &object);
        assert_eq!(outcome.result, Ok(()), "schedule {seed}");
        ms = ms.max(outcome.ms);
        retries += outcome.retries;
        cost += outcome.cost / 1000.0;
    }
    assert!(retries > 1000, "the lines were noisy");
    println!(
        "1,000 lines, one byte in 10,000 damaged: {cost:.2} bytes on the line for each of the object, {:.1} steps back an object, \
         at most {:.1} s",
        retries as f64 / 1000.0,
        ms as f64 / 1000.0
    );
}

#[test]
fn a_clean_line_is_left_nearly_to_the_object() {
    let outcome = transfer(3, u64::MAX, &object(2_000_000));
    assert_eq!((outcome.result, outcome.retries), (Ok(()), 0));
    assert!(outcome.cost < 1.02, "{outcome:?}");
}

#[test]
fn a_line_too_bad_to_use_is_given_up_with_a_named_error() {
    let (mut given_up, object) = (0, object(20_000));
    for seed in 0..20 {
        if let Err(stalled) = transfer(seed, 40, &object).result {
            assert!(stalled.acknowledged < 20_000);
            given_up += 1;
        }
    }
    assert!(given_up > 0);
}
