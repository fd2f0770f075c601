//! `nephroctl score`: how well a label map agrees with the truth, for a validator with labelled scans.
//!
//! Counts voxels of the whole volume, at the scan's own resolution, unweighted. The two files may be stored in
//! different axis orders; they must be on the same grid.

use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};

use nephrobox_imaging::{ImagingError, LabelReader};
use nephrobox_shared::class::Class;
use nephrobox_shared::metrics::{ConfusionMatrix, KitsDice};
use serde_json::json;

use crate::failure::{Exit, Failure, say, say_json, told};

/// Shown after the options.
pub(crate) const EXAMPLES: &str = "\
Examples:
  nephroctl score result/labels.nii.gz --truth case_00001/segmentation.nii.gz
  nephroctl score result/labels.nii.gz --truth truth.nii.gz --json

`kidney` is the kidney without its tumour; the KiTS19 challenge's kidney includes it and is printed apart.";

/// Options of `nephroctl score`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The label map to judge (values 0, 1, 2).
    pub labels: PathBuf,
    /// The true label map on the same grid.
    #[arg(long)]
    pub truth: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Compares two label maps and prints Dice, recall and precision.
///
/// # Errors
/// If a file cannot be read or the two are not on the same grid.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    let matrix = compare(args)?;
    let kits = KitsDice::of(&matrix);
    if args.json {
        let class = |c: Class| json!({ "dice": matrix.dice(c), "recall": matrix.recall(c), "precision": matrix.precision(c) });
        let value = json!({
            "background": class(Class::Background), "kidney": class(Class::Kidney), "tumour": class(Class::Tumour),
            "kits19_kidney_and_tumour_dice": kits.kidney_and_tumour(), "kits19_composite_dice": kits.composite(),
            "voxels": matrix.weights(),
        });
        return say_json(out, &format!("{value:#}\n"));
    }
    let percent =
        |v: Option<f64>| v.map_or("undefined".to_string(), |v| format!("{:.2} %", 100.0 * v));
    let mut text = format!(
        "{:<12}{:>12}{:>12}{:>12}\n",
        "", "Dice", "recall", "precision"
    );
    for class in Class::ALL {
        let [dice, recall, precision] = [
            matrix.dice(class),
            matrix.recall(class),
            matrix.precision(class),
        ]
        .map(percent);
        let _ = writeln!(
            text,
            "{:<12}{dice:>12}{recall:>12}{precision:>12}",
            class.name()
        );
    }
    let merged = percent(kits.kidney_and_tumour());
    let _ = writeln!(text, "KiTS19 challenge, kidney with tumour: {merged}");
    say(out, &text)
}

/// Counts every voxel of both maps.
fn compare(args: &Args) -> Result<ConfusionMatrix, Failure> {
    let fail = |path: &Path, error: &ImagingError| {
        told(Exit::Input, error, path.display(), "check both files")
    };
    let of_truth = |error: ImagingError| fail(&args.truth, &error);
    let of_labels = |error: ImagingError| fail(&args.labels, &error);
    let mut truth = LabelReader::open(&args.truth).map_err(of_truth)?;
    let mut labels = LabelReader::open(&args.labels).map_err(of_labels)?;
    truth
        .geometry()
        .same_grid(labels.geometry())
        .map_err(|source| {
            of_labels(ImagingError::GridsDiffer {
                image: args.truth.clone(),
                labels: args.labels.clone(),
                source,
            })
        })?;
    let pixels = truth.geometry().slice_len();
    let (mut a, mut b) = (vec![0_u8; pixels], vec![0_u8; pixels]);
    let mut matrix = ConfusionMatrix::new();
    while let Some(index) = truth.next_slice(&mut a).map_err(of_truth)? {
        labels.read_slice(index, &mut b).map_err(of_labels)?;
        let remedy = "report this with both headers; it is a fault in nephroctl";
        matrix
            .add(&a, &b, 1.0)
            .map_err(|e| told(Exit::Internal, &e, args.labels.display(), remedy))?;
    }
    Ok(matrix)
}
