//! `prepare` as a whole, on small made-up cases in the KiTS19 layout and on the real slices beside the repository.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use nephrobox_imaging::files::UNFINISHED;
use nephrobox_imaging::{Geometry, LabelReader, ScanReader, write_labels, write_scan};
use nephrobox_shared::measure::Spacing;
use nephrobox_shared::preprocess::Preprocess;
use tempfile::TempDir;

use super::*;
use crate::data::choice::SliceChoice;
use crate::data::progress::Silent;
use crate::data::{Prepared, Split};

mod phantoms;
mod refusals;

/// A case of `slices` slices of 48 x 64 whose middle third shows kidney, and tumour on every other of those. `tone`
/// makes its voxels its own. The pixels' sizes are of those whose last bit a careless reader of JSON loses.
fn write_case(folder: &Path, slices: usize, tone: i16) {
    fs::create_dir_all(folder).unwrap();
    let geometry =
        Geometry::kits([slices, 48, 64], Spacing::new(3.0, 0.905, 0.902).unwrap()).unwrap();
    write_labels(
        &folder.join("segmentation.nii.gz"),
        &geometry,
        &mut |s, out| {
            if (slices / 3..2 * slices / 3).contains(&s) {
                for row in 10..20 {
                    out[row * 64 + 30..row * 64 + 44].fill(1);
                }
                if s % 2 == 0 {
                    out[12 * 64 + 32..12 * 64 + 40].fill(2);
                }
            }
        },
    )
    .unwrap();
    write_scan(&folder.join("imaging.nii.gz"), &geometry, &mut |s, out| {
        for (i, hu) in out.iter_mut().enumerate() {
            *hu = ((i * 31 + s * 977) % 500) as i16 - 250 + tone;
        }
    })
    .unwrap();
}

/// Two data folders: `a` with three cases and one without imaging, `b` with another volume of `case_00001`.
fn data() -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for (n, slices) in [(0, 30), (1, 60), (2, 45)] {
        write_case(
            &root.path().join(format!("a/case_0000{n}")),
            slices,
            n as i16,
        );
    }
    let labels_only = root.path().join("a/case_00003");
    write_case(&labels_only, 20, 3);
    fs::remove_file(labels_only.join("imaging.nii.gz")).unwrap();
    write_case(&root.path().join("b/case_00001"), 21, 9);
    root
}

fn request(root: &Path, out: &Path) -> Request {
    Request {
        data: vec![root.join("a"), root.join("b")],
        phantoms: None,
        out: out.to_owned(),
        options: Options {
            rule: SliceChoice {
                fraction: 0.1,
                ..SliceChoice::default()
            },
            seed: 5,
            preprocess: Preprocess {
                rows: 32,
                cols: 32,
                ..Preprocess::default()
            },
            neighbours: false,
        },
        split: None,
        reserved: BTreeSet::new(),
        update: false,
        jobs: 2,
    }
}

/// Every file below a folder, with its bytes.
fn bytes_of(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = PathBuf::from(path.file_name().unwrap());
        if path.is_dir() {
            found.extend(
                bytes_of(&path)
                    .into_iter()
                    .map(|(below, bytes)| (name.join(below), bytes)),
            );
        } else {
            found.insert(name, fs::read(&path).unwrap());
        }
    }
    found
}

/// Pixels of each label.
fn count(labels: &[u8]) -> [u32; 3] {
    let mut counts = [0; 3];
    for &label in labels {
        counts[usize::from(label)] += 1;
    }
    counts
}

