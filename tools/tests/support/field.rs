//! A package with honest scores, its held-back cases, and a box that may lie.

#![allow(dead_code, reason = "no test needs all of it")]

use std::fs;
use std::path::{Path, PathBuf};

use nephrobox_dataset::fingerprint::{SourceFile, SpacingRecord, VolumeFingerprint};
use nephrobox_dataset::labels::LabelScan;
use nephrobox_dataset::{Fingerprint, Options, PatientSplit, hash_file};
use nephrobox_engine::executor::Arithmetic;
use nephrobox_engine::model::SliceModel;
use nephrobox_engine::package::{Loaded, Model};
use nephrobox_engine::program::{Builder, Storage, Tensor};
use nephrobox_imaging::{Geometry, LabelReader, ScanReader, Spacing, write_labels, write_scan};
use nephrobox_link::message::Hash;
use nephrobox_shared::metrics::Evaluation;
use nephrobox_shared::package::{Manifest, Share, Split, TestScores};
use nephrobox_shared::preprocess::Preprocess;
use nephroctl::failure::{Exit, Failure};
use nephroctl::line::Line;
use nephroctl::validate::{About, Answer, Args, Segmenter, Workstation};
use tempfile::TempDir;

use crate::support;

/// Patients of the test part.
pub(crate) const CASES: usize = 5;
/// Side of the tiny network's slices; the scans' sides are no multiples of it.
const SIDE: usize = 32;
const SHAPE: [usize; 3] = [9, 70, 90];

/// Data, package and results' folder of one validation.
pub(crate) struct Field {
    home: std::rc::Rc<TempDir>,
    model: PathBuf,
    out: PathBuf,
    slices: u64,
}

impl Field {
    /// A network of one convolution, in f32: dark is background, grey is kidney, bright is tumour.
    pub(crate) fn new() -> Self {
        Self::tiny(CASES, true)
    }

    /// The same, and nothing is ever bright.
    pub(crate) fn without_tumours() -> Self {
        Self::tiny(CASES, false)
    }

    /// The same as the first, with one patient.
    pub(crate) fn of_one_case() -> Self {
        Self::tiny(1, true)
    }

    fn tiny(cases: usize, tumours: bool) -> Self {
        let home = TempDir::new().expect("a folder");
        for case in 1..=cases {
            invent(
                &home.path().join(format!("data/case_{case:05}")),
                case,
                tumours,
            );
        }
        let preprocess = Preprocess {
            rows: SIDE,
            cols: SIDE,
            ..Preprocess::default()
        };
        let mut builder = Builder::new(1, 32);
        let weight = Tensor::f32("head", vec![3, 1, 1, 1], vec![0.0, 10.0, 20.0]);
        let bias = Tensor::f32("bias", vec![3], vec![0.0, -4.0, -11.0]);
        let weight = builder.tensor(weight.expect("a tensor"));
        let bias = builder.tensor(bias.expect("a tensor"));
        let logits = builder.conv2d(builder.input(), weight, Some(bias), 1, 0);
        let (program, tensors) = builder.finish(logits, 3).expect("a program");
        let mut manifest = support::manifest();
        manifest.input.preprocess = preprocess;
        manifest.self_test.clear();
        let model = Model::new(manifest, program, tensors).expect("a model");
        Self::with_model(home, model, Arithmetic::F32)
    }

    /// The demo model, in integers, on pieces of its sample scan.
    pub(crate) fn in_integers() -> Self {
        // The whole system's tests share this file and lie deeper.
        let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
        let mut models = above.map(|folder| folder.join("models"));
        let models = models.find(|models| models.is_dir());
        let models = models.expect("the repository's models");
        let home = TempDir::new().expect("a folder");
        // Slices without and with kidneys and tumour; the first of each piece shows nothing.
        for (case, slices) in [[2, 15, 18], [3, 20, 22]].iter().enumerate() {
            let folder = home.path().join(format!("data/case_{:05}", case + 1));
            cut(&models.join("sample"), &folder, slices);
        }
        let model = Model::load(models.join("demo-resnet18.nbx")).expect("the demo model");
        Self::with_model(home, model.model, Arithmetic::Int8)
    }

