//! The bundled model on real slices and on rubbish made of them. The figures it prints stand in `docs/measures.md`.
//!
//! Every case is looked at with `NEPHROBOX_LONG`, else one.

use std::path::{Path, PathBuf};

use nephrobox_engine::confidence::look_again;
use nephrobox_engine::executor;
use nephrobox_engine::model::SliceModel;
use nephrobox_engine::package::Model;
use nephrobox_imaging::{LabelReader, ScanReader};
use nephrobox_shared::preprocess::Preprocess;
use nephrobox_shared::report::Confidence;

/// Slices looked at of each case.
const SLICES: usize = 3;

/// The first slices of a case that show kidney or tumour, in HU, with rows and columns.
struct Case {
    name: String,
    slices: Vec<Vec<i16>>,
    /// Their true labels.
    truth: Vec<Vec<u8>>,
    size: [usize; 2],
}

fn folders() -> Vec<PathBuf> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let sets = ["curvas-slices", "kits19-slices-png", "kits19-slices-jpg"];
    let entries = sets
        .iter()
        .filter_map(|set| std::fs::read_dir(data.join(set)).ok());
    let mut folders: Vec<PathBuf> = entries
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.join("imaging.nii.gz").is_file())
        .collect();
    folders.sort();
    if std::env::var_os("NEPHROBOX_LONG").is_none() {
        folders.truncate(1);
    }
    folders
}

fn case(folder: &Path) -> Case {
    let mut scan = ScanReader::open(folder.join("imaging.nii.gz")).unwrap();
    let mut truth = LabelReader::open(folder.join("segmentation.nii.gz")).unwrap();
    let [slices, rows, cols] = scan.geometry().shape();
    let (mut labels, mut found, mut truths) = (vec![0; rows * cols], Vec::new(), Vec::new());
    for slice in 0..slices {
        truth.read_slice(slice, &mut labels).unwrap();
        if found.len() < SLICES && labels.iter().any(|&label| label > 0) {
            let mut hu = vec![0; rows * cols];
            scan.read_slice(slice, &mut hu).unwrap();
            found.push(hu);
            truths.push(labels.clone());
        }
    }
    let set = folder
        .parent()
        .unwrap()
        .file_name()
        .unwrap()
        .to_string_lossy();
    let name = folder.file_name().unwrap().to_string_lossy();
    Case {
        name: format!("{set}/{name}"),
        slices: found,
        truth: truths,
        size: [rows, cols],
    }
}

/// What is done to a slice.
type Change = fn(&mut [i16], [usize; 2]);

const CHANGES: [(&str, Change); 6] = [
    ("as it is", |_, _| ()),
    ("lying on its side", |hu, [rows, cols]| {
        let before = hu.to_vec();
        if rows == cols {
            for (pixel, hu) in hu.iter_mut().enumerate() {
                *hu = before[(pixel % cols) * cols + (rows - 1 - pixel / cols)];
            }
        }
    }),
    ("noise of 60 HU", |hu, _| {
        let mut state = 1_u32;
        for hu in hu {
            // Nearly normal: the sum of four uniform numbers.
            let sum: i32 = (0..4)
                .map(|_| i32::from(random(&mut state) as u8) - 128)
                .sum();
            *hu += (sum * 60 / 148) as i16;
        }
    }),
    ("raw values, 1024 too high", |hu, _| {
        for hu in hu {
            *hu += 1024;
        }
    }),
    ("darker by 150 HU", |hu, _| {
        for hu in hu {
            *hu -= 150;
        }
    }),
    ("pixels in any order", |hu, _| {
        let mut state = 7_u32;
        for at in (1..hu.len()).rev() {
            hu.swap(at, random(&mut state) as usize % (at + 1));
        }
    }),
];

/// Xorshift of Marsaglia.
fn random(state: &mut u32) -> u32 {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    *state >> 3
}

fn images(case: &Case, preprocess: &Preprocess, change: Change) -> Vec<Vec<f32>> {
    let [rows, cols] = case.size;
    let changed = case.slices.iter().map(|hu| {
        let (mut hu, mut image) = (hu.clone(), vec![0.0; preprocess.rows * preprocess.cols]);
        change(&mut hu, case.size);
        preprocess.image(&hu, rows, cols, &mut image).unwrap();
        image
    });
    changed.collect()
}