fn run_ok(request: &Request) -> Outcome {
    run(request, &Silent).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn a_training_set_holds_what_the_paper_describes() {
    let root = data();
    let out = root.path().join("prepared");
    let outcome = run_ok(&request(root.path(), &out));
    assert_eq!((outcome.made, outcome.found), (4, 0));
    assert_eq!(outcome.left_out.len(), 1);
    assert_eq!(outcome.left_out[0].case, "case_00003");

    let prepared = Prepared::open(&out).unwrap();
    let names: Vec<&str> = prepared.cases().iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["case_00000", "case_00001", "case_00002"]); // the two volumes of case_00001 are one patient
    assert_eq!(prepared.sources(), ["a", "b"]);

    // Labelled slices and a tenth of all: 10 + 3; 20 + 6 and 7 + 2; 15 + 5 (4.5, rounded up).
    let kept: Vec<u32> = prepared.cases().iter().map(|c| c.slices).collect();
    assert_eq!(kept, [13, 35, 20]);
    let mut weights = [0.0; 3];
    for index in 0..prepared.len() as u32 {
        let meta = prepared.meta(index);
        assert_eq!(meta.weight, 1.0 / f64::from(kept[meta.case as usize]));
        weights[meta.case as usize] += meta.weight;
        // The image and the labels are exactly what the box would make of the slice.
        let folder = root
            .path()
            .join(["a", "b"][meta.source as usize])
            .join(names[meta.case as usize]);
        let (mut hu, mut labels) = (vec![0; 48 * 64], vec![0; 48 * 64]);
        let slice = meta.slice as usize;
        ScanReader::open(folder.join("imaging.nii.gz"))
            .unwrap()
            .read_slice(slice, &mut hu)
            .unwrap();
        LabelReader::open(folder.join("segmentation.nii.gz"))
            .unwrap()
            .read_slice(slice, &mut labels)
            .unwrap();
        let (mut image, mut small) = (vec![0.0; 32 * 32], vec![0; 32 * 32]);
        prepared
            .preprocess()
            .image(&hu, 48, 64, &mut image)
            .unwrap();
        prepared
            .preprocess()
            .labels(&labels, 48, 64, &mut small)
            .unwrap();
        assert_eq!(prepared.image(index), image, "{}", prepared.name(index));
        assert_eq!(prepared.labels(index), small, "{}", prepared.name(index));
        assert_eq!(meta.counts, count(&small));
    }
    assert!(
        weights.iter().all(|sum| (sum - 1.0).abs() < 1e-12),
        "{weights:?}"
    );

    let mut parts: Vec<u32> = Split::ALL
        .iter()
        .flat_map(|&s| prepared.split(s))
        .copied()
        .collect();
    parts.sort_unstable();
    assert_eq!(parts, (0..prepared.len() as u32).collect::<Vec<_>>());
    assert!(Split::ALL.iter().all(|&s| !prepared.split(s).is_empty()));

    let fingerprint = prepared.fingerprint();
    assert_eq!(fingerprint.overall, outcome.fingerprint);
    assert_eq!(fingerprint.volumes[0].shape, [30, 48, 64]);
    assert_eq!(
        fingerprint.volumes[0].label_voxels,
        [30 * 48 * 64 - 10 * 140, 10 * 140 - 5 * 8, 5 * 8]
    );
    assert_eq!(fingerprint.volumes[0].spacing.slice_mm, 3.0);
    let imaging = fs::read(root.path().join("a/case_00000/imaging.nii.gz")).unwrap();
    assert_eq!(
        fingerprint.volumes[0].imaging.blake3,
        blake3::hash(&imaging).to_hex().to_string()
    );
}

#[test]
fn two_runs_and_a_rerun_give_the_same_bytes_wherever_the_data_lie() {
    let (here, there) = (data(), data());
    let first = here.path().join("prepared");
    let second = there.path().join("other name");
    run_ok(&request(here.path(), &first));
    run_ok(&Request {
        jobs: 1,
        ..request(there.path(), &second)
    });
    let bytes = bytes_of(&first);
    assert_eq!(bytes.len(), 4 * 3 + 5); // four volumes; plan, split, fingerprint, index and the lock
    assert_eq!(bytes, bytes_of(&second));
    let again = run_ok(&request(here.path(), &first));
    assert_eq!((again.made, again.found, again.mended), (0, 4, 0));
    assert!(again.split_kept);
    assert_eq!(bytes, bytes_of(&first));
}