    /// Writes fingerprint, split and the package with its scores.
    fn with_model(home: TempDir, model: Model, arithmetic: Arithmetic) -> Self {
        let options = Options {
            preprocess: model.manifest().input.preprocess,
            ..Options::default()
        };
        let cases = cases(&home.path().join("data"));
        let volumes = cases.iter().map(|case| describe(case, &options)).collect();
        let fingerprint = Fingerprint::new(options, volumes);
        let split = PatientSplit {
            train: vec!["case_90000".into()],
            validation: Vec::new(),
            test: cases.iter().map(|case| name(case)).collect(),
        };
        let json = serde_json::to_string_pretty(&fingerprint).expect("JSON");
        fs::write(home.path().join("fingerprint.json"), json).expect("written");
        split
            .write(&home.path().join("split.toml"))
            .expect("written");

        let scores = evaluate(&model, arithmetic, &cases, &options).scores();
        let slices = scores.slices;
        let mut manifest = model.manifest().clone();
        manifest.training.dataset_fingerprint = fingerprint.overall;
        manifest.training.split = Split {
            name: split.hash(),
            test: Share {
                patients: cases.len() as u32,
                slices: slices as u32,
            },
            ..Split::default()
        };
        manifest.scores = match arithmetic {
            Arithmetic::Int8 => TestScores {
                float: None,
                int8: Some(scores),
            },
            _ => TestScores {
                float: Some(scores),
                int8: None,
            },
        };
        let storage = model.storage();
        let path = home.path().join("model.nbx");
        let model = model.with_manifest(manifest).expect("a model");
        model.save(&path, storage).expect("saved");
        Self {
            out: home.path().join("out"),
            home: home.into(),
            model: path,
            slices,
        }
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    pub(crate) fn package(&self) -> Loaded {
        Model::load(&self.model).expect("a package")
    }

    pub(crate) fn slices(&self) -> u64 {
        self.slices
    }

    /// The command's options; nothing in these tests opens a line.
    pub(crate) fn args(&self) -> Args {
        use clap::Parser as _;
        #[derive(clap::Parser)]
        struct Only {
            #[command(flatten)]
            line: Line,
        }
        Args {
            data: vec![self.home().join("data")],
            split: "test".into(),
            model: self.model.clone(),
            set: None,
            out: self.out.clone(),
            tolerance: 0.1,
            json: false,
            line: Only::parse_from(["test"]).line,
        }
    }

    /// The same data and package, with the results elsewhere.
    pub(crate) fn elsewhere(&self, out: &str) -> Self {
        Self {
            home: self.home.clone(),
            model: self.model.clone(),
            out: self.home().join(out),
            slices: self.slices,
        }
    }

    /// The same model under another version, hence as another package.
    pub(crate) fn with_version(&self, version: u64) -> Self {
        let model = self.package().model;
        let manifest = Manifest {
            version,
            ..model.manifest().clone()
        };
        let path = self.home().join("other.nbx");
        let model = model.with_manifest(manifest).expect("a model");
        model.save(&path, Storage::F32).expect("saved");
        Self {
            model: path,
            ..self.elsewhere("out")
        }
    }

    /// A box that runs the package.
    pub(crate) fn local(&self) -> Local {
        // A package that a test has spoilt is refused before a box is asked.
        let loaded = Model::load(&self.model).ok();
        let hash = loaded.as_ref().map_or([0; 32], |loaded| loaded.hash.0);
        let running = loaded.map(|loaded| {
            let arithmetic = match loaded.model.manifest().scores.int8 {
                Some(_) => Arithmetic::Int8,
                None => Arithmetic::F32,
            };
            Workstation::start(loaded.model, arithmetic, &self.model).expect("it runs")
        });
        Local {
            running,
            hash,
            lie: None,
            sent: Vec::new(),
            confirmed: 0,
            home: self.home.clone(),
        }
    }

    pub(crate) fn change_scan(&self, case: &str) {
        let path = self.home().join("data").join(case).join("imaging.nii.gz");
        let geometry = ScanReader::open(&path).expect("a scan").geometry().clone();
        write_scan(&path, &geometry, &mut |_, slice| slice.fill(7)).expect("written");
    }

    pub(crate) fn remove(&self, case: &str) {
        fs::remove_dir_all(self.home().join("data").join(case)).expect("removed");
    }

    pub(crate) fn resplit(&self) {
        let path = self.home().join("split.toml");
        let mut split = PatientSplit::read(&path).expect("a split");
        split.train.extend(split.test.pop());
        split.write(&path).expect("written");
    }

    pub(crate) fn edit_fingerprint(&self) {
        let path = self.home().join("fingerprint.json");
        let text = fs::read_to_string(&path).expect("text");
        fs::write(&path, text.replace("\"seed\": 2019", "\"seed\": 2020")).expect("written");
    }

    pub(crate) fn remove_set(&self) {
        fs::remove_file(self.home().join("fingerprint.json")).expect("removed");
    }

    pub(crate) fn spoil_package(&self) {
        let mut bytes = fs::read(&self.model).expect("a package");
        bytes[200] ^= 1;
        fs::write(&self.model, bytes).expect("written");
    }
}

/// What a box does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lie {
    /// Every hundredth kidney voxel becomes background.
    FewKidneyVoxels,
    /// Tumours become kidney.
    NoTumour,
    /// In the first case, a corner of the first slice, which shows nothing and is not scored.
    OneUnscoredVoxel,
    /// It runs another package.
    OtherModel,
    /// It says that it runs the package, and uses another.
    OtherModelLater,
    /// Its report is of another scan.
    OtherScan,
    /// It does not look at every slice.
    SkipsSlices,
    /// The line breaks after so many scans.
    BreakAfter(usize),
}

