//! Our client against our server: what an association is for.

use std::io;

use dicom_dictionary_std::uids;
use nephrobox_dimse::client::{Association, Context, LineError, Object, RequestError};
use nephrobox_dimse::server::{End, Event, Refusal};
use nephrobox_dimse::syntax::{CT_IMAGE_STORAGE, STORED};

use crate::objects::{data_set, head, slice};
use crate::support::{Mood, ct, run, settings};

#[test]
fn an_echo_is_answered() {
    let running = run(settings());
    running.is_well();
    running.shelf.wait(|event| {
        matches!(event, Event::Echoed(who) if who.name.as_deref() == Some("CT 1")).then_some(())
    });
    assert_eq!(running.shelf.end(), End::Released);
}

#[test]
fn an_object_arrives_as_a_file_with_the_data_set_that_was_sent() {
    let running = run(settings());
    let file = slice(uids::EXPLICIT_VR_LITTLE_ENDIAN, "2.25.77", 300);
    let mut association = running.open(&file);
    let stored = association
        .store(&mut Object::read(file.as_slice()).unwrap())
        .unwrap();
    assert_eq!(
        (stored.warning, stored.bytes),
        (None, data_set(&file).len() as u64)
    );
    association.release().unwrap();

    let kept = running.shelf.stored.lock().unwrap();
    let (offer, kept) = &kept[0];
    assert_eq!(data_set(kept), data_set(&file));
    assert_eq!(offer.peer, "CT 1");
    assert_eq!(offer.calling_ae_title, "SCANNER");
    assert_eq!(offer.sop_class_uid, CT_IMAGE_STORAGE);
    assert_eq!(offer.sop_instance_uid, "2.25.77");
    let read = dicom_object::from_reader(kept.as_slice()).unwrap();
    assert_eq!(read.meta().media_storage_sop_instance_uid(), "2.25.77");
    assert_eq!(
        read.meta().source_application_entity_title(),
        Some("SCANNER")
    );
}

#[test]
fn every_accepted_syntax_arrives_on_one_association_in_its_own_context() {
    let running = run(settings());
    let files: Vec<_> = STORED
        .iter()
        .zip(1..)
        .map(|(syntax, number)| slice(syntax, &format!("2.25.{number}"), 64))
        .collect();
    let mut contexts: Vec<_> = STORED.iter().map(|syntax| ct(syntax)).collect();
    contexts.push(Context::echo());
    let mut association = Association::open(&running.remote(), &contexts).unwrap();
    for file in &files {
        association
            .store(&mut Object::read(file.as_slice()).unwrap())
            .unwrap();
        association.echo().unwrap();
    }
    association.release().unwrap();
    let kept = running.shelf.stored.lock().unwrap();
    assert_eq!(kept.len(), STORED.len());
    for (((offer, kept), file), syntax) in kept.iter().zip(&files).zip(STORED) {
        assert_eq!(offer.transfer_syntax, syntax);
        assert_eq!(data_set(kept), data_set(file), "{syntax}");
        let table = dicom_object::FileMetaTable::from_reader(&kept[128..]).unwrap();
        assert_eq!(table.transfer_syntax(), syntax);
    }
}

#[test]
fn other_syntaxes_and_classes_are_refused_when_they_are_proposed() {
    let refused = [
        (CT_IMAGE_STORAGE, "1.2.840.10008.1.2.2", "transfer syntax"),
        (
            CT_IMAGE_STORAGE,
            uids::JPEG_BASELINE8_BIT,
            "transfer syntax",
        ),
        (
            CT_IMAGE_STORAGE,
            uids::JPEG_EXTENDED12_BIT,
            "transfer syntax",
        ),
        (CT_IMAGE_STORAGE, uids::HTJ2K_LOSSLESS, "transfer syntax"),
        (CT_IMAGE_STORAGE, uids::MPEG2MPML, "transfer syntax"),
        (CT_IMAGE_STORAGE, "1.2.3.4", "transfer syntax"),
        (
            uids::ENHANCED_CT_IMAGE_STORAGE,
            uids::EXPLICIT_VR_LITTLE_ENDIAN,
            "SOP class",
        ),
        (
            uids::SECONDARY_CAPTURE_IMAGE_STORAGE,
            uids::EXPLICIT_VR_LITTLE_ENDIAN,
            "SOP class",
        ),
        (
            uids::MR_IMAGE_STORAGE,
            uids::EXPLICIT_VR_LITTLE_ENDIAN,
            "SOP class",
        ),
        ("2.25.1234", uids::EXPLICIT_VR_LITTLE_ENDIAN, "SOP class"),
        (uids::VERIFICATION, uids::JPEG2000, "transfer syntax"),
    ];
    let running = run(settings());
    let contexts: Vec<_> = refused
        .iter()
        .map(|(class, syntax, _)| Context {
            sop_class_uid: (*class).into(),
            transfer_syntax: (*syntax).into(),
        })
        .collect();
    let mut association = Association::open(&running.remote(), &contexts).unwrap();
    for (class, syntax, what) in refused {
        let mut file = head(class, syntax, "2.25.1");
        file.extend(b"anything");
        let error = association
            .store(&mut Object::read(file.as_slice()).unwrap())
            .unwrap_err();
        assert!(
            matches!(error, RequestError::NotAccepted { reason, .. } if reason.contains(what)),
            "{class} {syntax}: {error}"
        );
    }
    assert!(association.is_open());
    association.release().unwrap();
}

