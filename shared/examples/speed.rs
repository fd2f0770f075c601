//! How long the work on one slice takes: `cargo run --release -p nephrobox-shared --example speed`.
//!
//! The targets: preprocessing 512 x 512 to 256 x 256 well below a millisecond, and measuring a long scan well below the
//! time its network takes.

use std::{hint::black_box, time::Instant};

use nephrobox_shared::{
    measure::{LabelMap, Midline, Spacing, measure},
    metrics::ConfusionMatrix,
    preprocess::{Interpolation, Preprocess},
};

/// The best of several runs in milliseconds: the least disturbed one.
fn best<T>(runs: usize, mut work: impl FnMut() -> T) -> f64 {
    (0..runs)
        .map(|_| {
            let start = Instant::now();
            black_box(work());
            start.elapsed().as_secs_f64() * 1e3
        })
        .fold(f64::INFINITY, f64::min)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (rows, cols) = (512, 512);
    let mut state = 1_u64;
    let hu: Vec<i16> = (0..rows * cols)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 54) as i16 - 400
        })
        .collect();
    let mut labels = vec![0; rows * cols];
    for (row, line) in labels
        .chunks_exact_mut(cols)
        .enumerate()
        .skip(200)
        .take(110)
    {
        line[120 - row % 7..210].fill(1);
        line[150..170 + row % 5].fill(2);
        line[330..400 + row % 3].fill(1);
    }

    for (name, interpolation, size) in [
        ("linear 512 to 256", Interpolation::Linear, 256),
        ("area 512 to 256", Interpolation::Area, 256),
        ("area 512 to 224", Interpolation::Area, 224),
        ("linear 512 to 512", Interpolation::Linear, 512),
    ] {
        let preprocess = Preprocess {
            interpolation,
            rows: size,
            cols: size,
            ..Preprocess::default()
        };
        let mut out = vec![0.0; size * size];
        preprocess.image(&hu, rows, cols, &mut out)?;
        let ms = best(200, || preprocess.image(&hu, rows, cols, &mut out));
        println!("image, {name}: {ms:.3} ms");
    }

    let preprocess = Preprocess::default();
    let mut small = vec![0; 256 * 256];
    preprocess.labels(&labels, rows, cols, &mut small)?;
    let mut back = vec![0; rows * cols];
    let ms = best(200, || {
        preprocess.labels_back(&small, rows, cols, &mut back)
    });
    println!("labels back, 256 to 512: {ms:.3} ms");
    let mut matrix = ConfusionMatrix::new();
    let ms = best(200, || matrix.add(&small, &small, 1.0));
    println!("confusion matrix, 256 x 256: {ms:.3} ms");
    let mut midline = Midline::new();
    let ms = best(200, || midline.add(&hu, cols));
    println!("midline, 512 x 512: {ms:.3} ms");

    let slices = 1059;
    let mut map = LabelMap::new(rows, cols)?;
    for _ in 0..slices {
        map.push(&labels)?;
    }
    let ms = best(200, || map.set(0, &labels));
    println!("label map: {ms:.3} ms a slice");
    let spacing = Spacing::new(0.5, 0.8, 0.8)?;
    let ms = best(3, || measure(&map, spacing, midline.column()));
    println!("measure, {slices} slices with kidney in each: {ms:.1} ms");
    Ok(())
}
