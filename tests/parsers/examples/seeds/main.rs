//! Writes the seeds of all fuzz targets, one folder each.
//!
//! ```text
//! cargo run -p nephrobox-parsers --example seeds -- fuzz/corpus [FOLDER WITH REAL FILES]
//! ```
//!
//! Real files are taken by their endings from the second folder and all below it, if they are small enough to be damaged often: at most 64 KiB; of
//! larger volumes the beginning is taken, which holds what a parser believes.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

mod made;

/// Larger files are cut off, in bytes.
const LARGEST: usize = 64 << 10;
/// Files of each ending; more of a kind teach a fuzzer nothing.
const ENOUGH: usize = 40;

/// Which target a file is for, by its ending.
const ENDINGS: &[(&str, &str)] = &[
    (".nii.gz", "nifti"),
    (".nii", "nifti"),
    (".dcm", "dicom_series"),
    (".h5", "keras_h5"),
    (".safetensors", "safetensors"),
    (".pth", "torch_pth"),
    (".toml", "config"),
];

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1).map(PathBuf::from);
    let out = arguments
        .next()
        .ok_or("give the folder that the seeds go to")?;
    let real = arguments.next();
    for target in made::TARGETS {
        let folder = out.join(target);
        fs::create_dir_all(&folder)?;
        let mut seeds = made::seeds(target);
        if let Some(real) = &real {
            seeds.extend(real_files(real, target)?);
        }
        for (_, bytes) in &seeds {
            fs::write(folder.join(blake3::hash(bytes).to_hex().as_str()), bytes)?;
        }
        println!("{target}: {} seeds", seeds.len());
    }
    Ok(())
}

fn real_files(folder: &Path, target: &str) -> Result<Vec<made::Seed>, Box<dyn Error>> {
    let mut seeds = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let mut paths = Vec::new();
        for entry in fs::read_dir(folder)? {
            paths.push(entry?.path());
        }
        paths.sort();
        for path in paths {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.to_string_lossy().into_owned();
            let of = ENDINGS.iter().find(|(ending, _)| name.ends_with(ending));
            if of.is_some_and(|(_, of)| *of == target) && seeds.len() < ENOUGH {
                let mut bytes = fs::read(&path)?;
                bytes.truncate(LARGEST);
                seeds.push((name, bytes));
            }
        }
    }
    Ok(seeds)
}
