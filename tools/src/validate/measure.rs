//! One scan: the box's label map against the truth, as the packed scores were taken, and against the workstation's, voxel by voxel.
//!
//! The packed scores are taken at the network's size, on chosen slices. A box gives label maps at the scan's size; its nearest
//! neighbour repeats pixels of the network's map and loses none where the scan is at least as large, so that map is
//! recovered exactly ([`Preprocess::labels_recovered`]) and meets the same small truth as in training.

use std::path::Path;

use nephrobox_dataset::Options;
use nephrobox_dataset::labels::LabelScan;
use nephrobox_imaging::{ImagingError, LabelReader};
use nephrobox_shared::measure::LabelMap;
use nephrobox_shared::metrics::ConfusionMatrix;
use serde::{Deserialize, Serialize};

use super::cases::{Volume, unusable};
use crate::failure::{Exit, Failure, told};

#[cfg(doc)]
use nephrobox_shared::preprocess::Preprocess;

/// What one scan gave.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Pixels of the scored slices at the network's size, `[truth][box]`.
    pub counts: ConfusionMatrix,
    /// Scored slices.
    pub slices: u64,
    /// Pixels of each scored slice that cannot be recovered from a label map at the scan's size; they count as background.
    pub lost: u64,
    /// Voxels of the whole scan.
    pub voxels: u64,
    /// Those that the box labelled otherwise than the workstation.
    pub different: u64,
}

/// Measures the label map of the scan `volume` of the case `name`, which the box left at `labels`.
///
/// # Errors
/// If a file cannot be read, or the label map does not lie on the scan's grid.
pub(super) fn measure(
    options: &Options,
    name: &str,
    volume: &Volume,
    labels: &Path,
    workstation: &LabelMap,
) -> Result<Measured, Failure> {
    let (truth, maps) = LabelScan::read_with_maps(&volume.segmentation, &options.preprocess)
        .map_err(|error| unusable(&error))?;
    let kept = options.kept(name, volume.source, &truth);
    if kept.len() != volume.kept {
        return Err(Failure::new(
            Exit::Internal,
            format_args!(
                "{} slices would be scored, and {} were scored in training",
                kept.len(),
                volume.kept
            ),
            volume.segmentation.display(),
            "report this with the package and fingerprint.json; it is a fault in nephroctl",
        ));
    }
    let from_box = |error: &dyn std::error::Error| {
        let remedy = "run the validation again; if it stays so, the box is at fault";
        told(Exit::Input, error, labels.display(), remedy)
    };
    let mut reader = LabelReader::open(labels).map_err(|error| from_box(&error))?;
    truth
        .geometry
        .same_grid(reader.geometry())
        .map_err(|source| {
            from_box(&ImagingError::GridsDiffer {
                image: volume.imaging.clone(),
                labels: labels.to_owned(),
                source,
            })
        })?;

    let [_, rows, cols] = reader.geometry().shape();
    let preprocess = &options.preprocess;
    let nothing = vec![0; preprocess.rows * preprocess.cols];
    let mut small = nothing.clone();
    let (mut found, mut expected) = (vec![0; rows * cols], vec![0; rows * cols]);
    let mut measured = Measured {
        counts: ConfusionMatrix::new(),
        slices: kept.len() as u64,
        lost: 0,
        voxels: reader.geometry().voxels(),
        different: 0,
    };
    while let Some(slice) = reader
        .next_slice(&mut found)
        .map_err(|error| from_box(&error))?
    {
        workstation
            .read(slice, &mut expected)
            .map_err(|error| internal(&error, labels))?;
        let differ = found.iter().zip(&expected).filter(|(a, b)| a != b);
        measured.different += differ.count() as u64;
        if kept.binary_search(&(slice as u32)).is_err() {
            continue;
        }
        let lost = preprocess
            .labels_recovered(&found, rows, cols, &mut small)
            .map_err(|error| internal(&error, labels))?;
        measured.lost = lost as u64;
        let truth = maps.get(&slice).unwrap_or(&nothing);
        measured
            .counts
            .add(truth, &small, 1.0)
            .map_err(|error| internal(&error, labels))?;
    }
    Ok(measured)
}

/// A contradiction that no file can be blamed for: all of them were checked.
fn internal(error: &dyn std::error::Error, place: &Path) -> Failure {
    let remedy = "report this with the scan's header; it is a fault in nephroctl";
    told(Exit::Internal, error, place.display(), remedy)
}
