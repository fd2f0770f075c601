//! The judgements; whole inspections of real folders are in `tests/terminal.rs`.

use std::path::Path;

use super::room::{checkpoint_bytes, judge_disk};
use super::*;
use crate::network::{Encoder, Graph, UnetSpec};

fn graph(encoder: Encoder) -> Graph {
    UnetSpec::paper(encoder, 1).graph()
}

#[test]
fn a_checkpoint_holds_each_value_and_two_moments_of_each_that_trains() {
    let graph = graph(Encoder::ResNet18);
    let all = Freeze::none(&graph);
    let trainable = all.trainable_count(&graph) as u64;
    let values = graph.variables().into_iter();
    let values: u64 = values
        .map(|v| v.shape.iter().product::<usize>() as u64)
        .sum();
    assert_eq!(
        checkpoint_bytes(&graph, &all, false),
        4 * (values + 2 * trainable)
    );
    // 14.3 million values: about 172 MB with its moments.
    assert!((160_000_000..185_000_000).contains(&checkpoint_bytes(&graph, &all, false)));
}

#[test]
fn the_disk_must_hold_three_checkpoints() {
    let judge = |free| judge_disk(Path::new("runs/first"), 100_000_000, free);
    assert_eq!(judge(Some(349_000_000)).state, State::Fail);
    assert_eq!(judge(Some(351_000_000)).state, State::Warn);
    assert_eq!(judge(Some(900_000_000)).state, State::Ok);
    assert_eq!(judge(None).state, State::Warn);
    assert!(judge(Some(1)).what.contains("350 MB"));
}

#[test]
fn without_data_the_machine_is_looked_at_and_a_missing_device_fails() {
    let request = |device: &str| Request {
        device: device.into(),
        ..Request::default()
    };
    let found = inspect(&request("cpu"));
    assert!(found.iter().all(|f| f.state != State::Fail), "{found:?}");
    assert!(
        found
            .iter()
            .any(|f| f.subject == "data" && f.state == State::Warn)
    );
    let found = inspect(&request("abacus"));
    let device = found.iter().find(|f| f.state == State::Fail).unwrap();
    assert_eq!(device.subject, "device");
    assert!(device.what.contains("abacus") && device.remedy.is_some());
}
