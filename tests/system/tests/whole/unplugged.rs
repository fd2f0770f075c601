//! The cable is pulled out in the middle of something and put back.

use std::fs;
use std::io::Cursor;
use std::time::Duration;

use nephrobox_link::cable::Quality;
use nephrobox_link::client::Progress;
use nephrobox_link::message::Object;
use nephrobox_system::file;

use crate::support::{Home, active, ended, large_scan_bytes, package_object, scan_object, verdict};

/// Longer than a line may be silent.
const OUT: Duration = Duration::from_secs(7);

/// Sends an object over a cable that is pulled out at a third of it, and returns its id and where it went on.
fn put_unplugged(home: &mut Home, object: &Object, bytes: &[u8]) -> (String, u64) {
    let mut client = home.rig.client().expect("a line");
    let cable = home.rig.cable();
    let (mut pulled, mut lost, mut resumed) = (false, false, None);
    let id = std::thread::scope(|scope| {
        client.put(
            object,
            &mut Cursor::new(bytes),
            &mut |progress| match progress {
                Progress::Bytes { done, total } if !pulled && done > total / 3 => {
                    pulled = true;
                    cable.unplug();
                    scope.spawn(|| {
                        std::thread::sleep(OUT);
                        cable.plug();
                    });
                }
                Progress::Bytes { done, .. } if lost && resumed.is_none() => resumed = Some(done),
                Progress::Reconnecting => lost = true,
                _ => {}
            },
        )
    });
    assert!(lost, "the line was lost");
    (
        id.expect("kept").as_str().to_owned(),
        resumed.expect("it went on"),
    )
}

#[test]
fn a_scan_goes_on_where_it_was() {
    // Slow enough that a third of a scan is not the whole of it by the time anyone looks.
    let mut home = Home::with(
        Quality {
            baud: 10_000_000,
            ..Quality::default()
        },
        "",
    );
    home.rig.start().expect("a box");
    let mut client = home.rig.client().expect("a line");
    let package = home.model(1, crate::support::Kind::Good);
    assert!(crate::support::flash(&mut client, &package).is_ok_and(|good| good));
    drop(client);
    let scan = large_scan_bytes(1, 12 << 20);
    let (id, resumed) = put_unplugged(&mut home, &scan_object(), &scan);
    assert!(resumed > 0, "the box had kept what had come");
    let mut client = home.rig.client().expect("a line");
    assert_eq!(format!("{:?}", ended(&mut client, &id)), "Finished");
}

#[test]
fn a_model_goes_on_where_it_was() {
    let mut home = Home::with(
        Quality {
            baud: 10_000_000,
            ..Quality::default()
        },
        "",
    );
    home.rig.start().expect("a box");
    drop(home.rig.client().expect("a line"));
    let (bundled, signed) = (
        file("models/demo-resnet18.nbx").expect("a model"),
        home.path("demo.nbx"),
    );
    let key = home.rig.key();
    home.rig
        .tool([
            "sign".as_ref(),
            bundled.as_os_str(),
            "--key".as_ref(),
            key.as_os_str(),
            "--out".as_ref(),
            signed.as_os_str(),
        ])
        .expect("signed");
    let package = fs::read(&signed).expect("a package");
    let object = package_object(&package);
    let Object::Package { hash, version, .. } = object else {
        panic!("it is a package");
    };
    let (_, resumed) = put_unplugged(&mut home, &object, &package);
    assert!(resumed > 0, "the box had kept what had come");
    let mut client = home.rig.client().expect("a line");
    assert!(verdict(&mut client, hash));
    assert_eq!(active(&mut client), Some(version));
}
