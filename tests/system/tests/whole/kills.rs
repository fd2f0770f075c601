//! The box is killed at random moments of receiving, working, flashing and reporting.
//!
//! Box and tool die together, as in a power cut. What the tool had been told before it died must hold afterwards: an accepted scan
//! gets its report, a model runs, the audit log is whole.

use std::collections::BTreeMap;
use std::fs;
use std::io::Cursor;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nephrobox_link::cable::Quality;
use nephrobox_link::message::ScanState;
use nephrobox_system::Exe;

use crate::support::{
    Home, Kind, PATIENCE, active, ended, flash, large_scan_bytes, long, result, scan_object, status,
};

/// Chance (splitmix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// What goes on when the box is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    Receiving,
    Working,
    Flashing,
    Reporting,
}

/// A tool at work on the rig.
fn tool(home: &Home, args: &[PathBuf]) -> Child {
    let exe = Exe(env!("CARGO_BIN_EXE_nephrobox-demo").into());
    exe.nephroctl()
        .args(args)
        .env("NEPHROBOX_PORT", home.rig.cable().tool_end())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("a tool")
}

/// Ids of scans in what a tool printed: it prints them only once the box has the scan to stay.
fn ids(said: &str) -> impl Iterator<Item = String> {
    said.split_whitespace()
        .filter(|word| word.len() == 17 && word.as_bytes()[8] == b'-')
        .map(str::to_owned)
}

/// Shows RQ-47.
#[test]
fn nothing_accepted_is_lost_whenever_the_box_is_killed() {
    let kills = if long() { 200 } else { 24 };
    // Slow enough that a large scan is on its way for three quarters of a second.
    let quality = Quality {
        baud: 40_000_000,
        ..Quality::default()
    };
    let mut home = Home::with(quality, "[[destination]]\nkind = \"line\"\n");
    home.rig.start().expect("a box");
    let mut client = home.rig.client().expect("a line");
    let first = home.model(1, Kind::Good);
    assert!(flash(&mut client, &first).is_ok_and(|good| good));
    drop(client);

    let mut chance = Chance(5);
    let (mut accepted, mut version, mut cut_short) = (BTreeMap::new(), 1, [0; 4]);
    // A busy machine does nothing in that time: it gets more until something is accepted again.
    let (mut slack, mut barren) = (1, 0);
    for kill in 0..kills {
        let doing = [
            Doing::Receiving,
            Doing::Working,
            Doing::Flashing,
            Doing::Reporting,
        ][kill as usize % 4];
        let out = home.path("fetched");
        let args: Vec<PathBuf> = match doing {
            Doing::Receiving => {
                let path = home.path("large.nii");
                fs::write(&path, large_scan_bytes(kill, 3 << 20)).expect("written");
                vec!["send".into(), "--no-wait".into(), path]
            }
            Doing::Working => vec!["send".into(), "--no-wait".into(), home.scan(kill)],
            Doing::Flashing => {
                version += 1;
                vec!["flash".into(), home.model(version, Kind::Good)]
            }
            Doing::Reporting => {
                let Some(id) = accepted.keys().next_back() else {
                    continue;
                };
                vec![
                    "fetch".into(),
                    PathBuf::from(id),
                    "--out".into(),
                    out,
                    "--force".into(),
                ]
            }
        };
        let mut tool = tool(&home, &args);
        // From before the tool has the line until about when it is done.
        let wait = slack * chance.below(if doing == Doing::Receiving { 1800 } else { 900 });
        let until = Instant::now() + Duration::from_millis(wait);
        while Instant::now() < until && matches!(tool.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(1));
        }
        if doing == Doing::Working && matches!(tool.try_wait(), Ok(Some(_))) {
            // It is accepted; now it is worked on.
            std::thread::sleep(Duration::from_millis(chance.below(150)));
        }
        home.rig.kill();
        if matches!(tool.try_wait(), Ok(None)) {
            cut_short[doing as usize] += 1;
        }
        tool.kill().ok();
        let said = tool.wait_with_output().expect("an end");
        if matches!(doing, Doing::Receiving | Doing::Working) {
            let scan = fs::read(args.last().expect("the scan")).expect("a scan");
            let said = String::from_utf8_lossy(&said.stdout).into_owned();
            let before = accepted.len();
            accepted.extend(ids(&said).map(|id| (id, scan.clone())));
            barren = if accepted.len() > before {
                0
            } else {
                barren + 1
            };
            if barren == 3 {
                (slack, barren) = (32.min(slack * 2), 0);
            }
        }
        home.rig.start().expect("a box");
    }

    let mut client = home.rig.client().expect("a line");
    let mut aside = 0;
    for (id, scan) in &accepted {
        let mut id = id.clone();
        // Two kills during its work look like a scan that brings the box down. It is kept, with the reason, and has another chance.
        if let ScanState::SetAside { reason } = ended(&mut client, &id) {
            assert!(reason.contains("broke off 2 times"), "{reason}");
            aside += 1;
            let sent = client.put(&scan_object(), &mut Cursor::new(scan), &mut |_| {});
            id = sent.expect("accepted").as_str().to_owned();
        }
        assert_eq!(ended(&mut client, &id), ScanState::Finished, "{id}");
        let report = result(&mut client, &id, "report.json");
        assert!(
            serde_json::from_slice::<serde_json::Value>(&report).is_ok(),
            "{id}"
        );
    }
    let running = active(&mut client).expect("a model runs");
    assert!((1..=version).contains(&running));
    // Scans that the box had accepted and the tool never heard of are done too.
    let until = Instant::now() + PATIENCE;
    while status(&mut client)["queued"] != 0 {
        assert!(Instant::now() < until, "{:#}", status(&mut client));
        std::thread::sleep(Duration::from_millis(50));
    }
    drop(client);
    home.rig
        .tool(["audit", "--verify"])
        .expect("the audit log's chain is whole");
    for folder in ["spool/work", "spool/trash"] {
        let left = fs::read_dir(home.rig.state().join(folder)).map_or(0, Iterator::count);
        assert_eq!(left, 0, "{folder} holds half a state");
    }
    println!(
        "{kills} kills: {} scans accepted, all reported, {aside} of them after they had been set aside; version {running} of {version} runs; cut short while receiving {}, sending and \
         working {}, flashing {}, reporting {}",
        accepted.len(),
        cut_short[0],
        cut_short[1],
        cut_short[2],
        cut_short[3],
    );
    assert!(!accepted.is_empty());
}