#[test]
fn a_run_killed_at_any_file_is_gone_on_with_to_the_same_bytes() {
    let root = data();
    let whole = root.path().join("whole");
    run_ok(&request(root.path(), &whole));
    let bytes = bytes_of(&whole);
    // The order in which a run writes. A kill leaves the first few of these, and the next one half-written.
    let mut written: Vec<PathBuf> = vec!["split.toml".into(), "prepare.json".into()];
    for volume in [
        "case_00000.0",
        "case_00001.0",
        "case_00001.1",
        "case_00002.0",
    ] {
        written.extend(
            ["u8", "f32", "json"].map(|ext| Path::new("volumes").join(format!("{volume}.{ext}"))),
        );
    }
    written.extend(["fingerprint.json".into(), "index.json".into()]);
    assert_eq!(written.len() + 1, bytes.len());
    for done in 0..written.len() {
        let out = root.path().join(format!("killed {done}"));
        fs::create_dir_all(out.join("volumes")).unwrap();
        if done < 2 {
            fs::remove_dir(out.join("volumes")).unwrap();
        }
        fs::write(out.join(".lock"), b"").unwrap();
        for path in &written[..done] {
            fs::write(out.join(path), &bytes[path]).unwrap();
        }
        let half = &bytes[&written[done]];
        let partial = written[done].with_file_name(format!("{UNFINISHED}{done}"));
        fs::write(out.join(partial), &half[..half.len() / 2]).unwrap();
        let whole_volumes = done.saturating_sub(2) / 3;
        let outcome = run_ok(&request(root.path(), &out));
        assert_eq!(
            outcome.found,
            whole_volumes.min(4),
            "killed at {}",
            written[done].display()
        );
        assert_eq!(
            bytes_of(&out),
            bytes,
            "killed at {}",
            written[done].display()
        );
        fs::remove_dir_all(out).unwrap();
    }
}

#[test]
fn a_changed_source_is_noticed_and_update_remakes_only_that_volume() {
    let root = data();
    let out = root.path().join("prepared");
    run_ok(&request(root.path(), &out));
    write_case(&root.path().join("a/case_00002"), 45, 100);
    let error = run(&request(root.path(), &out), &Silent).unwrap_err();
    assert_eq!(error.kind(), DataErrorKind::Changed);
    assert_eq!(
        error.place(),
        root.path().join("a/case_00002/imaging.nii.gz")
    );
    assert!(error.remedy().contains("--update"), "{error}");

    let outcome = run_ok(&Request {
        update: true,
        ..request(root.path(), &out)
    });
    assert_eq!((outcome.made, outcome.found), (1, 3));
    let fresh = root.path().join("fresh");
    run_ok(&request(root.path(), &fresh));
    assert_eq!(bytes_of(&out), bytes_of(&fresh));
}

/// The slices that are kept hang on the labels alone, so the former index would fit the new files in their sizes.
#[test]
fn an_update_that_breaks_off_leaves_no_index_of_the_former_volumes() {
    let root = data();
    let out = root.path().join("prepared");
    run_ok(&request(root.path(), &out));
    write_case(&root.path().join("a/case_00000"), 30, 100);
    fs::write(root.path().join("b/case_00001/imaging.nii.gz"), b"").unwrap();
    let update = Request {
        update: true,
        jobs: 1,
        ..request(root.path(), &out)
    };
    let error = run(&update, &Silent).unwrap_err();
    assert_eq!(error.kind(), DataErrorKind::Volume);
    let error = Prepared::open(&out).unwrap_err();
    assert_eq!(error.kind(), DataErrorKind::Damaged, "{error}");
    assert!(error.what().contains("partly prepared"), "{error}");
}

