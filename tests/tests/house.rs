//! One way through the whole house: the trainer invents patients, prepares, trains, scores and exports; the tools look
//! into the package; the box segments a scan with it. Each program is called by its command line.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::Parser;
use nephrobox_engine::package::Model;
use nephrobox_imaging::{LabelReader, ScanReader};
use nephrobox_shared::report::Report;
use nephroctl::validate::{self, About, Answer, Outcome, Segmenter, Verdict};

/// Calls the trainer; panics with its error.
fn train(args: &[&str]) {
    let code = nephrotrain::cli::main(["nephrotrain"].iter().chain(args).map(Into::into));
    assert_eq!(
        format!("{code:?}"),
        format!("{:?}", std::process::ExitCode::SUCCESS),
        "nephrotrain {args:?}"
    );
}

/// Calls the box and returns what it prints.
fn segment(args: &[&str]) -> Result<String, nephrobox::failure::Failure> {
    let cli = nephrobox::cli::Cli::parse_from(["nephrobox"].iter().chain(args));
    let mut out = Vec::new();
    nephrobox::cli::run(cli, &mut out)?;
    Ok(String::from_utf8(out).unwrap())
}

/// Calls the tools and returns what they print.
fn control(args: &[&str]) -> Result<String, nephroctl::failure::Failure> {
    let cli = nephroctl::cli::Cli::parse_from(["nephroctl"].iter().chain(args));
    let mut out = Vec::new();
    nephroctl::cli::run(cli, &mut out)?;
    Ok(String::from_utf8(out).unwrap())
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary paths are text")
}

/// Validates the box's one-shot command in the place of a box on a line.
fn validate(data: &Path, set: &Path, package: &Path, out: &Path) -> Outcome {
    #[derive(clap::Parser)]
    struct Command {
        #[command(flatten)]
        args: validate::Args,
    }
    let words = ["validate", "--data", text(data), "--set", text(set)];
    let more = [
        "--split",
        "test",
        "--model",
        text(package),
        "--out",
        text(out),
    ];
    let command = Command::parse_from(words.iter().chain(&more));
    let mut one_shot = OneShot {
        package: package.to_owned(),
        folder: tempfile::tempdir().unwrap(),
    };
    let job = validate::Job::prepare(&command.args).unwrap();
    job.run(&mut one_shot, SystemTime::now(), &mut |_| {})
        .unwrap()
}

/// `nephrobox segment`, asked as a box is asked.
struct OneShot {
    package: PathBuf,
    folder: tempfile::TempDir,
}

impl Segmenter for OneShot {
    fn about(&self) -> About {
        About::default()
    }

    fn package(&mut self) -> Result<[u8; 32], nephroctl::failure::Failure> {
        Ok(Model::load(&self.package).unwrap().hash.0)
    }

    fn segment(&mut self, scan: &Path, case: &str) -> Result<Answer, nephroctl::failure::Failure> {
        let out = self.folder.path().join(case);
        let (scan, model) = (text(scan), text(&self.package));
        segment(&[
            "segment",
            scan,
            "--model",
            model,
            "--out",
            text(&out),
            "--device",
            "cpu",
        ])
        .unwrap();
        let report = fs::read(out.join("report.json")).unwrap();
        let report: Report = serde_json::from_slice(&report).unwrap();
        let labels = fs::read(out.join("labels.nii.gz")).unwrap();
        Ok(Answer::of_report(labels, &report).unwrap())
    }

    fn confirm(&mut self) -> Result<(), nephroctl::failure::Failure> {
        Ok(())
    }
}

