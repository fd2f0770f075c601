//! A full disk.

use std::fs;
use std::io::Cursor;
use std::path::Path;
use std::process::Command;

use nephrobox_link::cable::Quality;
use nephrobox_link::client::{Client, LinkError};
use nephrobox_link::message::Code;

use crate::support::{Home, Kind, ended, flash, scan_bytes, scan_object, status};

/// Sends scans until one is not taken; returns the ids of the others, and the refusal.
fn send_until_refused(client: &mut Client, at_most: u32) -> (Vec<String>, Code) {
    let mut accepted = Vec::new();
    for number in 0..at_most {
        let scan = scan_bytes(number);
        match client.put(&scan_object(), &mut Cursor::new(&scan), &mut |_| {}) {
            Ok(id) => accepted.push(id.as_str().to_owned()),
            Err(LinkError::Refused(refusal)) => {
                assert!(
                    refusal.words.contains(';'),
                    "it says what to do: {}",
                    refusal.words
                );
                return (accepted, refusal.code);
            }
            Err(error) => panic!("{error}"),
        }
    }
    panic!("all {at_most} scans were taken");
}

#[test]
fn a_box_that_must_leave_more_free_than_there_is_takes_nothing_and_says_why() {
    let mut home = Home::with(Quality::default(), "");
    let config = fs::read_to_string(home.rig.config()).expect("a configuration");
    let full = config.replace("keep_free_bytes = 0", "keep_free_bytes = \"900 TB\"");
    fs::write(home.rig.config(), full).expect("written");
    home.rig.start().expect("a box");
    let mut client = home.rig.client().expect("a line");
    let package = home.model(1, Kind::Good);
    assert!(flash(&mut client, &package).is_ok_and(|good| good));
    let (accepted, code) = send_until_refused(&mut client, 1);
    assert_eq!((accepted.len(), code), (0, Code::Full));
    let faults = status(&mut client)["faults"].to_string();
    assert!(faults.contains("the box is full"), "{faults}");
}

/// A disk of 24 MiB in memory, unmounted when dropped.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    /// `None` where this user may not mount.
    fn mount(at: &'a Path) -> Option<Self> {
        fs::create_dir_all(at).expect("a folder");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=24m", "tmpfs"])
            .arg(at)
            .output();
        mounted
            .is_ok_and(|output| output.status.success())
            .then_some(Self(at))
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        // Lazily, since a killed box may not have let go of it yet.
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

/// The quota is larger than the disk, so that it is the disk that ends first.
/// Shows RQ-53.
#[test]
fn a_disk_that_is_full_costs_no_accepted_scan() {
    let mut home = Home::with(Quality::default(), "[[destination]]\nkind = \"line\"\n");
    let state = home.rig.state();
    let Some(_disk) = SmallDisk::mount(&state) else {
        eprintln!("skipped: only root may mount a small disk");
        return;
    };
    home.rig.start().expect("a box");
    let mut client = home.rig.client().expect("a line");
    let package = home.model(1, Kind::Good);
    assert!(flash(&mut client, &package).is_ok_and(|good| good));
    let (accepted, code) = send_until_refused(&mut client, 200);
    assert!(matches!(code, Code::Full | Code::Disk), "{code:?}");
    for id in &accepted {
        assert_eq!(format!("{:?}", ended(&mut client, id)), "Finished", "{id}");
    }
    assert_eq!(status(&mut client)["aside"], 0);
    drop(client);
    // And the box starts again on the full disk.
    home.rig.start().expect("a box");
    let mut client = home.rig.client().expect("a line");
    for id in &accepted {
        assert_eq!(format!("{:?}", ended(&mut client, id)), "Finished", "{id}");
    }
    home.rig.kill();
}
