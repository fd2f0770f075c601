//! What a receiver makes of bytes.

use nephrobox_shared::link::frame::{Decoder, FRAME, FrameError, PIECE, encode};
use nephrobox_shared::link::message::Packet;
use proptest::prelude::*;

fn frame(packet: &Packet<'_>) -> Vec<u8> {
    let mut bytes = [0; FRAME];
    let len = encode(packet, &mut bytes).expect("a frame");
    bytes[..len].to_vec()
}

/// Everything that is found in a row of bytes, which comes in parts of `step` bytes.
fn found(bytes: &[u8], step: usize) -> Vec<Result<String, FrameError>> {
    let mut decoder = Decoder::default();
    let mut found = Vec::new();
    for mut part in bytes.chunks(step) {
        while let Some(end) = decoder.advance(&mut part) {
            found.push(end.map(|()| format!("{:?}", decoder.packet().expect("a packet"))));
        }
    }
    found
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "it is compared with what a decoder found"
)]
fn said(packet: &Packet<'_>) -> Result<String, FrameError> {
    Ok(format!("{packet:?}"))
}

/// CRC-32 of ASCII "123456789" is 0xCBF43926 (the check value of CRC-32/ISO-HDLC); a ping's content is its number 3 among packets
/// and a varint, so its frame can be written by hand.
#[test]
fn a_frame_is_content_and_checksum_in_cobs_and_a_zero() {
    let bytes = frame(&Packet::Ping(5));
    let content = [3, 5];
    let checksum = crc32(&content).to_le_bytes();
    assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    let plain = [&content[..], &checksum].concat();
    assert!(!plain.contains(&0), "so COBS only puts a length in front");
    assert_eq!(bytes, [&[7], &plain[..], &[0]].concat());
}

/// CRC-32 bit by bit, from its definition.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc: u32, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

#[test]
fn the_longest_piece_fits_and_a_longer_one_is_refused() {
    let data = |bytes| Packet::Data {
        transfer: u32::MAX,
        offset: u64::MAX,
        round: u8::MAX,
        bytes,
    };
    let whole = vec![0; PIECE];
    assert_eq!(found(&frame(&data(&whole)), 4096), [said(&data(&whole))]);
    let longer = vec![0; PIECE + 64];
    assert_eq!(
        encode(&data(&longer), &mut [0; FRAME]),
        Err(FrameError::Long)
    );
}

#[test]
fn each_damage_has_its_name_and_the_next_frame_is_read() {
    let (ping, pong) = (Packet::Ping(1), Packet::Pong(2));
    let good = frame(&pong);
    let mut flipped = frame(&ping);
    flipped[2] ^= 4;
    let nonsense = [2, 0xff, 0];
    let no_message = {
        let mut plain = vec![200, 200, 200];
        plain.extend(crc32(&[200, 200, 200]).to_le_bytes());
        let mut bytes = vec![0; 32];
        let len = cobs_of(&plain, &mut bytes);
        bytes.truncate(len);
        bytes.push(0);
        bytes
    };
    for (damaged, error) in [
        (vec![1; FRAME + 10], FrameError::Long),
        (nonsense.to_vec(), FrameError::Short),
        (vec![9, 1, 2], FrameError::Cobs),
        (flipped, FrameError::Checksum),
        (no_message, FrameError::Message),
    ] {
        let mut line = damaged.clone();
        if line.last() != Some(&0) {
            line.push(0);
        }
        line.extend(&good);
        for step in [1, 3, 100_000] {
            assert_eq!(found(&line, step), [Err(error), said(&pong)], "{error}");
        }
    }
}

/// COBS of bytes without a zero, shorter than 254.
fn cobs_of(plain: &[u8], into: &mut [u8]) -> usize {
    assert!(!plain.contains(&0) && plain.len() < 254);
    into[0] = plain.len() as u8 + 1;
    into[1..=plain.len()].copy_from_slice(plain);
    plain.len() + 1
}

#[test]
fn zeros_between_frames_are_neither_frames_nor_errors() {
    let ping = Packet::Ping(7);
    let line = [&[0, 0][..], &frame(&ping), &[0], &frame(&ping), &[0]].concat();
    assert_eq!(found(&line, 2), [said(&ping), said(&ping)]);
}

proptest! {
    /// Whatever came before, a frame after a zero is read: the receiver finds its place again.
    #[test]
    fn a_receiver_finds_its_place_after_any_garbage(
        garbage in proptest::collection::vec(any::<u8>(), 0..20_000),
        bytes in proptest::collection::vec(any::<u8>(), 1..PIECE),
        step in 1..5000_usize,
    ) {
        let packet = Packet::Data { transfer: 1, offset: 2, round: 3, bytes: &bytes };
        let line = [&garbage[..], &[0], &frame(&packet)].concat();
        prop_assert_eq!(found(&line, step).pop(), Some(said(&packet)));
    }

    /// A byte that is changed is noticed, wherever it is: the frame's packet is not taken for another one.
    /// Shows RQ-57.
    #[test]
    fn a_changed_byte_is_noticed(
        bytes in proptest::collection::vec(any::<u8>(), 1..600),
        at in any::<prop::sample::Index>(),
        flip in 1..=255_u8,
    ) {
        let packet = Packet::Data { transfer: 1, offset: 2, round: 3, bytes: &bytes };
        let mut line = frame(&packet);
        let at = at.index(line.len());
        line[at] ^= flip;
        line.push(0);
        prop_assert!(found(&line, 64).iter().all(Result::is_err));
    }
}