/// Three invented patients of 64 x 64 pixels, prepared at that size, one epoch: the network learns little, the road is
/// the same as for a real one.
#[test]
fn from_invented_patients_to_areas() {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    for (seed, name) in [
        ("1", "case_00001"),
        ("2", "case_00002"),
        ("3", "case_00003"),
    ] {
        let (slices, spacing) = ("14", "10,5,5");
        train(&[
            "phantom",
            "--procedural",
            "--out",
            text(&at("data")),
            "--name",
            name,
            "--slices",
            slices,
            "--size",
            "64",
            "--spacing",
            spacing,
            "--seed",
            seed,
        ]);
    }
    let data = at("data");
    train(&["stats", "--data", text(&data)]);
    train(&[
        "prepare",
        "--data",
        text(&data),
        "--out",
        text(&at("prepared")),
        "--side",
        "64",
    ]);
    train(&[
        "train",
        "--data",
        text(&at("prepared")),
        "--out",
        text(&at("run")),
        "--encoder",
        "resnet18",
        "--epochs",
        "1",
        "--batch",
        "4",
        "--lr",
        "1e-3",
        "--device",
        "cpu",
    ]);
    train(&[
        "evaluate",
        "--run",
        text(&at("run")),
        "--split",
        "test",
        "--device",
        "cpu",
    ]);
    for file in ["metrics.json", "confusion.png"] {
        assert!(at("run/evaluation-test").join(file).is_file(), "{file}");
    }
    let package = at("model.nbx");
    train(&[
        "export",
        "--run",
        text(&at("run")),
        "--out",
        text(&package),
        "--name",
        "house-test",
        "--storage",
        "f16",
        "--licence-notice",
        "invented patients, no conditions",
        "--device",
        "cpu",
    ]);

    // For other runtimes: from the package and from the run, the same network in the same words.
    let [converted, direct] = ["package.onnx", "run.onnx"].map(at);
    train(&[
        "export",
        "onnx",
        "--model",
        text(&package),
        "--out",
        text(&converted),
    ]);
    train(&[
        "export",
        "onnx",
        "--run",
        text(&at("run")),
        "--out",
        text(&direct),
        "--name",
        "house-test",
        "--licence-notice",
        "invented patients, no conditions",
    ]);
    for file in [converted, direct] {
        let bytes = fs::read(&file).unwrap();
        for word in ["house-test", "invented patients", "research use only"] {
            let there = bytes.windows(word.len()).any(|w| w == word.as_bytes());
            assert!(there, "{}: {word}", file.display());
        }
    }

    let info = control(&["info", text(&package)]).unwrap();
    assert!(
        info.contains("house-test") && info.contains("invented patients"),
        "{info}"
    );
    control(&["verify", text(&package)]).unwrap();

    // What the trainer packed is what a validation measures, to the last digit but rounding.
    let validated = validate(&data, &at("prepared"), &package, &at("validation"));
    assert_eq!(validated.verdict, Verdict::Pass, "{validated:#?}");

    let scan = data.join("case_00001/imaging.nii.gz");
    let out = at("result");
    segment(&[
        "segment",
        text(&scan),
        "--model",
        text(&package),
        "--out",
        text(&out),
        "--device",
        "cpu",
    ])
    .unwrap();
    let scan = ScanReader::open(&scan).unwrap();
    let labels = LabelReader::open(out.join("labels.nii.gz")).unwrap();
    scan.check_labels(&labels).unwrap();
    let report: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(out.join("report.json")).unwrap()).unwrap();
    assert!(report.to_string().contains("house-test"));
    assert!(
        fs::read_to_string(out.join("report.txt"))
            .unwrap()
            .to_lowercase()
            .contains("research use")
    );
}

/// A package with one byte changed is refused by the tools and by the box, and the box leaves nothing behind.
#[test]
fn a_damaged_package_is_refused_everywhere() {
    let root = tempfile::tempdir().unwrap();
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/demo-resnet18.nbx");
    let mut bytes = fs::read(model).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let damaged = root.path().join("damaged.nbx");
    fs::write(&damaged, bytes).unwrap();
    assert!(control(&["verify", text(&damaged)]).is_err());
    let scan = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/sample/imaging.nii.gz");
    let out = root.path().join("result");
    let refused = segment(&[
        "segment",
        text(&scan),
        "--model",
        text(&damaged),
        "--out",
        text(&out),
    ]);
    assert!(refused.is_err());
    assert!(!out.exists());
}

/// The invented patient's tumour is on the left, and every file is there.
#[test]
fn the_bundled_model_finds_both_kidneys_of_the_bundled_scan() {
    let root = tempfile::tempdir().unwrap();
    let out = root.path().join("result");
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models");
    let (scan, model) = (
        models.join("sample/imaging.nii.gz"),
        models.join("demo-resnet18.nbx"),
    );
    let said = segment(&[
        "segment",
        text(&scan),
        "--model",
        text(&model),
        "--out",
        text(&out),
        "--device",
        "cpu",
    ])
    .unwrap();
    assert!(said.contains("mm") && said.contains("mL"), "{said}");
    for file in [
        "report.json",
        "report.txt",
        "labels.nii.gz",
        "overlay-right-kidney.png",
        "overlay-left-kidney.png",
    ] {
        assert!(out.join(file).is_file(), "{file}: {said}");
    }
}
