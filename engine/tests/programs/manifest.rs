//! A manifest for any small network.

use nephrobox_shared::package::{Input, Manifest, TestScores, Training};
use nephrobox_shared::preprocess::Preprocess;

/// Of a model that takes square slices of `side` pixels.
pub(crate) fn manifest(channels: u32, side: usize) -> Manifest {
    Manifest {
        name: "test".into(),
        version: 7,
        encoder: "random".into(),
        input: Input {
            preprocess: Preprocess {
                rows: side,
                cols: side,
                ..Preprocess::default()
            },
            channels: channels as u8,
            scale: 255,
        },
        classes: Manifest::kits_classes(),
        training: Training {
            licence_notice: "none needed for noise".into(),
            ..Training::default()
        },
        scores: TestScores::default(),
        calibration: None,
        self_test: Vec::new(),
    }
}
