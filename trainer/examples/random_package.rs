//! A package of any encoder with random weights and statistics, to try converters and runtimes with.
//!
//! ```text
//! cargo run --release -p nephrotrain --example random_package -- OUT.nbx resnet101 [channels 3] [side 256] [seed 1]
//! ```
//!
//! Weights have the size of a trained network's, so nothing in it is trivially zero; it outlines nothing.

use std::error::Error;

use burn::tensor::Device;
use nephrobox_engine::package::Model;
use nephrobox_engine::program::Storage;
use nephrobox_shared::package::{Input, Manifest, TestScores, Training};
use nephrobox_shared::preprocess::Preprocess;
use nephrotrain::network::{Encoder, Parameters, UnetSpec, lower};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: random_package OUT.nbx ENCODER [channels 3] [side 256] [seed 1]";
    let out = arguments.next().ok_or(usage)?;
    let encoder: Encoder = arguments.next().ok_or(usage)?.parse()?;
    let channels: usize = arguments.next().map_or(Ok(3), |a| a.parse())?;
    let side: usize = arguments.next().map_or(Ok(256), |a| a.parse())?;
    let seed: u64 = arguments.next().map_or(Ok(1), |a| a.parse())?;

    let graph = UnetSpec::paper(encoder, channels).graph();
    let parameters = Parameters::random(&graph, seed, &Device::flex());
    let (program, tensors) = lower(&graph, &parameters)?;
    let manifest = Manifest {
        name: format!("random-{encoder}"),
        version: 1,
        encoder: encoder.to_string(),
        input: Input {
            preprocess: Preprocess {
                rows: side,
                cols: side,
                ..Preprocess::default()
            },
            channels: u8::try_from(channels)?,
            scale: 1,
        },
        classes: Manifest::kits_classes(),
        training: Training {
            seed,
            licence_notice: "random weights, no conditions".into(),
            ..Training::default()
        },
        scores: TestScores::default(),
        calibration: None,
        self_test: Vec::new(),
    };
    let hash = Model::new(manifest, program, tensors)?.save(&out, Storage::F32)?;
    println!("{out}: {hash}");
    Ok(())
}
