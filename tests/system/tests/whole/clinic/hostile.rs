//! A network that means no good: associations that break off, and bytes that are no DICOM.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use nephrobox_dimse::client::{Association, Context, Object};

use super::{Clinic, open, phantom};
use crate::phantom::SHAPE;
use crate::process::Vitals;
use crate::support::{PATIENCE, long, status};

/// The request of an association for an echo, as a peer writes it.
fn request() -> Vec<u8> {
    let item = |kind: u8, content: &[u8]| {
        let mut bytes = vec![kind, 0];
        bytes.extend((content.len() as u16).to_be_bytes());
        bytes.extend(content);
        bytes
    };
    let context = [
        vec![1, 0, 0, 0],
        item(0x30, b"1.2.840.10008.1.1"),
        item(0x40, b"1.2.840.10008.1.2"),
    ];
    let user = [item(0x51, &[0, 0, 0x40, 0]), item(0x52, b"2.25.7")];
    let body = [
        vec![0, 1, 0, 0],
        b"NEPHROBOX       CT1             ".to_vec(),
        vec![0; 32],
        item(0x10, b"1.2.840.10008.3.1.1.1"),
        item(0x20, &context.concat()),
        item(0x50, &user.concat()),
    ]
    .concat();
    let mut bytes = vec![1, 0];
    bytes.extend((body.len() as u32).to_be_bytes());
    bytes.extend(body);
    bytes
}

/// Whether the box still takes its own peers.
fn echoes(clinic: &Clinic) {
    let until = Instant::now() + PATIENCE;
    loop {
        // All places may be taken by those who have just gone.
        let echoed = Association::open(&clinic.remote("CT1"), &[Context::echo()])
            .map_err(|error| error.to_string())
            .and_then(|mut association| association.echo().map_err(|error| error.to_string()));
        match echoed {
            Ok(()) => return,
            Err(error) => assert!(Instant::now() < until, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What a connection sends before it is gone.
fn aborted(number: usize, request: &[u8], port: u16) {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else {
        return;
    };
    // A peer that the box has closed on cannot write; that is as good.
    let _ = match number % 5 {
        0 => Ok(()),
        1 => stream.write_all(&request[..number % request.len()]),
        2 => stream.write_all(request),
        3 => stream
            .write_all(request)
            .and_then(|()| stream.write_all(&[7, 0, 0, 0, 0, 4, 0, 0, 0, 0])),
        _ => stream.write_all(request).and_then(|()| {
            stream.read_exact(&mut [0; 6])?;
            stream.shutdown(Shutdown::Both)
        }),
    };
}

/// Shows RQ-73.
#[test]
fn associations_that_break_off_leave_memory_flat_and_the_box_at_work() {
    let count = if long() { 10_000 } else { 500 };
    let (clinic, client) = Clinic::running("");
    drop(client);
    let request = request();
    let run = |range: std::ops::Range<usize>| {
        for number in range {
            aborted(number, &request, clinic.port);
        }
        echoes(&clinic);
    };
    run(0..count / 5);
    let pid = clinic.home.rig.pid().expect("it runs");
    let before = Vitals::of(pid).resident_kib;
    run(count / 5..count);
    let after = Vitals::of(pid).resident_kib;
    println!(
        "{count} associations broken off: {before} KiB after a fifth of them, {after} KiB in the end"
    );
    assert!(after < before + 4096, "{before} KiB, {after} KiB");
}

/// Shows RQ-69.
#[test]
fn bytes_that_are_no_dicom_cost_their_own_connection_and_nothing_else() {
    let (clinic, client) = Clinic::running("");
    drop(client);
    let files = clinic.series("series", &phantom([false; 3], "2.25.770011"));
    let mut objects = open(&files);
    let contexts = [objects[0].context()];
    let mut good = Association::open(&clinic.remote("CT1"), &contexts).expect("an association");
    let request = request();
    let lying = |length: u32| {
        let mut bytes = request.clone();
        bytes[2..6].copy_from_slice(&length.to_be_bytes());
        bytes
    };
    let bad: [Vec<u8>; 9] = [
        b"GET / HTTP/1.1\r\nHost: box\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        vec![0; 4096],
        vec![0xff; 4096],
        lying(u32::MAX),
        lying(0),
        lying(70),
        [&request[..], &[4, 0, 0xff, 0xff, 0xff, 0xff]].concat(),
        [&request[..], &[9; 64]].concat(),
    ];
    for (bytes, object) in bad.iter().zip(&mut objects) {
        let mut stream = TcpStream::connect(("127.0.0.1", clinic.port)).expect("a connection");
        let _ = stream.write_all(bytes);
        // The one that was there before goes on.
        good.store(object).expect("stored");
        drop(stream);
    }
    good.release().expect("released");
    echoes(&clinic);
}

/// Data sets that are no longer what a scanner wrote. Each is taken, for its series to be judged, or refused with a status; the association goes on.
#[test]
fn data_sets_that_are_damaged_cost_themselves_and_nothing_else() {
    let (clinic, mut client) = Clinic::running("");
    let files = clinic.series("series", &phantom([false; 3], "2.25.770022"));
    let mut good = open(&files);
    let context = good[0].context();
    let whole = std::fs::read(&files[0]).expect("a file");
    // Behind the elements about the file, which the client itself needs.
    let meta = 144 + u32::from_le_bytes([whole[140], whole[141], whole[142], whole[143]]) as usize;
    let mut damaged: Vec<Vec<u8>> = (0..60)
        .map(|step| whole[..meta + step * (whole.len() - meta) / 60].to_vec())
        .collect();
    let mut state = 7_u64;
    let mut random = move |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as usize % below
    };
    for _ in 0..200 {
        let mut bytes = whole.clone();
        for _ in 0..=random(6) {
            // Mostly in the header, where lengths and tags are.
            let within = if random(4) == 0 {
                whole.len() - meta
            } else {
                700
            };
            let at = meta + random(within);
            bytes[at] = random(256) as u8;
        }
        damaged.push(bytes);
    }
    let mut association = Association::open(&clinic.remote("CT1"), std::slice::from_ref(&context))
        .expect("an association");
    let (mut taken, mut refused) = (0, 0);
    for bytes in &damaged {
        let mut object = Object::read(bytes.as_slice()).expect("its meta is whole");
        match association.store(&mut object) {
            Ok(_) => taken += 1,
            Err(error) => {
                refused += 1;
                assert!(association.is_open(), "{error}");
            }
        }
    }
    println!("{taken} damaged objects were taken, {refused} refused");
    assert!(taken > 0 && refused > 60 / 2);
    for object in &mut good {
        association.store(object).expect("stored");
    }
    association.release().expect("released");

    // Whatever series the damaged ones made, the box deals with them and goes on to a good one.
    let fine = clinic.series("fine", &phantom([false; 3], "2.25.770033"));
    clinic.store(&fine);
    let until = Instant::now() + PATIENCE;
    loop {
        let state = status(&mut client);
        let rests = state["arriving_series"] == 0
            && state["queued"] == 0
            && state["activity"]["kind"] == "idle";
        let fine = state["results"].as_array().expect("a list").iter();
        let fine = fine.filter(|one| one["slices"] == SHAPE[0]).count();
        if rests && fine > 0 {
            assert_eq!(state["aside"], 0, "{state}");
            break;
        }
        assert!(Instant::now() < until, "{state}");
        std::thread::sleep(Duration::from_millis(100));
    }
}
