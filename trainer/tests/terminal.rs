//! The road of a person at the terminal, command by command, on a set that is small enough for a test.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use nephrobox_imaging::{Geometry, write_labels, write_scan};
use nephrobox_shared::measure::Spacing;
use nephrotrain::check::{Finding, Request, State, inspect};
use nephrotrain::evaluate::results::{Kind, Results};
use nephrotrain::train::Settings;

const SIDE: usize = 32;

/// Runs a command line as the program would; whether it succeeded.
fn nephrotrain(words: &[&dyn AsRef<std::ffi::OsStr>]) -> bool {
    let words = words.iter().map(|w| OsString::from(w.as_ref()));
    let code = nephrotrain::cli::main(std::iter::once(OsString::from("nephrotrain")).chain(words));
    // An exit code can only be printed.
    format!("{code:?}") == format!("{:?}", ExitCode::SUCCESS)
}

/// Six patients of five slices, with a kidney that holds a tumour, prepared.
fn prepared(root: &Path) -> PathBuf {
    for n in 0..6 {
        let folder = root.join(format!("data/case_0000{n}"));
        fs::create_dir_all(&folder).unwrap();
        let spacing = Spacing::new(3.0, 1.0, 1.0).unwrap();
        let geometry = Geometry::kits([5, SIDE, SIDE], spacing).unwrap();
        let label = |slice: usize, pixel: usize| -> u8 {
            let (y, x) = (pixel / SIDE, pixel % SIDE);
            let within = |edge: usize| {
                (8 + n..8 + n + edge).contains(&y) && (6..6 + edge).contains(&x) && slice > 0
            };
            u8::from(within(12)) + u8::from(within(5))
        };
        let file = folder.join("segmentation.nii.gz");
        write_labels(&file, &geometry, &mut |slice, out| {
            for (pixel, l) in out.iter_mut().enumerate() {
                *l = label(slice, pixel);
            }
        })
        .unwrap();
        write_scan(&folder.join("imaging.nii.gz"), &geometry, &mut |s, out| {
            for (pixel, hu) in out.iter_mut().enumerate() {
                *hu = 90 * i16::from(label(s, pixel)) + ((pixel * 7 + s * 3) % 40) as i16 - 60;
            }
        })
        .unwrap();
    }
    let out = root.join("prepared");
    assert!(nephrotrain(&[
        &"prepare",
        &"--data",
        &root.join("data"),
        &"--out",
        &out,
        &"--side",
        &"32",
    ]));
    out
}

fn planned(data: &Path, out: &Path) -> Request {
    Request {
        settings: Settings {
            data: Some(data.into()),
            encoder: Some("resnet18".parse().unwrap()),
            ..Settings::default()
        },
        out: Some(out.into()),
        device: "cpu".into(),
    }
}

fn failures(found: &[Finding]) -> Vec<&Finding> {
    found.iter().filter(|f| f.state == State::Fail).collect()
}