#[test]
fn a_refusal_of_the_desk_is_a_status_with_its_comment_and_the_association_goes_on() {
    let table = [
        (Refusal::OutOfResources("no room".into()), 0xa700),
        (Refusal::NotOfItsClass("no pixels".into()), 0xa900),
        (Refusal::NotUnderstood("cut off".into()), 0xc000),
    ];
    let running = run(settings());
    let file = slice(uids::IMPLICIT_VR_LITTLE_ENDIAN, "2.25.77", 200);
    let mut association = running.open(&file);
    for (refusal, wanted) in table {
        for mood in [
            Mood::Refuse(refusal.clone()),
            Mood::RefuseLate(refusal.clone()),
        ] {
            running.shelf.be(mood);
            let error = association
                .store(&mut Object::read(file.as_slice()).unwrap())
                .unwrap_err();
            let RequestError::Status { status, comment } = error else {
                panic!("{error}");
            };
            assert_eq!((status, comment.as_str()), (wanted, refusal.comment()));
        }
    }
    running.shelf.be(Mood::Keep);
    association
        .store(&mut Object::read(file.as_slice()).unwrap())
        .unwrap();
    association.release().unwrap();
}

#[test]
fn a_disk_that_is_full_halfway_is_out_of_resources() {
    let running = run(settings());
    running.shelf.be(Mood::FailAfter(100_000));
    let file = slice(uids::IMPLICIT_VR_LITTLE_ENDIAN, "2.25.77", 512);
    let mut association = running.open(&file);
    let error = association
        .store(&mut Object::read(file.as_slice()).unwrap())
        .unwrap_err();
    assert!(
        matches!(error, RequestError::Status { status: 0xa700, .. }),
        "{error}"
    );
    association.release().unwrap();
    assert_eq!(*running.shelf.abandoned.lock().unwrap(), 1);
}

#[test]
fn a_sink_that_panics_costs_its_own_connection() {
    let running = run(settings());
    let file = slice(uids::IMPLICIT_VR_LITTLE_ENDIAN, "2.25.77", 64);
    let mut other = running.open(&file);
    running.shelf.be(Mood::Panic);
    let mut association = running.open(&file);
    let error = association
        .store(&mut Object::read(file.as_slice()).unwrap())
        .unwrap_err();
    assert!(matches!(error, RequestError::Line(_)), "{error}");
    assert!(!association.is_open());
    assert_eq!(running.shelf.end(), End::Panicked);
    running.shelf.be(Mood::Keep);
    other
        .store(&mut Object::read(file.as_slice()).unwrap())
        .unwrap();
    other.release().unwrap();
}

#[test]
fn a_file_that_ends_in_an_error_is_not_stored_as_if_it_were_whole() {
    struct Broken<'a>(&'a [u8]);
    impl io::Read for Broken<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            match self.0.read(buffer)? {
                0 => Err(io::Error::other("the disk is gone")),
                read => Ok(read),
            }
        }
    }
    let running = run(settings());
    let file = slice(uids::EXPLICIT_VR_LITTLE_ENDIAN, "2.25.77", 500);
    let mut association = running.open(&file);
    let mut object = Object::read(Broken(&file[..file.len() / 2])).unwrap();
    let error = association.store(&mut object).unwrap_err();
    assert!(matches!(error, RequestError::Read(_)), "{error}");
    let again = association.echo();
    assert!(matches!(again, Err(RequestError::NotAccepted { .. })));
    assert_eq!(running.shelf.end(), End::Aborted);
    assert_eq!(*running.shelf.abandoned.lock().unwrap(), 1);
    assert!(running.shelf.stored.lock().unwrap().is_empty());
}

#[test]
fn an_association_that_is_dropped_is_aborted_and_its_object_abandoned() {
    let running = run(settings());
    drop(running.open(&slice(uids::JPEG2000, "2.25.77", 8)));
    assert_eq!(running.shelf.end(), End::Aborted);
}

#[test]
fn a_server_that_stops_ends_its_associations_and_leaves_no_thread() {
    let running = run(settings());
    let file = slice(uids::IMPLICIT_VR_LITTLE_ENDIAN, "2.25.77", 64);
    let mut association = running.open(&file);
    let address = running.address();
    running.server.stop();
    assert_eq!(running.shelf.end(), End::Stopped);
    let error = association
        .store(&mut Object::read(file.as_slice()).unwrap())
        .unwrap_err();
    assert!(
        matches!(
            error,
            RequestError::Line(LineError::Lost(_) | LineError::Aborted)
        ),
        "{error}"
    );
    assert!(std::net::TcpStream::connect(address).is_err());
}
