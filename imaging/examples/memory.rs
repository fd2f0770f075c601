//! Proves the memory promises: generates volumes of 1,059 slices of 512 x 512 (KiTS19's longest), reads each through in a process
//! of its own and holds that process's peak against the limit. Exits with 1 if any limit is broken.
//!
//! `cargo run --release -p nephrobox-imaging --example memory [-- SLICES]`; Linux only (`/proc/self/status`), about 1 GB of
//! temporary files.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use flate2::Compression;
use flate2::write::GzEncoder;
use nephrobox_imaging::{LabelReader, ScanReader, write_labels};

#[path = "../tests/support/mod.rs"]
mod support;
use support::{Declared, F32, I16, Order, RawNifti, U8, U16, place};

const SIDE: usize = 512;

/// Streaming may take this much, however many slices there are.
const STREAMING_LIMIT_MB: f64 = 150.0;

/// Holding may take this many times the volume in 16 bits.
const HOLDING_LIMIT: f64 = 1.2;

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let done = match args
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        ["read-scan", path] => read_scan(path.as_ref()),
        ["read-labels", path] => read_labels(path.as_ref(), false),
        ["full-labels", path] => read_labels(path.as_ref(), true),
        [] => compare(1059),
        [slices] => slices.parse().map_err(Into::into).and_then(compare),
        _ => Err("usage: memory [SLICES]".into()),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

fn compare(slices: usize) -> Result<bool, Failure> {
    let folder = tempfile::tempdir()?;
    let volume_mb = (slices * SIDE * SIDE * 2) as f64 / 1e6;
    println!("{slices} slices of {SIDE} x {SIDE}: {volume_mb:.0} MB in 16 bits");
    println!(
        "{:<36} {:>9} {:>9} {:>9} {:>8}",
        "file", "size MB", "peak MB", "limit MB", "seconds"
    );
    let fastest = ("fastest axis", Order::KITS);
    let middle = (
        "middle axis",
        Order {
            axes: [2, 0, 1],
            reversed: [false; 3],
        },
    );
    let slowest = (
        "slowest axis",
        Order {
            axes: [2, 1, 0],
            reversed: [false; 3],
        },
    );
    let mut kept = true;
    for (axis, order) in [slowest, fastest, middle] {
        for (kind, datatype, actions) in [
            ("i16", I16, &["read-scan"][..]),
            ("f32", F32, &["read-scan"]),
            ("u8 labels", U8, &["read-labels", "full-labels"]),
            ("u16 labels", U16, &["read-labels"]),
        ] {
            let path = folder.path().join("volume.nii.gz");
            generate(&path, order, [slices, SIDE, SIDE], datatype)?;
            let size_mb = path.metadata()?.len() as f64 / 1e6;
            for action in actions {
                let start = Instant::now();
                let output = Command::new(std::env::current_exe()?)
                    .args([action.as_ref(), path.as_os_str()])
                    .output()?;
                let seconds = start.elapsed().as_secs_f64();
                if !output.status.success() {
                    return Err(String::from_utf8_lossy(&output.stderr).into());
                }
                let peak_mb: f64 = String::from_utf8(output.stdout)?.trim().parse()?;
                let limit_mb = if axis.starts_with("slow") {
                    STREAMING_LIMIT_MB
                } else {
                    HOLDING_LIMIT * volume_mb
                };
                let name = format!(
                    "{kind}, slices on the {axis}{}",
                    if *action == "full-labels" {
                        " written full"
                    } else {
                        ""
                    }
                );
                println!("{name:<36} {size_mb:>9.1} {peak_mb:>9.1} {limit_mb:>9.1} {seconds:>8.2}");
                kept &= peak_mb <= limit_mb;
            }
            std::fs::remove_file(path)?;
        }
    }
    println!(
        "{}",
        if kept {
            "all limits kept"
        } else {
            "a limit is broken"
        }
    );
    Ok(kept)
}

/// A body with a few HU of noise, or two blobs of labels; written as it is made, so that this process stays small, too.
fn generate(path: &Path, order: Order, shape: [usize; 3], datatype: i16) -> Result<(), Failure> {
    let mut raw = RawNifti::new(order.file_shape(shape), datatype, []);
    place(
        &mut raw,
        &order.affine(shape, [0.5, 0.8, 0.8], [0.0; 3]),
        Declared::Sform,
    );
    let mut out = GzEncoder::new(BufWriter::new(File::create(path)?), Compression::fast());
    out.write_all(&raw.bytes())?;
    let labels = datatype == U8 || datatype == U16;
    let middle = SIDE as f64 / 2.0;
    let mut noise = 1u32;
    let mut line = Vec::new();
    for [s, r, c] in order.indices(shape) {
        let across = (c as f64 - middle).abs();
        let down = r as f64 - middle;
        let value = if labels {
            let along = (s as f64 / shape[0] as f64 - 0.5).abs() * 400.0;
            let radius = ((across - 110.0).powi(2) + down.powi(2) + along.powi(2)).sqrt();
            if radius < 12.0 {
                2.0
            } else if radius < 50.0 {
                1.0
            } else {
                0.0
            }
        } else {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let inside = (across / 230.0).powi(2) + (down / 150.0).powi(2) < 1.0;
            if inside {
                f64::from(noise >> 28) + 30.0
            } else {
                -1000.0
            }
        };
        match datatype {
            U8 => line.push(value as u8),
            I16 | U16 => line.extend((value as i16).to_le_bytes()),
            _ => line.extend((value as f32).to_le_bytes()),
        }
        if line.len() >= 1 << 16 {
            out.write_all(&line)?;
            line.clear();
        }
    }
    out.write_all(&line)?;
    out.finish()?.flush()?;
    Ok(())
}

fn read_scan(path: &Path) -> Result<bool, Failure> {
    let mut reader = ScanReader::open(path)?;
    let mut slice = vec![0; reader.geometry().slice_len()];
    while reader.next_slice(&mut slice)?.is_some() {}
    print_peak()
}

fn read_labels(path: &Path, full: bool) -> Result<bool, Failure> {
    let mut reader = LabelReader::open(path)?;
    let mut slice = vec![0; reader.geometry().slice_len()];
    if full {
        // The worst label map there is: no background anywhere, so that every page is needed, in writing and in reading it back.
        let geometry = reader.geometry().clone();
        let full = path.with_file_name("full.nii.gz");
        write_labels(&full, &geometry, &mut |index, out| {
            out.fill(1 + (index % 2) as u8)
        })?;
        reader = LabelReader::open(full)?;
    }
    while reader.next_slice(&mut slice)?.is_some() {}
    print_peak()
}

fn print_peak() -> Result<bool, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .ok_or("no VmHWM in /proc/self/status")?;
    let kilobytes: f64 = peak.trim().trim_end_matches(" kB").parse()?;
    println!("{:.1}", kilobytes * 1024.0 / 1e6);
    Ok(true)
}
