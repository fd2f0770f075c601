//! What `prepare` and [`Prepared::open`] refuse, and what they say.

use super::*;

#[test]
fn image_and_labels_on_different_grids_are_refused_with_both_names() {
    let root = data();
    let strange = root.path().join("a/case_00000/segmentation.nii.gz");
    let geometry = Geometry::kits([30, 48, 64], Spacing::new(2.5, 0.8, 0.8).unwrap()).unwrap();
    write_labels(&strange, &geometry, &mut |_, _| {}).unwrap();
    let out = root.path().join("prepared");
    let error = run(&request(root.path(), &out), &Silent).unwrap_err();
    assert_eq!(
        (error.kind(), error.place()),
        (DataErrorKind::Grid, strange.as_path())
    );
    assert!(error.what().contains("imaging.nii.gz"), "{error}");
    assert!(!out.join("index.json").exists());
    assert_eq!(
        Prepared::open(&out).unwrap_err().kind(),
        DataErrorKind::Damaged
    );
}

#[test]
fn a_broken_volume_stops_the_run_with_its_name_and_leaves_nothing_half_written() {
    let root = data();
    let broken = root.path().join("b/case_00001/imaging.nii.gz");
    let bytes = fs::read(&broken).unwrap();
    fs::write(&broken, &bytes[..bytes.len() / 2]).unwrap();
    let out = root.path().join("prepared");
    let error = run(&request(root.path(), &out), &Silent).unwrap_err();
    assert_eq!(
        (error.kind(), error.place()),
        (DataErrorKind::Volume, broken.as_path())
    );
    assert!(bytes_of(&out).keys().all(|path| !files::unfinished(path)));
    fs::write(&broken, &bytes).unwrap();
    run_ok(&request(root.path(), &out)); // and mended, it goes on
    Prepared::open(&out).unwrap();
}

#[test]
fn wrong_requests_are_refused_before_anything_is_made() {
    let root = data();
    let out = root.path().join("prepared");
    let good = request(root.path(), &out);
    let refused = |request: &Request, kind| {
        let error = run(request, &Silent).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(!out.exists(), "{error}");
    };
    let mut odd = good.clone();
    odd.options.preprocess.rows = 100;
    refused(&odd, DataErrorKind::Option);
    let mut negative = good.clone();
    negative.options.rule.fraction = f64::NAN;
    refused(&negative, DataErrorKind::Option);
    let labels_only = root.path().join("labels");
    fs::create_dir(&labels_only).unwrap();
    fs::rename(
        root.path().join("a/case_00003"),
        labels_only.join("case_00003"),
    )
    .unwrap();
    refused(
        &Request {
            data: vec![labels_only],
            ..good.clone()
        },
        DataErrorKind::Folder,
    );
    refused(
        &Request {
            data: vec![root.path().join("nowhere")],
            ..good.clone()
        },
        DataErrorKind::Io,
    );

    let foreign = root.path().join("foreign");
    fs::create_dir(&foreign).unwrap();
    fs::write(foreign.join("thesis.tex"), b"").unwrap();
    let error = run(
        &Request {
            out: foreign.clone(),
            ..good
        },
        &Silent,
    )
    .unwrap_err();
    assert_eq!(
        (error.kind(), error.place()),
        (DataErrorKind::Folder, foreign.as_path())
    );
    assert_eq!(fs::read_dir(&foreign).unwrap().count(), 1);
}

#[test]
fn what_is_not_a_finished_set_is_not_opened() {
    let root = data();
    assert_eq!(
        Prepared::open(root.path()).unwrap_err().kind(),
        DataErrorKind::Folder
    );
    let out = root.path().join("prepared");
    run_ok(&request(root.path(), &out));
    let cut = out.join("volumes/case_00002.0.f32");
    let file = fs::File::options().write(true).open(&cut).unwrap();
    file.set_len(file.metadata().unwrap().len() - 4).unwrap();
    let error = Prepared::open(&out).unwrap_err();
    assert_eq!(
        (error.kind(), error.place()),
        (DataErrorKind::Damaged, cut.as_path())
    );
    let index = fs::read_to_string(out.join("index.json")).unwrap();
    fs::write(
        out.join("index.json"),
        index.replacen("\"format\": 1", "\"format\": 2", 1),
    )
    .unwrap();
    assert!(
        Prepared::open(&out)
            .unwrap_err()
            .what()
            .contains("format 2, this program reads 1")
    );
}
