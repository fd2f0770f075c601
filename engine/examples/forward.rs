//! How long one forward pass takes and how much memory, for a program the size of a U-Net on a ResNet18.
//!
//! ```text
//! RAYON_NUM_THREADS=1 cargo run --release -p nephrobox-engine --example forward -- [batch 1] [runs 10] [device cpu]
//! ```
//!
//! Weights are random: neither time nor memory depends on them.

use std::error::Error;
use std::time::Instant;

use nephrobox_engine::burn::Executor;
use nephrobox_engine::device;

mod support;
use support::{mib, peak_memory, unet};

const SIDE: usize = 256;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let batch: usize = arguments.next().map_or(Ok(1), |a| a.parse())?;
    let runs: usize = arguments.next().map_or(Ok(10), |a| a.parse())?;
    let device = device::select(arguments.next().as_deref().unwrap_or("cpu"))?;

    let (program, tensors) = unet([2, 2, 2, 2], false)?;
    let mut executor = Executor::from_program(&program, &tensors, [SIDE, SIDE], 1.0, &device)?;
    drop(tensors);
    let plan = executor.plan();
    println!(
        "{} operations, {:.1} MiB of weights, {:.1} MiB of values for an image of {SIDE} x {SIDE}",
        program.ops.len(),
        mib(plan.weight_bytes()),
        mib(plan.peak_value_bytes(SIDE, SIDE)),
    );

    let images: Vec<f32> = (0..batch * SIDE * SIDE)
        .map(|i| (i % 251) as f32 / 250.0)
        .collect();
    let mut labels = vec![0; images.len()];
    let mut times = Vec::new();
    for _ in 0..=runs {
        let start = Instant::now();
        executor.labels(&images, batch, SIDE, SIDE, &mut labels)?;
        times.push(start.elapsed().as_secs_f64() * 1e3 / batch as f64);
    }
    let first = times.remove(0);
    times.sort_by(f64::total_cmp);
    if let (Some(best), Some(median)) = (times.first(), times.get(times.len() / 2)) {
        println!(
            "{} device, batch {batch}: {best:.1} ms a slice at best, median {median:.1} ms of {runs} runs, first {first:.1} ms",
            device::name(&device),
        );
    }
    println!("{}", peak_memory());
    Ok(())
}
