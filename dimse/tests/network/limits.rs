//! How much there may be of anything.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use dicom_dictionary_std::uids;
use nephrobox_dimse::client::{Association, Context, Object, OpenError, RequestError};
use nephrobox_dimse::server::{BadSetting, Denial, End, Event, Server, Settings, StartError};

use crate::objects::slice;
use crate::support::{Clerk, PATIENCE, run, settings};

#[test]
fn one_association_too_many_is_refused_politely_and_taken_when_there_is_room() {
    let mut settings = settings();
    settings.max_associations = 2;
    let running = run(settings);
    let open = || Association::open(&running.remote(), &[Context::echo()]);
    let first = open().unwrap();
    let mut second = open().unwrap();
    let error = open().unwrap_err();
    let OpenError::Rejected(rejection) = error else {
        panic!("{error}");
    };
    assert!(!rejection.permanent);
    assert!(
        rejection
            .reason
            .contains("as many associations as it takes"),
        "{rejection}"
    );
    running
        .shelf
        .wait(|event| matches!(event, Event::Refused(_, Denial::Crowded)).then_some(()));
    second.echo().unwrap();
    first.release().unwrap();
    let begin = std::time::Instant::now();
    while open().is_err() {
        assert!(begin.elapsed() < PATIENCE, "the place is never free again");
    }
    second.release().unwrap();
}

/// Shows RQ-73.
#[test]
fn strangers_cannot_keep_out_peers() {
    let mut settings = settings();
    settings.max_associations = 4;
    settings.peers[0].address = Some("192.0.2.1".parse().unwrap());
    let running = run(settings);
    let open = || Association::open(&running.remote(), &[Context::echo()]);
    let held = [open().unwrap(), open().unwrap()];
    assert!(matches!(open(), Err(OpenError::Rejected(_))));
    drop(held);
}

#[test]
fn an_object_too_large_is_refused_with_a_status_and_the_association_goes_on() {
    let mut settings = settings();
    settings.max_object_bytes = 50_000;
    let running = run(settings);
    let (large, small) = (
        slice(uids::EXPLICIT_VR_LITTLE_ENDIAN, "2.25.1", 200),
        slice(uids::EXPLICIT_VR_LITTLE_ENDIAN, "2.25.2", 100),
    );
    let mut association = running.open(&large);
    let error = association
        .store(&mut Object::read(large.as_slice()).unwrap())
        .unwrap_err();
    assert!(
        matches!(&error, RequestError::Status { status: 0xa700, comment } if comment.contains("larger than 50000 bytes")),
        "{error}"
    );
    association
        .store(&mut Object::read(small.as_slice()).unwrap())
        .unwrap();
    association.release().unwrap();
    assert_eq!(running.shelf.stored.lock().unwrap().len(), 1);
    assert_eq!(*running.shelf.abandoned.lock().unwrap(), 1);
}

/// Shows RQ-70.
#[test]
fn an_object_without_end_is_cut_off() {
    let mut settings = settings();
    settings.max_object_bytes = 50_000;
    let running = run(settings);
    let file = slice(uids::EXPLICIT_VR_LITTLE_ENDIAN, "2.25.1", 2);
    let mut association = running.open(&file);
    let endless = file.as_slice().chain(std::io::repeat(0));
    let error = association
        .store(&mut Object::read(endless).unwrap())
        .unwrap_err();
    assert!(matches!(error, RequestError::Line(_)), "{error}");
    assert_eq!(running.shelf.end(), End::Broken("a data set without end"));
}

#[test]
fn a_client_that_may_send_only_small_pdus_sends_small_ones() {
    let mut settings = settings();
    settings.max_pdu = 4096;
    let running = run(settings);
    let file = slice(uids::EXPLICIT_VR_LITTLE_ENDIAN, "2.25.1", 300);
    let mut association = running.open(&file);
    association
        .store(&mut Object::read(file.as_slice()).unwrap())
        .unwrap();
    association.release().unwrap();
}

#[test]
fn who_says_nothing_loses_its_place() {
    let mut settings = settings();
    settings.negotiation = Duration::from_millis(50);
    let running = run(settings);
    let mut socket = TcpStream::connect(running.address()).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(running.shelf.end(), End::Silent);
    let mut said = Vec::new();
    socket.read_to_end(&mut said).unwrap();
    assert_eq!(
        said,
        [7, 0, 0, 0, 0, 4, 0, 0, 2, 0],
        "an abort of the provider"
    );
}

/// Shows RQ-73.
#[test]
fn who_says_a_byte_now_and_then_loses_its_place_too() {
    let mut settings = settings();
    settings.negotiation = Duration::from_millis(300);
    let running = run(settings);
    let mut socket = TcpStream::connect(running.address()).unwrap();
    // Ends when the server is gone; a server that waits for a byte each time would be there for ever.
    let begin = std::time::Instant::now();
    while socket.write_all(&[1]).is_ok() {
        assert!(begin.elapsed() < PATIENCE, "still listening");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn an_association_that_falls_silent_is_aborted() {
    let mut settings = settings();
    settings.silence = Duration::from_millis(50);
    let running = run(settings);
    let mut association = Association::open(&running.remote(), &[Context::echo()]).unwrap();
    assert_eq!(running.shelf.end(), End::Silent);
    assert!(association.echo().is_err());
    assert!(!association.is_open());
}

#[test]
fn an_association_ends_at_the_end_of_its_time_however_busy() {
    let mut settings = settings();
    settings.association = Duration::from_millis(500);
    let running = run(settings);
    let mut association = Association::open(&running.remote(), &[Context::echo()]).unwrap();
    let begin = std::time::Instant::now();
    while association.echo().is_ok() {
        assert!(begin.elapsed() < PATIENCE, "still open");
    }
    assert_eq!(running.shelf.end(), End::Overlong);
}

#[test]
fn settings_that_cannot_be_meant_so_are_refused() {
    type Change = fn(&mut Settings);
    let table: [(&str, Change); 8] = [
        ("AE title", |settings| {
            settings.ae_title = "A TITLE THAT IS TOO LONG".into();
        }),
        ("AE title", |settings| {
            settings.peers[0].ae_title.clear();
        }),
        ("SOP class", |settings| settings.storage.push("CT".into())),
        ("associations", |settings| settings.max_associations = 0),
        ("PDU", |settings| settings.max_pdu = 100),
        ("PDU", |settings| settings.max_pdu = u32::MAX),
        ("object", |settings| settings.max_object_bytes = 0),
        ("silence", |settings| settings.silence = Duration::ZERO),
    ];
    for (what, change) in table {
        let mut settings = settings();
        change(&mut settings);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let error = Server::start(
            listener,
            settings,
            std::sync::Arc::new(Clerk(std::sync::Arc::default())),
        );
        let Err(StartError::Setting(error)) = error else {
            panic!("{what}: started");
        };
        let _: &BadSetting = &error;
        assert!(error.to_string().contains(what), "{error}");
    }
}