#[test]
fn a_changed_option_or_list_of_cases_is_noticed_by_name() {
    let root = data();
    let out = root.path().join("prepared");
    let standing = request(root.path(), &out);
    run_ok(&standing);
    let before = bytes_of(&out);
    let mut seed = standing.clone();
    seed.options.seed = 6;
    let mut pad = standing.clone();
    pad.options.preprocess.pad_to_square = true;
    let mut fraction = standing.clone();
    fraction.options.rule.fraction = 0.2;
    let reserved = Request {
        reserved: BTreeSet::from(["case_00002".to_owned()]),
        ..standing.clone()
    };
    let fewer = Request {
        data: vec![root.path().join("a")],
        ..standing.clone()
    };
    let changes = [
        (&seed, "options.seed was 5, now it is 6"),
        (
            &pad,
            "options.preprocess.pad_to_square was false, now it is true",
        ),
        (&fraction, "options.rule.fraction was 0.1, now it is 0.2"),
        (&reserved, "reserved now has \"case_00002\""),
        (&fewer, "sources no longer has \"b\""),
    ];
    for (changed, expected) in changes {
        let error = run(changed, &Silent).unwrap_err();
        assert_eq!(error.kind(), DataErrorKind::Changed);
        assert!(error.what().contains(expected), "{error}");
        assert_eq!(
            bytes_of(&out),
            before,
            "a refused run must not touch anything"
        );
    }

    // Accepted, the folder becomes what a fresh one would be, but for the split, which is the user's.
    let outcome = run_ok(&Request {
        update: true,
        ..pad.clone()
    });
    assert_eq!((outcome.made, outcome.found), (4, 0));
    let fresh = root.path().join("fresh");
    run_ok(&Request {
        out: fresh.clone(),
        ..pad
    });
    assert_eq!(bytes_of(&out), bytes_of(&fresh));
    // Volumes that are no longer asked for go away.
    run_ok(&Request {
        update: true,
        ..fewer
    });
    assert!(!out.join("volumes/case_00001.1.f32").exists());
    assert_eq!(Prepared::open(&out).unwrap().sources(), ["a"]);
}

#[test]
fn damaged_prepared_files_are_found_and_mended() {
    let root = data();
    let out = root.path().join("prepared");
    run_ok(&request(root.path(), &out));
    let before = bytes_of(&out);
    let mut images = before[Path::new("volumes/case_00000.0.f32")].clone();
    images[1000] ^= 1;
    fs::write(out.join("volumes/case_00000.0.f32"), images).unwrap();
    fs::write(out.join("volumes/case_00001.1.json"), b"{\"case\":").unwrap();
    fs::remove_file(out.join("volumes/case_00002.0.u8")).unwrap();
    let outcome = run_ok(&request(root.path(), &out));
    assert_eq!((outcome.found, outcome.mended), (1, 3));
    assert_eq!(bytes_of(&out), before);
}

#[test]
fn an_edited_split_is_respected_and_a_wrong_one_refused() {
    let root = data();
    let out = root.path().join("prepared");
    run_ok(&request(root.path(), &out));
    let path = out.join("split.toml");
    let edited =
        "# mine\ntest = ['case_00000', 'case_00002']\nvalidation = []\ntrain = ['case_00001']\n";
    fs::write(&path, edited).unwrap();
    run_ok(&request(root.path(), &out));
    assert_eq!(fs::read_to_string(&path).unwrap(), edited);
    let prepared = Prepared::open(&out).unwrap();
    assert_eq!(prepared.split(Split::Train).len(), 35);
    assert_eq!(prepared.split(Split::Test).len(), 13 + 20);

    fs::write(
        &path,
        "test = ['case_00000']\nvalidation = []\ntrain = ['case_00001']\n",
    )
    .unwrap();
    for error in [
        run(&request(root.path(), &out), &Silent).unwrap_err(),
        Prepared::open(&out).unwrap_err(),
    ] {
        assert_eq!(
            (error.kind(), error.place()),
            (DataErrorKind::Split, path.as_path())
        );
        assert!(error.what().contains("case_00002"), "{error}");
    }

    // A split from elsewhere is taken by name.
    let elsewhere = root.path().join("paper.toml");
    fs::write(
        &elsewhere,
        "train = ['case_00002']\nvalidation = ['case_00001']\ntest = ['case_00000']\n",
    )
    .unwrap();
    run_ok(&Request {
        split: Some(elsewhere),
        ..request(root.path(), &out)
    });
    assert_eq!(Prepared::open(&out).unwrap().split(Split::Train).len(), 20);
}

