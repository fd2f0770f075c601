//! Bad input: each kind has its sentences and its exit code, and leaves nothing behind.

mod support;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use nephrobox::failure::{Exit, Failure};
use nephrobox::segment::{self, Args, Numbers};
use support::nifti::{Declared, F32, Order};
use support::{args, hu, names, raw, raw_scan, save_model};
use tempfile::TempDir;

/// A folder with a sound scan, a sound package, and a place for results.
struct Setting {
    home: TempDir,
    args: Args,
}

impl Setting {
    fn new() -> Self {
        let home = TempDir::new().expect("a folder");
        let scan = raw_scan(Order::KITS, Declared::Sform).save(home.path().join("scan.nii.gz"));
        let model = save_model(home.path());
        let args = args(&scan, &model, &home.path().join("deep/out"));
        Self { home, args }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Runs, expects a refusal, and checks that the folder holds what it held before.
    fn refused(&self) -> Failure {
        let before = names(self.home.path());
        let failure = segment::run(&self.args, &mut Vec::new()).expect_err("a refusal");
        assert_eq!(
            names(self.home.path()),
            before,
            "something was left behind: {failure}"
        );
        for sentence in [
            &failure.told.what,
            &failure.told.place,
            &failure.told.remedy,
        ] {
            assert!(!sentence.trim().is_empty(), "{failure:?}");
            assert!(!sentence.contains('\n'), "{failure:?}");
        }
        failure
    }
}

/// One way to go wrong: what is done to a sound setting, the exit code, and a word of the first sentence.
type Disaster = (&'static str, fn(&mut Setting), Exit, &'static str);

const DISASTERS: [Disaster; 17] = [
    (
        "no such scan",
        |s| s.args.scan = vec![s.path("nowhere.nii.gz")],
        Exit::Input,
        "no such scan",
    ),
    (
        "a folder without imaging",
        |s| s.args.scan = vec![s.path("")],
        Exit::Input,
        "imaging.nii.gz",
    ),
    (
        "not NIfTI",
        |s| fs::write(&s.args.scan[0], b"hello, this is text").expect("written"),
        Exit::Input,
        "",
    ),
    (
        "a copy that was cut off",
        |s| {
            let bytes = fs::read(&s.args.scan[0]).expect("a scan");
            fs::write(&s.args.scan[0], &bytes[..bytes.len() / 2]).expect("written");
        },
        Exit::Input,
        "cut off",
    ),
    (
        "no affine",
        |s| {
            let mut raw = raw_scan(Order::KITS, Declared::Sform);
            raw.sform_code = 0;
            raw.save(&s.args.scan[0]);
        },
        Exit::Input,
        "no usable affine",
    ),
    (
        "NaN in the last slice",
        |s| {
            let value = |index: [usize; 3]| {
                if index == [19, 5, 5] {
                    f64::NAN
                } else {
                    f64::from(hu(index))
                }
            };
            raw(Order::KITS, Declared::Sform, F32, value).save(&s.args.scan[0]);
        },
        Exit::Input,
        "NaN",
    ),
    (
        "no such package",
        |s| s.args.model = s.path("nowhere.nbx"),
        Exit::Model,
        "",
    ),
    (
        "not a package",
        |s| s.args.model.clone_from(&s.args.scan[0]),
        Exit::Model,
        "no model package",
    ),
    (
        "a damaged package",
        |s| {
            let mut bytes = fs::read(&s.args.model).expect("a package");
            bytes[100] ^= 1;
            fs::write(&s.args.model, bytes).expect("written");
        },
        Exit::Model,
        "hash",
    ),
    (
        "a package cut off",
        |s| {
            let bytes = fs::read(&s.args.model).expect("a package");
            fs::write(&s.args.model, &bytes[..bytes.len() - 1]).expect("written");
        },
        Exit::Model,
        "cut off",
    ),
    (
        "an unknown device",
        |s| s.args.compute.device = "abacus".into(),
        Exit::Device,
        "abacus",
    ),
    (
        "half precision without a GPU",
        |s| s.args.compute.arithmetic = Numbers::F16,
        Exit::Device,
        "f16",
    ),
    (
        "a device that is no number",
        |s| s.args.compute.device = "cuda:x".into(),
        Exit::Device,
        "cuda",
    ),
    (
        "a state folder that cannot be",
        |s| s.args.compute.state = Some(s.args.scan[0].join("state")),
        Exit::Output,
        "",
    ),
    (
        "results into a file",
        |s| s.args.out.clone_from(&s.args.scan[0]),
        Exit::Output,
        "is a file",
    ),
    (
        "results below a file",
        |s| s.args.out = s.args.scan[0].join("out"),
        Exit::Output,
        "",
    ),
    (
        "results into a folder with files",
        |s| s.args.out = s.path(""),
        Exit::Output,
        "not empty",
    ),
];

#[test]
fn every_disaster_has_its_exit_code_and_leaves_nothing() {
    for (name, spoil, exit, word) in DISASTERS {
        let mut setting = Setting::new();
        spoil(&mut setting);
        let failure = setting.refused();
        assert_eq!(failure.exit, exit, "{name}: {failure}");
        assert!(failure.told.what.contains(word), "{name}: {failure}");
        eprintln!("{name}\n{failure}\n");
    }
}

/// The program itself, as a script would run it.
fn nephrobox(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_nephrobox"))
        .args(arguments)
        .output()
        .expect("it runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn the_program_ends_with_the_documented_codes() {
    let setting = Setting::new();
    let path = |path: &PathBuf| path.to_str().expect("a plain path").to_owned();
    let (scan, model, out) = (
        path(&setting.args.scan[0]),
        path(&setting.args.model),
        path(&setting.args.out),
    );

    let (code, stdout, stderr) = nephrobox(&["segment", &scan, "--model", &model, "--out", &out]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(
        stdout.contains("Kidney volume, mL") && stdout.contains("report.json"),
        "{stdout}"
    );
    assert!(
        stderr.contains("20/20 slices"),
        "plain lines where there is no terminal: {stderr}"
    );

    let (code, stdout, stderr) = nephrobox(&["segment", &scan, "--model", &model, "--out", &out]);
    assert_eq!((code, stdout.as_str()), (Some(6), ""));
    assert!(
        stderr.contains("error: ") && stderr.contains("where: ") && stderr.contains("to do: "),
        "{stderr}"
    );

    assert_eq!(
        nephrobox(&["segment", "nowhere.nii", "--model", &model, "--out", &out]).0,
        Some(3)
    );
    assert_eq!(
        nephrobox(&["segment", &scan, "--model", &scan, "--out", "new"]).0,
        Some(4)
    );
    assert_eq!(nephrobox(&["segment", &scan]).0, Some(2));
    assert_eq!(
        nephrobox(&[
            "segment",
            &scan,
            "--model",
            &model,
            "--out",
            &out,
            "--threads",
            "0"
        ])
        .0,
        Some(2)
    );

    let (code, help, _) = nephrobox(&["--help"]);
    assert_eq!(code, Some(0));
    for code in 0..=6 {
        assert!(
            help.contains(&format!("\n  {code}  ")),
            "exit code {code} in {help}"
        );
    }
}
