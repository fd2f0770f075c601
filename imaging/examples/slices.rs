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
        counts[1] += count_of(&slice, 1);
        counts[2] += count_of(&slice, 2);
    }
    counts[0] = reader.geometry().voxels() - counts[1] - counts[2];
    Ok(format!(
        "{:?} slices x rows x columns, labels 0, 1, 2: {counts:?}",
        reader.geometry().shape()
    ))
}

/// Sums of at most 255 fit a byte, so that a vector register counts many pixels at once.
fn count_of(slice: &[u8], label: u8) -> u64 {
    let (pieces, rest) = slice.as_chunks::<128>();
    let count = |piece: &[u8]| {
        u64::from(
            piece
                .iter()
                .fold(0, |sum, &pixel| sum + u8::from(pixel == label)),
        )
    };
    pieces.iter().map(|piece| count(piece)).sum::<u64>() + count(rest)
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
