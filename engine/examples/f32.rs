//! How long the CPU executor in f32 takes for one slice, for a program the size of a U-Net on a ResNet101.
//!
//! ```text
//! cargo run --release -p nephrobox-engine --example f32 -- [threads 1] [runs 10]
//! ```
//!
//! Weights are random: neither time nor memory depends on them. `NEPHROBOX_KERNELS` chooses the kernels. Machines differ and
//! share their cores, so the time for the same number of multiplications without memory stands beside it.

use std::error::Error;
use std::time::Instant;

use nephrobox_engine::cpu::f32::{Network, Settings};
use nephrobox_engine::model::SliceModel as _;

mod support;
use support::{mib, peak_memory, unet};

const SIDE: usize = 256;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let threads: usize = arguments.next().map_or(Ok(1), |a| a.parse())?;
    let runs: usize = arguments.next().map_or(Ok(10), |a| a.parse())?;

    let (program, tensors) = unet([3, 4, 23, 3], true)?;
    let start = Instant::now();
    let settings = Settings {
        threads,
        ..Settings::default()
    };
    let mut network = Network::new(&program, tensors, [SIDE; 2], settings)?;
    println!(
        "{} kernels, {threads} threads; prepared in {:.2} s, {:.1} MiB of values",
        network.kernels(),
        start.elapsed().as_secs_f64(),
        mib(network.value_bytes() as u64),
    );

    let image: Vec<f32> = (0..SIDE * SIDE).map(|i| (i % 251) as f32 / 250.0).collect();
    let mut labels = vec![0; image.len()];
    let mut times = Vec::new();
    for _ in 0..=runs {
        let start = Instant::now();
        network.segment(&image, 1, &mut labels)?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    let first = times.remove(0);
    times.sort_by(f64::total_cmp);
    if let (Some(best), Some(median)) = (times.first(), times.get(times.len() / 2)) {
        println!(
            "{best:.1} ms a slice at best, median {median:.1} ms of {runs} runs, first {first:.1} ms"
        );
    }
    println!("{}", peak_memory());
    Ok(())
}
