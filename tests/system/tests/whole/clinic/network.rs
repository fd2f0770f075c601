//! Series in, objects out, with the project's own network on both sides.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use nephrobox_dimse::client::{Association, Context};

use super::{
    ACCESSION, Clinic, NAME, PATIENT, RESULTS, STUDY, TestArchive, files_below, free_port, open,
    phantom,
};
use crate::phantom::SHAPE;
use crate::support::{PATIENCE, status};

fn text(object: &InMemDicomObject, tag: dicom_core::Tag) -> String {
    let element = object.element(tag).expect("there");
    element
        .to_str()
        .expect("a text")
        .trim_end_matches(['\0', ' '])
        .to_owned()
}

/// One page of the box over HTTP.
pub(crate) fn page(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a page");
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").expect("asked");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn a_stored_series_comes_back_to_the_archive_as_four_objects_of_its_study() {
    let port = free_port();
    let (clinic, client) = Clinic::running(&TestArchive::section(port));
    drop(client);
    let archive = TestArchive::start(port, &clinic.home.path("archive"));
    let files = clinic.series("series", &phantom([false; 3], "2.25.440011"));
    clinic.store(&files);

    let objects = archive.wait_for(4);
    assert_eq!(
        archive.classes(),
        RESULTS,
        "the report refers to what came before"
    );
    for object in &objects {
        assert_eq!(text(object, tags::PATIENT_ID), PATIENT);
        assert_eq!(text(object, tags::PATIENT_NAME), NAME);
        assert_eq!(text(object, tags::STUDY_INSTANCE_UID), STUDY);
        assert_eq!(text(object, tags::ACCESSION_NUMBER), ACCESSION);
        let description = text(object, tags::SERIES_DESCRIPTION);
        assert!(
            description.starts_with("For research use only"),
            "{description}"
        );
    }
}

/// Shows RQ-62.
#[test]
fn identifiers_are_in_the_results_and_in_no_log_no_metric_no_status_and_no_name_of_a_file() {
    let port = free_port();
    let (clinic, mut client) = Clinic::running(&TestArchive::section(port));
    let archive = TestArchive::start(port, &clinic.home.path("archive"));
    let files = clinic.series("series", &phantom([false; 3], "2.25.440022"));
    clinic.store(&files);
    archive.wait_for(4);

    let marks = [
        NAME,
        "Zzyzx",
        PATIENT,
        ACCESSION,
        STUDY,
        "2.25.440022",
        "19560708",
    ];
    let clean = |what: &str, words: &str| {
        for mark in marks {
            assert!(!words.contains(mark), "{mark} is in {what}");
        }
    };
    clean("the status", &status(&mut client).to_string());
    for path in ["/", "/metrics", "/status.json", "/health/ready"] {
        clean(path, &page(clinic.page, path));
    }
    let log = std::fs::read_to_string(clinic.home.rig.log()).expect("a log");
    assert!(log.contains("received"), "the log is on");
    clean("the log", &log);
    let mut found = false;
    for file in files_below(&clinic.home.rig.state()) {
        clean("a name", &file.display().to_string());
        let bytes = std::fs::read(&file).expect("a file");
        let holds = marks.iter().any(|mark| {
            bytes
                .windows(mark.len())
                .any(|window| window == mark.as_bytes())
        });
        let within = |part: &str| file.components().any(|one| one.as_os_str() == part);
        let result = within("results") || within("dicom");
        assert!(result || !holds, "{} holds an identifier", file.display());
        found |= result && holds;
    }
    assert!(found, "the results name the patient");
}