/// Dice of kidney with tumour, and of tumour, between a network's outlines and the truth; `None` if both are empty.
fn true_dice(
    model: &mut dyn SliceModel,
    case: &Case,
    preprocess: &Preprocess,
    images: &[Vec<f32>],
) -> [Option<f64>; 2] {
    let [rows, cols] = case.size;
    let mut counts = [[0_u64; 2]; 2];
    for (truth, image) in case.truth.iter().zip(images) {
        let (mut found, mut wanted) = (vec![0; image.len()], vec![0; image.len()]);
        model.segment(image, 1, &mut found).unwrap();
        preprocess.labels(truth, rows, cols, &mut wanted).unwrap();
        for (least, [both, sum]) in (1..).zip(&mut counts) {
            for (&found, &wanted) in found.iter().zip(&wanted) {
                let (found, wanted) = (found >= least, wanted >= least);
                *both += u64::from(found && wanted);
                *sum += u64::from(found) + u64::from(wanted);
            }
        }
    }
    counts.map(|[both, sum]| (sum > 0).then(|| 2.0 * both as f64 / sum as f64))
}

fn told(name: &str, found: &Confidence, truth: [Option<f64>; 2]) {
    let number = |value: Option<f64>| value.map_or("  -  ".into(), |value| format!("{value:5.3}"));
    let codes: Vec<String> = found
        .warnings()
        .into_iter()
        .map(|warning| warning.code)
        .collect();
    eprintln!(
        "{name:52} p {} {}  unsure % {} {}  flipped {} {}  true {} {}  {codes:?}",
        number(found.kidney_probability),
        number(found.tumour_probability),
        number(found.kidney_unsure_percent),
        number(found.tumour_unsure_percent),
        number(found.flipped_kidney_dice),
        number(found.flipped_tumour_dice),
        number(truth[0]),
        number(truth[1]),
    );
}

#[test]
fn real_slices_pass_and_rubbish_is_told() {
    let folders = folders();
    if folders.is_empty() {
        eprintln!("skipped: ../shared/data is not here");
        return;
    }
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/demo-resnet18.nbx");
    let loaded = Model::load(model).unwrap();
    let preprocess = loaded.model.manifest().input.preprocess;
    let mut running = executor::start(loaded.model, "cpu", None).unwrap();
    let cases: Vec<Case> = folders.iter().map(|folder| case(folder)).collect();
    for (nth, (what, change)) in CHANGES.into_iter().enumerate() {
        let as_it_is = nth == 0;
        // Rubbish is much alike.
        let step = if as_it_is { 1 } else { 5 };
        let (mut looked, mut warned, mut false_alarms) = (0, 0, 0);
        for case in cases.iter().step_by(step) {
            let images = images(case, &preprocess, change);
            let found = look_again(&mut running.models, &images).unwrap().unwrap();
            let truth = true_dice(&mut running.models[0], case, &preprocess, &images);
            let name = format!("{what}: {}", case.name);
            told(&name, &found, truth);
            let is_warned = !found.warnings().is_empty();
            looked += 1;
            warned += usize::from(is_warned);
            // Within a case that is outlined well, kidney with its tumour and tumour.
            let is_good = truth[0] >= Some(0.85) && truth[1].is_none_or(|dice| dice >= 0.8);
            false_alarms += usize::from(is_good && is_warned);
            let false_tumour =
                found.tumour_probability.is_some() && truth[1].is_some_and(|dice| dice < 0.5);
            if as_it_is {
                assert!(is_warned || !false_tumour, "{name}");
            } else {
                // Where nothing is outlined the report says so.
                let is_outlined = found.flipped_kidney_dice.is_some();
                assert!(is_warned || is_good || !is_outlined, "{name}");
            }
        }
        eprintln!("{what}: {warned} of {looked} warned of, {false_alarms} of them outlined well");
        // In one case kidney is a few pixels beside a large tumour.
        assert!(false_alarms <= 1, "{what}");
    }
}
