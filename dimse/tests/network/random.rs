//! Sound conversations, spoilt at random.

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use nephrobox_dimse::server::{End, Event};

use crate::raw::{conversation, pdu, piece, request, say};
use crate::support::{Running, run, settings};

/// One server for all cases: what one of them did must not harm the next.
fn survives(running: &Running, bytes: &[u8]) -> Result<(), TestCaseError> {
    say(running.address(), bytes);
    running.is_well();
    let mut events = running.shelf.events.lock().unwrap();
    let panicked = events
        .iter()
        .any(|event| matches!(event, Event::Ended(_, End::Panicked)));
    events.clear();
    prop_assert!(!panicked);
    Ok(())
}

/// Shows RQ-69.
#[test]
fn any_damage_to_a_sound_conversation_is_survived() {
    let running = run(settings());
    let sound = conversation().concat();
    let damage = proptest::collection::vec((0..sound.len(), any::<u8>()), 1..6);
    let mut runner = TestRunner::new(ProptestConfig {
        cases: 300,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let outcome = runner.run(&damage, |damage| {
        let mut bytes = sound.clone();
        for (at, byte) in damage {
            bytes[at] = byte;
        }
        survives(&running, &bytes)
    });
    outcome.unwrap();
}

#[test]
fn any_order_of_sound_and_unsound_pdus_is_survived() {
    let running = run(settings());
    let pdus = conversation();
    let one = prop_oneof![
        4 => proptest::sample::select(pdus),
        1 => (any::<u8>(), proptest::collection::vec(any::<u8>(), 0..200)).prop_map(|(kind, body)| pdu(kind, &body)),
        1 => (1..=3_u8, 0..4_u8, proptest::collection::vec(any::<u8>(), 0..200)).prop_map(|(context, control, content)| piece(context, control, &content)),
        1 => proptest::collection::vec(any::<u8>(), 0..50),
    ];
    let mut runner = TestRunner::new(ProptestConfig {
        cases: 300,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let outcome = runner.run(&proptest::collection::vec(one, 0..8), |pdus| {
        survives(&running, &[request(), pdus.concat()].concat())?;
        survives(&running, &pdus.concat())
    });
    outcome.unwrap();
}
