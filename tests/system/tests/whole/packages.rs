//! Packages that a box must not take, and the one permit that lets it go back.

use std::fs;
use std::io::Cursor;

use nephrobox_link::client::LinkError;
use nephrobox_link::message::Code;
use nephrobox_shared::package::{HEADER_LEN, Header, TRAILER_LEN};

use crate::support::{Home, Kind, active, package_object, slots};

/// Shows RQ-36.
#[test]
fn a_package_of_another_key_is_refused() {
    let (home, mut client) = Home::running();
    let package = home.unsigned(2, Kind::Good);
    let stranger = home.path("stranger");
    home.rig
        .tool(["keygen".as_ref(), stranger.as_os_str()])
        .expect("a key");
    let secret = home.path("stranger.secret");
    home.rig
        .tool([
            "sign".as_ref(),
            package.as_os_str(),
            "--key".as_ref(),
            secret.as_os_str(),
        ])
        .expect("signed");
    let before = slots(&mut client);
    drop(client);
    let flashed = home
        .rig
        .try_tool(["flash".as_ref(), package.as_os_str()])
        .expect("run");
    assert_eq!(flashed.status.code(), Some(7), "{flashed:?}");
    let said = String::from_utf8_lossy(&flashed.stderr).into_owned();
    assert!(said.contains("not among the trusted keys"), "{said}");
    let mut home = home;
    assert_eq!(
        slots(&mut home.rig.client().expect("a line")).slots,
        before.slots
    );
}

/// Shows RQ-38.
#[test]
fn a_version_goes_back_only_with_a_permit() {
    let (mut home, mut client) = Home::running();
    let (older, newer) = (home.model(2, Kind::Good), home.model(3, Kind::Good));
    assert!(crate::support::flash(&mut client, &newer).is_ok_and(|good| good));
    drop(client);
    let flashed = home
        .rig
        .try_tool(["flash".as_ref(), older.as_os_str()])
        .expect("run");
    assert_eq!(flashed.status.code(), Some(7), "{flashed:?}");
    let said = String::from_utf8_lossy(&flashed.stderr).into_owned();
    assert!(said.contains("version"), "{said}");

    let (permit, key) = (home.path("back.permit"), home.rig.key());
    home.rig
        .tool([
            "permit".as_ref(),
            older.as_os_str(),
            "--replaces".as_ref(),
            "3".as_ref(),
            "--key".as_ref(),
            key.as_os_str(),
            "--out".as_ref(),
            permit.as_os_str(),
        ])
        .expect("a permit");
    home.rig
        .tool([
            "flash".as_ref(),
            older.as_os_str(),
            "--permit".as_ref(),
            permit.as_os_str(),
        ])
        .expect("flashed");
    let mut client = home.rig.client().expect("a line");
    assert_eq!(active(&mut client), Some(2));
}

/// The announcement is that of the sound package and the bytes are hashed as they are sent: nothing is wrong with the
/// transfer, only with the package.
/// Shows RQ-37.
#[test]
fn a_corrupted_byte_in_any_region_of_a_package_is_found() {
    let (home, mut client) = Home::running();
    let sound = fs::read(home.model(2, Kind::Good)).expect("a package");
    let header = Header::read(&sound).expect("a header");
    let program = HEADER_LEN + header.manifest_len as usize;
    let table = program + header.program_len as usize;
    let trailer = sound.len() - TRAILER_LEN;
    let announced = package_object(&sound);
    for (region, at) in [
        ("magic", 0),
        ("version", 5),
        ("sizes", 20),
        ("manifest", HEADER_LEN + 3),
        ("program", program + 3),
        ("tensor table", table + 3),
        ("tensors", trailer - 70),
        ("hash", trailer + 2),
        ("key", trailer + 40),
        ("signature", sound.len() - 8),
    ] {
        let mut damaged = sound.clone();
        damaged[at] ^= 0x40;
        let refused = client.put(&announced, &mut Cursor::new(&damaged), &mut |_| {});
        let Err(LinkError::Refused(refusal)) = refused else {
            panic!("{region}: {refused:?}");
        };
        assert!(
            matches!(
                refusal.code,
                Code::Package | Code::Signature | Code::Hash | Code::Incompatible
            ),
            "{region}: {refusal:?}"
        );
        assert!(
            refusal.words.contains(';'),
            "{region}: it says what to do: {}",
            refusal.words
        );
        assert_eq!(active(&mut client), Some(1), "{region}");
    }
    client
        .put(&announced, &mut Cursor::new(&sound), &mut |_| {})
        .expect("the sound one is taken");
}