/// A box in a test: the engine on this machine, and perhaps a lie.
pub(crate) struct Local {
    running: Option<Workstation>,
    hash: Hash,
    lie: Option<Lie>,
    /// Cases that were sent.
    pub(crate) sent: Vec<String>,
    /// Answers that are safe.
    pub(crate) confirmed: usize,
    home: std::rc::Rc<TempDir>,
}

impl Local {
    pub(crate) fn lying(self, lie: Lie) -> Self {
        Self {
            lie: Some(lie),
            ..self
        }
    }
}

impl Segmenter for Local {
    fn about(&self) -> About {
        About {
            name: "a box in a test".into(),
            software: "nephrobox".into(),
            line: "no line".into(),
        }
    }

    fn package(&mut self) -> Result<Hash, Failure> {
        Ok(if self.lie == Some(Lie::OtherModel) {
            [1; 32]
        } else {
            self.hash
        })
    }

    fn segment(&mut self, scan: &Path, case: &str) -> Result<Answer, Failure> {
        if self.lie == Some(Lie::BreakAfter(self.sent.len())) {
            return Err(Failure::new(
                Exit::Line,
                "the line broke",
                "no line",
                "mend it",
            ));
        }
        let running = self.running.as_mut().expect("a package that runs");
        let map = running.label(scan)?;
        let reader = ScanReader::open(scan).expect("a scan");
        let path = self.home.path().join("answer.nii.gz");
        let (lie, first) = (self.lie, self.sent.is_empty());
        write_labels(&path, reader.geometry(), &mut |index, slice| {
            map.read(index, slice).expect("labelled");
            match lie {
                Some(Lie::FewKidneyVoxels) => {
                    let kidney = slice.iter_mut().filter(|label| **label == 1);
                    kidney.step_by(100).for_each(|label| *label = 0);
                }
                Some(Lie::NoTumour) => slice
                    .iter_mut()
                    .filter(|label| **label == 2)
                    .for_each(|label| *label = 1),
                Some(Lie::OneUnscoredVoxel) if first && index == 0 => slice[0] = 2,
                _ => {}
            }
        })
        .expect("written");
        self.sent.push(case.to_owned());
        let hex = |hash: Hash| nephroctl::slots::hex(&hash);
        let other = [2; 32];
        Ok(Answer {
            labels: fs::read(&path).expect("written"),
            package: hex(if lie == Some(Lie::OtherModelLater) {
                other
            } else {
                self.hash
            }),
            scan: match lie {
                Some(Lie::OtherScan) => hex(other),
                _ => hash_file(scan).expect("a scan").0,
            },
            arithmetic: running.arithmetic(),
            skipped: usize::from(lie == Some(Lie::SkipsSlices)),
            seconds: 0.5,
        })
    }

    fn confirm(&mut self) -> Result<(), Failure> {
        self.confirmed += 1;
        Ok(())
    }
}

fn cases(data: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(data).expect("a folder");
    let mut cases: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    cases.sort();
    cases
}

fn name(case: &Path) -> String {
    let name = case.file_name().expect("a name");
    name.to_str().expect("text").to_owned()
}

/// What `nephrotrain prepare` would say of a case.
fn describe(case: &Path, options: &Options) -> VolumeFingerprint {
    let file = |name: &str| {
        let (blake3, bytes) = hash_file(&case.join(name)).expect("a file");
        SourceFile { bytes, blake3 }
    };
    let segmentation = case.join("segmentation.nii.gz");
    let scan = LabelScan::read(&segmentation, &options.preprocess).expect("labels");
    let spacing = scan.geometry.spacing();
    VolumeFingerprint {
        case: name(case),
        source: 0,
        imaging: file("imaging.nii.gz"),
        segmentation: file("segmentation.nii.gz"),
        shape: scan.geometry.shape(),
        spacing: SpacingRecord {
            slice_mm: spacing.slice_mm,
            row_mm: spacing.row_mm,
            col_mm: spacing.col_mm,
        },
        label_voxels: scan.voxels(),
        kept: options.kept(&name(case), 0, &scan).len(),
    }
}

