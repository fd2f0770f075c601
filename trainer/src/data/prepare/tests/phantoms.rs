//! Phantoms painted and prepared in one go, around label volumes that nobody's data went into.

use super::*;
use crate::data::prepare::phantoms::Phantoms;

/// `data()` with its imaging taken away, one patient who is reserved, and a request for three slices of each.
fn labels() -> (TempDir, Request) {
    let root = data();
    for case in ["case_00000", "case_00001", "case_00002"] {
        fs::remove_file(root.path().join("a").join(case).join("imaging.nii.gz")).unwrap();
    }
    write_case(&root.path().join("a/case_00026"), 20, 0);
    let request = Request {
        data: Vec::new(),
        phantoms: Some(Phantoms {
            labels: root.path().join("a"),
            slices: 3,
        }),
        ..request(root.path(), &root.path().join("prepared"))
    };
    (root, request)
}

#[test]
fn phantoms_are_painted_prepared_and_found_again() {
    let (root, request) = labels();
    let outcome = run_ok(&request);
    assert_eq!(outcome.made, 4); // not case_00026
    let prepared = Prepared::open(&request.out).unwrap();
    assert_eq!(prepared.sources(), ["phantoms"]);
    // Up to three are painted; of those without kidney or tumour the rule may keep none.
    let slices: Vec<u32> = prepared.cases().iter().map(|case| case.slices).collect();
    assert!(slices.iter().all(|n| (1..=3).contains(n)), "{slices:?}");
    let labelled = |i| prepared.meta(i).counts[1..] != [0, 0];
    assert!((0..prepared.len() as u32).filter(|&i| labelled(i)).count() >= 4);
    let notice = fs::read_to_string(request.out.join("phantoms/NOTICE.txt")).unwrap();
    assert!(notice.contains("CC BY-NC-SA 4.0"), "{notice}");

    let bytes = bytes_of(&request.out);
    let again = run_ok(&request);
    assert_eq!((again.made, again.found), (0, 4));
    assert_eq!(bytes, bytes_of(&request.out));
    // A run killed while it painted: one case there, one half-made, nothing prepared.
    let killed = Request {
        out: root.path().join("killed"),
        ..request.clone()
    };
    fs::create_dir_all(killed.out.join("phantoms/.unfinished-x/case_00001")).unwrap();
    for file in [
        "phantoms.json",
        "phantoms/case_00000/imaging.nii.gz",
        "phantoms/case_00000/segmentation.nii.gz",
        "phantoms/case_00000/slices.csv",
    ] {
        let to = killed.out.join(file);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(request.out.join(file), to).unwrap();
    }
    run_ok(&killed);
    assert_eq!(bytes, bytes_of(&killed.out));
}

#[test]
fn phantoms_of_other_labels_or_options_are_noticed_and_painted_anew_on_request() {
    let (root, request) = labels();
    run_ok(&request);
    write_case(&root.path().join("a/case_00002"), 60, 0);
    let mut seed = request.clone();
    seed.options.seed += 1;
    let mut slices = request.clone();
    slices.phantoms.as_mut().unwrap().slices = 2;
    let before = bytes_of(&request.out);
    for (changed, expected) in [
        (&request, "the labels of case_00002 have changed"),
        (&seed, "their seed was 5, now it is 6"),
        (&slices, "their slices per patient was 3, now it is 2"),
    ] {
        let error = run(changed, &Silent).unwrap_err();
        assert_eq!(error.kind(), DataErrorKind::Changed);
        assert!(error.what().contains(expected), "{error}");
        assert_eq!(bytes_of(&request.out), before);
    }
    let outcome = run_ok(&Request {
        update: true,
        ..request.clone()
    });
    assert_eq!((outcome.made, outcome.found), (1, 3));
}

#[test]
fn impossible_phantoms_are_refused_before_anything_is_made() {
    let (root, request) = labels();
    let refused = |labels: &str, slices, kind| {
        let wrong = Request {
            phantoms: Some(Phantoms {
                labels: root.path().join(labels),
                slices,
            }),
            ..request.clone()
        };
        let error = run(&wrong, &Silent).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(!request.out.exists(), "{error}");
    };
    refused("a", 0, DataErrorKind::Option);
    refused("nowhere", 3, DataErrorKind::Io);
    refused("a/case_00000", 3, DataErrorKind::Folder);
}