/// Shows RQ-46.
#[test]
fn reserved_patients_are_never_outside_the_test_part() {
    let root = data();
    let out = root.path().join("prepared");
    let reserved: BTreeSet<String> = ["case_00001", "case_00002", "case_00199"]
        .map(str::to_owned)
        .into();
    let request = Request {
        reserved,
        ..request(root.path(), &out)
    };
    let outcome = run_ok(&request);
    assert_eq!(outcome.reserved, ["case_00001", "case_00002"]); // case_00199 is not among these data
    let prepared = Prepared::open(&out).unwrap();
    let test: Vec<&str> = prepared
        .cases()
        .iter()
        .filter(|c| c.split == Split::Test)
        .map(|c| c.name.as_str())
        .collect();
    assert_eq!(test, ["case_00001", "case_00002"]);

    // Nor can an edit of the file bring one back, even where the list is not given again.
    let edited = "train = ['case_00001']\nvalidation = ['case_00000']\ntest = ['case_00002']\n";
    fs::write(out.join("split.toml"), edited).unwrap();
    for error in [
        run(&request, &Silent).unwrap_err(),
        Prepared::open(&out).unwrap_err(),
    ] {
        assert!(error.what().contains("case_00001, reserved"), "{error}");
    }
}

/// Real slices from two folders that share a patient.
#[test]
fn real_kits19_slices_are_prepared_and_joined_by_patient() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    if !data.is_dir() {
        eprintln!("skipped: ../shared is not here");
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let out = root.path().join("prepared");
    let outcome = run_ok(&Request {
        data: vec![data.join("kits19-slices-png"), data.join("ct-volumes")],
        options: Options::default(),
        reserved: BTreeSet::from(["case_00137".to_owned()]),
        ..request(&data, &out)
    });
    let prepared = Prepared::open(&out).unwrap();
    let names: Vec<&str> = prepared.cases().iter().map(|c| c.name.as_str()).collect();
    assert_eq!(
        names,
        ["case_00135", "case_00137", "case_chest", "case_totalseg"]
    );
    assert_eq!(prepared.cases()[1].split, Split::Test);
    // The chest series shows no kidney and has fewer than 50 slices.
    assert_eq!(outcome.without_slices, ["case_chest"]);
    for index in 0..prepared.len() as u32 {
        let image = prepared.image(index);
        assert!(image.iter().all(|value| (0.0..=1.0).contains(value)));
        assert!(
            image.iter().any(|value| *value > 0.3),
            "{} is empty",
            prepared.name(index)
        );
        let labels = prepared.labels(index);
        assert_eq!(count(labels), prepared.meta(index).counts);
    }
}

#[test]
fn a_set_with_neighbours_holds_what_lies_beside_every_kept_slice_and_is_otherwise_the_same() {
    let root = data();
    let (plain, with) = (root.path().join("plain"), root.path().join("with"));
    let mut asked = request(root.path(), &plain);
    // All slices are kept, so that the ends of the volumes are among them.
    asked.options.rule.fraction = 1.0;
    run_ok(&asked);
    asked.out.clone_from(&with);
    asked.options.neighbours = true;
    run_ok(&asked);
    let (plain, with) = (
        Prepared::open(&plain).unwrap(),
        Prepared::open(&with).unwrap(),
    );
    assert!(with.has_neighbours() && !plain.has_neighbours());
    assert_ne!(with.fingerprint(), plain.fingerprint());
    assert_eq!(with.len(), plain.len());
    let mut ends = 0;
    for index in 0..plain.len() as u32 {
        assert_eq!(with.meta(index), plain.meta(index));
        assert_eq!(with.image(index), plain.image(index));
        assert_eq!(with.labels(index), plain.labels(index));
        assert_eq!(plain.with_neighbours(index), [plain.image(index); 3]);

        let meta = with.meta(index);
        let folder = root.path().join(["a", "b"][meta.source as usize]);
        let case = folder.join(&with.cases()[meta.case as usize].name);
        let mut reader = ScanReader::open(case.join("imaging.nii.gz")).unwrap();
        let slices = reader.geometry().shape()[0] as u32;
        let mut hu = vec![0; 48 * 64];
        let beside = [
            meta.slice.saturating_sub(1),
            meta.slice,
            (meta.slice + 1).min(slices - 1),
        ];
        ends += usize::from(beside[0] == beside[1] || beside[1] == beside[2]);
        for (image, slice) in with.with_neighbours(index).into_iter().zip(beside) {
            reader.read_slice(slice as usize, &mut hu).unwrap();
            let mut expected = vec![0.0; 32 * 32];
            asked
                .options
                .preprocess
                .image(&hu, 48, 64, &mut expected)
                .unwrap();
            assert_eq!(image, expected);
        }
    }
    assert!(ends > 0);
}
