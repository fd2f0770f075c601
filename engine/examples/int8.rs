//! Times the integer executor on the ResNet101 U-Net with random weights, or on a package.
//!
//! ```text
//! cargo run --release -p nephrobox-engine --example int8 -- [threads 1] [runs 20] [side 256] [package]
//! ```
//!
//! The last line is a fingerprint of the logits and labels of one more slice, the same on every processor; with 0 runs only that slice is
//! computed. Between the first line and the second a program does the runs and nothing else, for `tools/cross/instructions.sh` to count.

use std::error::Error;
use std::time::Instant;

use nephrobox_engine::cpu::int8::{KERNELS, Network, Options};
use nephrobox_engine::model::{LogitsModel as _, SliceModel as _};
use nephrobox_engine::package::Model;
use nephrobox_engine::program::{
    Op, Precision, Program, Rewrites, Site, Tensors, ValueId, argmax, quantised, rewrite, sites,
};

mod support;
use support::{mib, peak_memory, unet};

/// A ResNet101 in integers. The grids are guesses: no time depends on them.
fn resnet101() -> Result<(Program, Tensors), Box<dyn Error>> {
    let (program, tensors) = unet([3, 4, 23, 3], true)?;
    let wanted = Rewrites {
        phases: true,
        repeated: true,
    };
    let (program, tensors) = rewrite(&program, tensors, wanted)?;
    let grid = |site: Site| {
        (
            site,
            if site.precision == Precision::U8 {
                0.02
            } else {
                0.001
            },
        )
    };
    let grids: Vec<_> = sites(&program).into_iter().map(grid).collect();
    let stem = program
        .ops
        .iter()
        .find(|op| matches!(op, Op::Conv2d { .. }));
    let wide: Vec<ValueId> = stem.map(Op::output).into_iter().collect();
    Ok(quantised(&program, &tensors, &grids, &wide)?)
}

/// FNV-1a in 64 bits: finds any difference between two runs, and wants no crate.
fn fingerprint(bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |otherwise: usize| arguments.next().map_or(Ok(otherwise), |a| a.parse());
    let (threads, runs, side) = (number(1)?, number(20)?, number(256)?);
    let (program, tensors, input_scale) = if let Some(package) = arguments.next() {
        let (manifest, program, tensors) = Model::load(package)?.model.into_parts();
        (program, tensors, manifest.input.scale.into())
    } else {
        let (program, tensors) = resnet101()?;
        (program, tensors, 1.0)
    };
    let image: Vec<f32> = (0..side * side)
        .map(|i| (i * 7919 % 1000) as f32 / 1000.0)
        .collect();
    let start = Instant::now();
    let options = Options {
        size: [side, side],
        input_scale,
        threads,
        kernels: KERNELS.choose()?,
    };
    let mut network = Network::new(&program, tensors, options)?;
    let packed_ms = start.elapsed().as_secs_f64() * 1e3;
    let footprint = network.footprint();
    let mut labels = vec![0; side * side];
    println!(
        "{}: packed in {packed_ms:.0} ms, {:.1} MiB of weights, {:.1} MiB of values, {:.2} GMAC",
        network.kernels(),
        mib(footprint.weights as u64),
        mib(footprint.values as u64),
        footprint.macs as f64 / 1e9
    );
    let mut times = Vec::with_capacity(runs);
    for _ in 0..runs {
        let start = Instant::now();
        network.segment(&image, 1, &mut labels)?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    if let (Some(least), Some(median)) = (times.first(), times.get(runs / 2)) {
        println!(
            "{threads} threads: least {least:.2} ms, median {median:.2} ms, {:.0} Gop/s",
            2.0 * footprint.macs as f64 / least / 1e6
        );
        println!("{}", peak_memory());
    }
    let logits = network.logits(&image, 1)?;
    argmax(&logits, &mut labels)?;
    let mut counts = [0; 3];
    for &label in &labels {
        counts[usize::from(label)] += 1;
    }
    let bytes = logits.iter().flat_map(|logit| logit.to_le_bytes());
    println!(
        "{} logits, fingerprint {:016x}; pixels of each class {counts:?}",
        logits.len(),
        fingerprint(bytes.chain(labels.iter().copied()))
    );
    Ok(())
}