/// Shows RQ-66.
#[test]
fn whoever_is_on_no_list_may_only_ask_whether_the_box_is_there() {
    let (clinic, client) = Clinic::running("");
    drop(client);
    let files = clinic.series("series", &phantom([false; 3], "2.25.440033"));
    let mut objects = open(&files[..1]);
    let contexts = [Context::echo(), objects[0].context()];
    let mut stranger =
        Association::open(&clinic.remote("STRANGER"), &contexts).expect("an association");
    stranger.echo().expect("the box is there");
    stranger
        .store(&mut objects[0])
        .expect_err("not on the list");
    drop(stranger);
    let log = || std::fs::read_to_string(clinic.home.rig.log()).expect("a log");
    let until = Instant::now() + PATIENCE;
    while !log().contains("not in dicom.peers") {
        assert!(Instant::now() < until, "{}", log());
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(files_below(&clinic.home.rig.state().join("dicom")).is_empty());
}

/// Shows RQ-48.
#[test]
fn killed_between_slices_it_makes_one_scan_of_all_that_it_said_are_stored() {
    let port = free_port();
    let (mut clinic, client) = Clinic::running(&TestArchive::section(port));
    drop(client);
    let files = clinic.series("series", &phantom([false; 3], "2.25.440044"));
    let (first, rest) = files.split_at(files.len() / 2);
    clinic.store(first);
    clinic.home.rig.start().expect("killed, and started again");
    drop(clinic.home.rig.client().expect("a line"));
    clinic.store(rest);
    // The archive is there only now: the results have waited for it.
    let archive = TestArchive::start(port, &clinic.home.path("archive"));
    let objects = archive.wait_for(4);
    let last = &objects[archive
        .classes()
        .iter()
        .rposition(|class| class == RESULTS[1])
        .expect("a report")];
    let evidence = last
        .element(tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE)
        .expect("evidence");
    let series = evidence.items().expect("a sequence")[0]
        .element(tags::REFERENCED_SERIES_SEQUENCE)
        .expect("series");
    let images = series.items().expect("a sequence").iter().map(|series| {
        let images = series
            .element(tags::REFERENCED_SOP_SEQUENCE)
            .expect("images");
        images.items().expect("a sequence").len()
    });
    assert_eq!(images.max(), Some(SHAPE[0]), "every slice is in the scan");
}

/// Shows RQ-75.
#[test]
fn in_silent_mode_results_are_made_and_kept_and_nobody_gets_them() {
    let port = free_port();
    let (clinic, mut client) = Clinic::running(&TestArchive::section(port));
    let config = clinic.home.rig.config();
    let loud = std::fs::read_to_string(&config).expect("a configuration");
    drop(client);
    let mut clinic = clinic;
    let silent = loud.replacen("[box]\n", "[box]\nsilent = true\n", 1);
    std::fs::write(&config, silent).expect("written");
    clinic.home.rig.start().expect("started again");
    client = clinic.home.rig.client().expect("a line");
    let archive = TestArchive::start(port, &clinic.home.path("archive"));
    let files = clinic.series("series", &phantom([false; 3], "2.25.440055"));
    clinic.store(&files);
    assert!(page(clinic.page, "/").contains("Silent mode"));
    let until = Instant::now() + PATIENCE;
    while status(&mut client)["counters"]["finished"] != 1 {
        assert!(Instant::now() < until, "{}", status(&mut client));
        std::thread::sleep(Duration::from_millis(50));
    }
    drop(client);
    // Loud again, what came in silence stays.
    std::fs::write(&config, loud).expect("written");
    clinic.home.rig.start().expect("started again");
    client = clinic.home.rig.client().expect("a line");
    let second = clinic.series("second", &phantom([false; 3], "2.25.440066"));
    clinic.store(&second);
    let objects = archive.wait_for(4);
    assert_eq!(archive.classes().len(), 4, "of one scan");
    assert!(
        objects
            .iter()
            .all(|object| text(object, tags::PATIENT_ID) == PATIENT)
    );
    let finished = status(&mut client)["results"].as_array().map(Vec::len);
    assert_eq!(finished, Some(2), "both are kept");
}

#[test]
fn an_object_in_a_syntax_that_is_not_read_is_refused_at_negotiation() {
    let (clinic, client) = Clinic::running("");
    drop(client);
    let context = |syntax: &str| Context {
        sop_class_uid: dicom_dictionary_std::uids::CT_IMAGE_STORAGE.into(),
        transfer_syntax: syntax.into(),
    };
    // Big endian and JPEG as in photographs.
    let refused = ["1.2.840.10008.1.2.2", "1.2.840.10008.1.2.4.50"].map(context);
    let read = [
        "1.2.840.10008.1.2",
        "1.2.840.10008.1.2.1",
        "1.2.840.10008.1.2.1.99",
        "1.2.840.10008.1.2.4.57",
        "1.2.840.10008.1.2.4.70",
        "1.2.840.10008.1.2.4.80",
        "1.2.840.10008.1.2.4.90",
        "1.2.840.10008.1.2.5",
    ]
    .map(context);
    let all: Vec<Context> = refused.iter().chain(&read).cloned().collect();
    let association = Association::open(&clinic.remote("CT1"), &all).expect("an association");
    for context in &all {
        assert_eq!(
            association.accepts(context),
            read.contains(context),
            "{context:?}"
        );
    }
    association.release().expect("released");
}
