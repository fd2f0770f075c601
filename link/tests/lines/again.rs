//! A port that goes away and comes back, as a USB port does when the box's gadget starts again.

use std::io::Cursor;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use nephrobox_link::cable::Cable;
use nephrobox_link::client::{Client, Options, Progress};
use nephrobox_link::endpoint::Endpoint;
use nephrobox_link::message::{Object, cut};
use nephrobox_link::server::Speeds;

use crate::support::{Memory, bytes, serve};

/// Gives a cable's ends the names under which both programs know them.
fn name(cable: &Cable, box_end: &Path, tool_end: &Path) {
    for (name, port) in [(box_end, cable.box_end()), (tool_end, cable.tool_end())] {
        symlink(port, name).expect("named");
    }
}

#[test]
fn a_transfer_goes_on_over_a_port_that_was_gone_and_is_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let (box_end, tool_end) = (folder.path().join("box"), folder.path().join("tool"));
    let first = Cable::lay().expect("a cable");
    name(&first, &box_end, &tool_end);
    let cable = Mutex::new(Some(first));
    let desk = Memory::default();
    let speeds = Speeds {
        first: 115_200,
        fastest: 115_200,
    };
    let _box = serve(&box_end, speeds, desk.clone());
    let options = Options {
        patience: Duration::from_mins(1),
        ..Options::default()
    };
    let mut client = Client::connect(&Endpoint::Serial(tool_end.clone()), &options).expect("a box");

    let object = bytes(8 << 20);
    let scan = Object::Scan {
        name: cut("scan.nii"),
        fast: false,
    };
    let (mut gone, mut lost, mut resumed) = (false, false, None);
    let id = std::thread::scope(|scope| {
        client.put(&scan, &mut Cursor::new(&object), &mut |progress| {
            match progress {
                Progress::Bytes { done, .. } if !gone && done > 2 << 20 => {
                    gone = true;
                    // The ports are gone at once, names and all, and back after a while, as other devices.
                    let old = cable.lock().expect("nobody panicked").take();
                    for name in [&box_end, &tool_end] {
                        std::fs::remove_file(name).expect("removed");
                    }
                    drop(old);
                    scope.spawn(|| {
                        std::thread::sleep(Duration::from_secs(2));
                        let next = Cable::lay().expect("a cable");
                        name(&next, &box_end, &tool_end);
                        *cable.lock().expect("nobody panicked") = Some(next);
                    });
                }
                Progress::Bytes { done, .. } if gone && lost && resumed.is_none() => {
                    resumed = Some(done);
                }
                Progress::Reconnecting => lost = gone,
                Progress::Bytes { .. } | Progress::Checking => {}
            }
        })
    });
    assert_eq!(desk.shelf().kept[id.expect("kept").as_str()], object);
    assert!(lost, "the port was gone");
    assert!(
        resumed.is_some_and(|offset| offset > 1 << 20),
        "{resumed:?}"
    );
}
