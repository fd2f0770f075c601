//! The rules of a transfer, one by one.

use nephrobox_shared::link::frame::PIECE;
use nephrobox_shared::link::transfer::{GIVE_UP_MS, Receiver, Sender, Take, WINDOW};

/// All pieces that may be sent now.
fn burst(sender: &mut Sender, now_ms: u64) -> Vec<(u64, usize, u8)> {
    core::iter::from_fn(|| sender.poll(now_ms))
        .map(|piece| (piece.offset, piece.len, piece.round))
        .collect()
}

#[test]
fn a_sender_fills_its_window_and_waits() {
    let mut sender = Sender::new(10 << 20, 0, 0);
    let pieces = burst(&mut sender, 0);
    let end = pieces.last().map(|(offset, len, _)| offset + *len as u64);
    assert_eq!(end, Some(WINDOW as u64));
    assert!(sender.poll(1).is_none());
    sender.acknowledge(WINDOW as u64 / 2, 0, false, 5);
    assert!(sender.poll(5).is_some());
}

#[test]
fn pieces_grow_while_all_is_well_and_shrink_after_a_loss() {
    let mut sender = Sender::new(10 << 20, 0, 0);
    let mut longest = 0;
    for now in 0..40 {
        let pieces = burst(&mut sender, now);
        let Some(&(offset, len, _)) = pieces.last() else {
            break;
        };
        longest = longest.max(len);
        sender.acknowledge(offset + len as u64, 0, false, now);
    }
    assert_eq!(longest, PIECE);
    let before = sender.acknowledged();
    assert!(sender.poll(50).is_some());
    sender.acknowledge(before, 0, true, 51);
    let again = sender.poll(52).expect("the piece again");
    assert_eq!(
        (again.offset, again.len, again.round),
        (before, PIECE / 2, 1)
    );
}

#[test]
fn one_loss_costs_one_step_back() {
    let mut sender = Sender::new(1 << 20, 0, 0);
    let pieces = burst(&mut sender, 0);
    let mut receiver = Receiver::new(1 << 20, 0, 0);
    let mut gaps = 0;
    // The first piece is lost, and every piece behind it shows that.
    for &(offset, len, round) in &pieces[1..] {
        assert_eq!(receiver.piece(offset, len, round, 1), Take::Drop);
        if let Some(ack) = receiver.poll(1) {
            gaps += 1;
            sender.acknowledge(ack.next, ack.round, ack.gap, 2);
        }
    }
    assert_eq!((gaps, sender.retries()), (1, 1));
    assert_eq!(
        sender.poll(3).map(|piece| (piece.offset, piece.round)),
        Some((0, 1))
    );
}

#[test]
fn silence_is_met_with_another_try_each_after_a_longer_wait() {
    let mut sender = Sender::new(100, 0, 0);
    let (mut now, mut waits) = (0, Vec::new());
    for _ in 0..4 {
        assert!(sender.poll(now).is_some());
        let wake = sender.wake_ms().expect("a deadline");
        waits.push(wake - now);
        now = wake;
    }
    assert_eq!(waits, [1000, 2000, 4000, 4000]);
}

#[test]
fn a_transfer_without_progress_is_given_up() {
    let sender = Sender::new(100, 40, 0);
    assert!(sender.check(GIVE_UP_MS - 1).is_ok());
    assert_eq!(
        sender
            .check(GIVE_UP_MS)
            .map_err(|stalled| stalled.acknowledged),
        Err(40)
    );
    let receiver = Receiver::new(100, 40, 0);
    assert_eq!(
        receiver
            .check(GIVE_UP_MS)
            .map_err(|stalled| stalled.acknowledged),
        Err(40)
    );
}

#[test]
fn a_piece_that_overlaps_is_kept_from_where_it_is_new() {
    let mut receiver = Receiver::new(100, 0, 0);
    assert_eq!(receiver.piece(0, 30, 0, 0), Take::From(0));
    assert_eq!(receiver.piece(10, 40, 1, 0), Take::From(20));
    assert_eq!(receiver.piece(10, 40, 1, 0), Take::Drop);
    assert_eq!(receiver.received(), 50);
}

#[test]
fn what_lies_outside_the_object_or_was_never_sent_is_passed_over() {
    let mut receiver = Receiver::new(100, 0, 0);
    assert_eq!(receiver.piece(90, 20, 0, 0), Take::Drop);
    assert_eq!(receiver.piece(u64::MAX, 20, 0, 0), Take::Drop);
    let mut sender = Sender::new(100, 0, 0);
    sender.acknowledge(50, 0, false, 0);
    assert_eq!(sender.acknowledged(), 0);
}

#[test]
fn an_empty_rest_is_done_at_once() {
    assert!(Sender::new(100, 100, 0).is_done());
    assert!(Receiver::new(100, 100, 0).is_done());
    assert!(Sender::new(0, 0, 0).is_done());
}