/// Scores as the trainer takes them: slices at the network's size, one by one.
fn evaluate(
    model: &Model,
    arithmetic: Arithmetic,
    cases: &[PathBuf],
    options: &Options,
) -> Evaluation {
    let settings = nephrobox_engine::executor::Settings {
        device: "cpu".into(),
        arithmetic: Some(arithmetic),
        ..Default::default()
    };
    let mut running = nephrobox_engine::executor::start_with(model.clone(), &settings, &mut |_| ())
        .expect("it runs");
    let network = &mut running.models[0];
    let preprocess = &options.preprocess;
    let pixels = preprocess.rows * preprocess.cols;
    let mut evaluation = Evaluation::new();
    for (index, case) in cases.iter().enumerate() {
        let segmentation = case.join("segmentation.nii.gz");
        let scan = LabelScan::read(&segmentation, preprocess).expect("labels");
        let kept = options.kept(&name(case), 0, &scan);
        let mut reader = ScanReader::open(case.join("imaging.nii.gz")).expect("a scan");
        let mut truth = LabelReader::open(&segmentation).expect("labels");
        let [_, rows, cols] = reader.geometry().shape();
        let (mut hu, mut labels) = (vec![0; rows * cols], vec![0; rows * cols]);
        let (mut image, mut small, mut found) =
            (vec![0.0; pixels], vec![0; pixels], vec![0; pixels]);
        for &slice in &kept {
            reader.read_slice(slice as usize, &mut hu).expect("a slice");
            truth
                .read_slice(slice as usize, &mut labels)
                .expect("a slice");
            preprocess
                .image(&hu, rows, cols, &mut image)
                .expect("an image");
            preprocess
                .labels(&labels, rows, cols, &mut small)
                .expect("labels");
            network.segment(&image, 1, &mut found).expect("labels");
            let weight = 1.0 / kept.len() as f64;
            evaluation
                .add(index, &small, &found, weight)
                .expect("sound");
        }
    }
    evaluation
}

/// A scan of grey and bright discs on dark ground, and labels that agree with them in most places.
fn invent(folder: &Path, seed: usize, tumours: bool) {
    fs::create_dir_all(folder).expect("a folder");
    let geometry =
        Geometry::kits(SHAPE, Spacing::new(3.0, 0.8, 0.8).expect("sound")).expect("sound");
    let [_, rows, cols] = SHAPE;
    // Slices 0 and 1 show nothing.
    let disc = |slice: usize, pixel: usize, radius: usize| {
        let (row, col) = (pixel / cols, pixel % cols);
        let (y, x) = (
            row.abs_diff(rows / 2 + seed),
            col.abs_diff(cols / 3 + 2 * slice),
        );
        slice > 1 && y * y + x * x < radius * radius
    };
    write_scan(
        &folder.join("imaging.nii.gz"),
        &geometry,
        &mut |slice, hu| {
            for (pixel, hu) in hu.iter_mut().enumerate() {
                *hu = match (disc(slice, pixel, 6), disc(slice, pixel, 15)) {
                    (true, _) if tumours => 190,
                    (_, true) => 80,
                    _ => -90,
                };
            }
        },
    )
    .expect("written");
    write_labels(
        &folder.join("segmentation.nii.gz"),
        &geometry,
        &mut |slice, labels| {
            for (pixel, label) in labels.iter_mut().enumerate() {
                *label = match (disc(slice, pixel, 4 + seed), disc(slice, pixel, 12 + seed)) {
                    (true, _) if tumours => 2,
                    (_, true) => 1,
                    _ => 0,
                };
            }
        },
    )
    .expect("written");
}

/// Some slices of a case, as a case.
fn cut(from: &Path, to: &Path, slices: &[usize]) {
    fs::create_dir_all(to).expect("a folder");
    let mut scan = ScanReader::open(from.join("imaging.nii.gz")).expect("a scan");
    let mut truth = LabelReader::open(from.join("segmentation.nii.gz")).expect("labels");
    let [_, rows, cols] = scan.geometry().shape();
    let spacing = scan.geometry().spacing();
    let geometry = Geometry::kits([slices.len(), rows, cols], spacing).expect("sound");
    write_scan(&to.join("imaging.nii.gz"), &geometry, &mut |index, hu| {
        scan.read_slice(slices[index], hu).expect("a slice");
    })
    .expect("written");
    write_labels(
        &to.join("segmentation.nii.gz"),
        &geometry,
        &mut |index, labels| {
            truth.read_slice(slices[index], labels).expect("a slice");
        },
    )
    .expect("written");
}
