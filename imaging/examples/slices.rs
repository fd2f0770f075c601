//! Reads every slice of a volume and prints its counts or HU range, the time it took and the peak memory.
//!
//! `cargo run --release -p nephrobox-imaging --example slices -- [--labels] FILE...`

use std::process::ExitCode;
use std::time::Instant;

use nephrobox_imaging::{ImagingError, LabelReader, ScanReader};

fn main() -> ExitCode {
    let (flags, files): (Vec<_>, Vec<_>) = std::env::args()
        .skip(1)
        .partition(|arg| arg.starts_with("--"));
    let labels = match flags.as_slice() {
        [] => false,
        [flag] if flag == "--labels" => true,
        _ => {
            eprintln!("usage: slices [--labels] FILE...");
            return ExitCode::from(2);
        }
    };
    for file in &files {
        let start = Instant::now();
        match if labels { count(file) } else { range(file) } {
            Ok(line) => println!("{file}: {line}, {:.3} s", start.elapsed().as_secs_f64()),
            Err(error) => {
                eprintln!("{error}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

fn count(file: &str) -> Result<String, ImagingError> {
    let mut reader = LabelReader::open(file)?;
    let mut slice = vec![0; reader.geometry().slice_len()];
    let mut counts = [0u64; 3];
    while reader.next_slice(&mut slice)?.is_some() {
        for (label, count) in counts.iter_mut().enumerate() {
            *count += slice
                .iter()
                .filter(|&&value| usize::from(value) == label)
                .count() as u64;
        }
    }
    counts[0] = reader.geometry().voxels() - counts[1] - counts[2];
    Ok(format!(
        "{:?} slices x rows x columns, labels 0, 1, 2: {counts:?}",
        reader.geometry().shape()
    ))
}

fn range(file: &str) -> Result<String, ImagingError> {
    let mut reader = ScanReader::open(file)?;
    let mut slice = vec![0; reader.geometry().slice_len()];
    let (mut low, mut high) = (i16::MAX, i16::MIN);
    while reader.next_slice(&mut slice)?.is_some() {
        low = slice.iter().fold(low, |low, &hu| low.min(hu));
        high = slice.iter().fold(high, |high, &hu| high.max(hu));
    }
    Ok(format!(
        "{:?} slices x rows x columns, {low} to {high} HU",
        reader.geometry().shape()
    ))
}
