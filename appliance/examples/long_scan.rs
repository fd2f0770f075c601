//! What segmenting 1,059 slices of 512 x 512 (KiTS19's longest case) takes in memory besides the network: a tiny network on
//! a scan whose slices follow one another in the file, and on one in KiTS19's layout, whose slices are the fastest axis.
//! Each runs in a process of its own. Exits with 1 if a limit is broken.
//!
//! `cargo run --release -p nephrobox --example long_scan [-- SLICES]`; Linux only, about 1 GB of temporary files.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use clap::Parser;
use flate2::Compression;
use flate2::write::GzEncoder;
use nephrobox::cli::Cli;
use nephrobox_engine::package::Model;
use nephrobox_engine::program::{Builder, Storage, Tensor};
use nephrobox_shared::package::{Input, Manifest, TestScores, Training};
use nephrobox_shared::preprocess::Preprocess;

const SIDE: usize = 512;

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args[..] {
        ["segment", scan, model, out] => segment(scan, model, out),
        [] => compare(1059),
        [slices] => slices.parse().map_err(Into::into).and_then(compare),
        _ => Err("usage: long_scan [SLICES]".into()),
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

/// Makes both scans, segments each in a child process and holds its peak against the limit.
fn compare(slices: usize) -> Result<bool, Failure> {
    let folder = tempfile::tempdir()?;
    let volume_mb = (slices * SIDE * SIDE * 2) as f64 / 1e6;
    let model = folder.path().join("tiny.nbx");
    tiny_model(&model)?;
    println!("{slices} slices of {SIDE} x {SIDE}, {volume_mb:.0} MB in 16 bits");
    println!(
        "{:<24}{:>10}{:>12}{:>10}",
        "slices in the file", "peak MB", "limit MB", "seconds"
    );
    let mut kept = true;
    for (layout, slowest, limit) in [
        ("one after another", true, 150.0),
        ("fastest axis (KiTS19)", false, 1.2 * volume_mb),
    ] {
        let scan = folder.path().join("scan.nii.gz");
        write_scan(&scan, slices, slowest)?;
        let start = Instant::now();
        let child = Command::new(std::env::current_exe()?)
            .args([
                "segment".as_ref(),
                scan.as_os_str(),
                model.as_os_str(),
                folder.path().join(layout).as_os_str(),
            ])
            .output()?;
        let seconds = start.elapsed().as_secs_f64();
        let said = String::from_utf8(child.stdout)?;
        let peak = said
            .lines()
            .find_map(|line| line.strip_prefix("peak ")?.parse::<f64>().ok());
        let peak =
            peak.ok_or_else(|| format!("{said}{}", String::from_utf8_lossy(&child.stderr)))?;
        kept &= peak <= limit;
        println!("{layout:<24}{peak:>10.0}{limit:>12.0}{seconds:>10.1}");
    }
    Ok(kept)
}

/// In the child: the command a user would give, then this process's peak.
fn segment(scan: &str, model: &str, out: &str) -> Result<bool, Failure> {
    let cli = Cli::parse_from([
        "nephrobox",
        "segment",
        scan,
        "--model",
        model,
        "--out",
        out,
        "--device",
        "cpu",
    ]);
    nephrobox::cli::run(cli, &mut std::io::sink())?;
    let status = std::fs::read_to_string("/proc/self/status")?;
    let kilobytes = status.lines().find_map(|line| {
        line.strip_prefix("VmHWM:")?
            .trim()
            .strip_suffix(" kB")?
            .trim()
            .parse::<f64>()
            .ok()
    });
    println!(
        "peak {}",
        kilobytes.ok_or("no VmHWM in /proc/self/status")? * 1024.0 / 1e6
    );
    Ok(true)
}

/// One 1x1 convolution: above 55 HU kidney, above 155 HU tumour.
fn tiny_model(path: &Path) -> Result<(), Failure> {
    let mut b = Builder::new(1, 1);
    let weight = b.tensor(Tensor::f32(
        "weight",
        vec![3, 1, 1, 1],
        vec![0.0, 10.0, 20.0],
    )?);
    let bias = b.tensor(Tensor::f32("bias", vec![3], vec![0.0, -5.143, -13.143])?);
    let logits = b.conv2d(b.input(), weight, Some(bias), 1, 0);
    let (program, tensors) = b.finish(logits, 3)?;
    let manifest = Manifest {
        name: "threshold".into(),
        version: 1,
        encoder: "none".into(),
        input: Input {
            preprocess: Preprocess::default(),
            channels: 1,
            scale: 1,
        },
        classes: Manifest::kits_classes(),
        training: Training {
            licence_notice: "made by hand, no conditions".into(),
            ..Training::default()
        },
        scores: TestScores::default(),
        calibration: None,
        self_test: Vec::new(),
    };
    Model::new(manifest, program, tensors)?.save(path, Storage::F32)?;
    Ok(())
}

/// A body with two kidneys, one with a tumour, in the middle third of the slices.
fn hu([slice, row, col]: [usize; 3], slices: usize) -> i16 {
    let within = |r: usize, c: usize, size: usize| row.abs_diff(r) < size && col.abs_diff(c) < size;
    let kidneys = (slices / 3..2 * slices / 3).contains(&slice);
    match () {
        () if kidneys && within(300, 380, 14) => 190,
        () if kidneys && (within(300, 150, 30) || within(300, 360, 30)) => 120,
        () if within(256, 256, 180) => 20 + ((slice + row * 3 + col) % 5) as i16,
        () => -1000,
    }
}

/// NIfTI-1 with an sform, 16 bits; the slice axis is the file's last or its first.
fn write_scan(path: &Path, slices: usize, slowest: bool) -> Result<(), Failure> {
    let mut header = [0_u8; 352];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    // Row and column axes run to the back and to the left, slices to the feet.
    let (shape, directions): ([usize; 3], [[f32; 3]; 3]) = if slowest {
        (
            [SIDE, SIDE, slices],
            [[-0.8, 0.0, 0.0], [0.0, -0.8, 0.0], [0.0, 0.0, -1.0]],
        )
    } else {
        (
            [slices, SIDE, SIDE],
            [[0.0, 0.0, -0.8], [0.0, -0.8, 0.0], [-1.0, 0.0, 0.0]],
        )
    };
    put(0, &348_i32.to_le_bytes());
    for (i, n) in [3, shape[0], shape[1], shape[2], 1, 1, 1, 1]
        .into_iter()
        .enumerate()
    {
        put(40 + 2 * i, &(n as i16).to_le_bytes());
    }
    put(70, &4_i16.to_le_bytes());
    put(72, &16_i16.to_le_bytes());
    let spacing = if slowest {
        [0.8, 0.8, 1.0]
    } else {
        [1.0, 0.8, 0.8_f32]
    };
    for (i, mm) in [1.0, spacing[0], spacing[1], spacing[2]]
        .into_iter()
        .enumerate()
    {
        put(76 + 4 * i, &mm.to_le_bytes());
    }
    put(108, &352_f32.to_le_bytes());
    put(112, &1_f32.to_le_bytes());
    put(123, &[2]); // millimetres
    put(254, &1_i16.to_le_bytes());
    for (row, values) in directions.iter().enumerate() {
        for (column, value) in values.iter().enumerate() {
            put(280 + 16 * row + 4 * column, &value.to_le_bytes());
        }
    }
    put(344, b"n+1\0");
    let mut out = GzEncoder::new(BufWriter::new(File::create(path)?), Compression::fast());
    out.write_all(&header)?;
    let mut line = Vec::new();
    for slow in 0..shape[2] {
        line.clear();
        for middle in 0..shape[1] {
            for fast in 0..shape[0] {
                let place = if slowest {
                    [slow, middle, fast]
                } else {
                    [fast, middle, slow]
                };
                line.extend_from_slice(&hu(place, slices).to_le_bytes());
            }
        }
        out.write_all(&line)?;
    }
    out.finish()?.flush()?;
    Ok(())
}