#[test]
fn from_a_checked_set_to_the_page_of_a_run() {
    let root = tempfile::tempdir().unwrap();
    let data = prepared(root.path());
    let run = root.path().join("<run> & co");

    let found = inspect(&planned(&data, &run));
    assert_eq!(failures(&found), Vec::<&Finding>::new());
    assert!(!run.exists(), "a check makes nothing");

    let sheet = root.path().join("sheet.png");
    assert!(nephrotrain(&[
        &"augment-preview",
        &"--data",
        &data,
        &"--draws",
        &"2",
        &"--all",
        &"--out",
        &sheet,
    ]));
    let scan = root.path().join("data/case_00000/imaging.nii.gz");
    assert!(nephrotrain(&[
        &"augment-preview",
        &"--scan",
        &scan,
        &"--draws",
        &"1",
        &"--out",
        &sheet,
    ]));
    assert!(image::open(&sheet).unwrap().width() > 256);

    // No epoch is done before this, so there is nothing to report.
    assert!(!nephrotrain(&[&"report", &run]));
    assert!(nephrotrain(&[
        &"train",
        &"--data",
        &data,
        &"--out",
        &run,
        &"--encoder",
        &"resnet18",
        &"--epochs",
        &"1",
        &"--batch",
        &"6",
        &"--lr",
        &"0.001",
        &"--device",
        &"cpu",
    ]));
    assert!(nephrotrain(&[
        &"evaluate",
        &"--run",
        &run,
        &"--device",
        &"cpu"
    ]));
    let results = Results::read(&run.join("evaluation-test/metrics.json")).unwrap();
    let mut scored = results.extremes.iter().map(|e| e.kind);
    assert_eq!(scored.clone().next(), Some(Kind::Worst));
    assert!(results.cases.len() < 2 || scored.next_back() == Some(Kind::Best));
    let list = fs::read_to_string(run.join("evaluation-test/slices.csv")).unwrap();
    assert_eq!(list.lines().count() as u64, 1 + results.scores.slices);

    let page = root.path().join("page.html");
    assert!(nephrotrain(&[
        &"report",
        &run,
        &"--out",
        &page,
        &"--licence-notice",
        &"made-up <data>",
    ]));
    let page = fs::read_to_string(&page).unwrap();
    assert!(page.contains("Run &lt;run&gt; &amp; co"));
    assert!(page.contains("made-up &lt;data&gt;"));
    assert!(page.contains("encoder = &quot;resnet18&quot;"));
    assert!(page.matches("<svg").count() >= 2 && page.contains("data:image/png;base64,"));
    // Nothing may be loaded from elsewhere: the only addresses are names of XML vocabularies.
    let addresses = page.replace("http://www.w3.org/", "");
    for outside in ["http:", "https:", "src=\"/", "@import", "<script", "<link"] {
        assert!(!addresses.contains(outside), "{outside}");
    }

    // The finished run is recognised, and as one that was begun with these versions.
    let found = inspect(&planned(&data, &run));
    assert_eq!(failures(&found), Vec::<&Finding>::new());
    let finished = "1 of 1 epochs done; it is finished";
    assert!(found.iter().any(|f| f.what.contains(finished)));
    assert!(found.iter().all(|f| f.subject != "versions"));
}

#[test]
fn a_check_names_what_would_fail_and_how_to_mend_it() {
    let root = tempfile::tempdir().unwrap();
    let data = prepared(root.path());
    let new = root.path().join("new");
    let failing = |request: &Request| -> Vec<(&str, String)> {
        let found = inspect(request);
        let failed = failures(&found).into_iter();
        failed
            .map(|f| {
                assert!(f.remedy.is_some(), "{f:?}");
                (f.subject, f.what.clone())
            })
            .collect()
    };

    let mut wrong = planned(&data, &new);
    wrong.settings.crop = Some(33);
    let found = failing(&wrong);
    assert!(found[0].1.contains("--crop"), "{found:?}");

    let mut wrong = planned(&data, &new);
    wrong.settings.weights = Some(root.path().join("none.safetensors"));
    assert_eq!(failing(&wrong)[0].0, "weights");

    let used = root.path().join("data");
    assert_eq!(failing(&planned(&data, &used))[0].0, "run folder");
    assert_eq!(failing(&planned(&used, &new))[0].0, "data");

    // A file that somebody cut a piece of its values out of: same length, other bytes.
    let images = fs::read_dir(data.join("volumes")).unwrap();
    let mut images = images.map(|e| e.unwrap().path());
    let images = images
        .find(|p| p.extension().is_some_and(|e| e == "f32"))
        .unwrap();
    let mut bytes = fs::read(&images).unwrap();
    bytes[..4].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(&images, bytes).unwrap();
    let found = failing(&planned(&data, &new));
    assert_eq!(found[0].0, "pixels");
    assert!(found[0].1.contains("NaN"), "{found:?}");
    assert!(!nephrotrain(&[
        &"check",
        &"--data",
        &data,
        &"--out",
        &new,
        &"--device",
        &"cpu",
    ]));
}
