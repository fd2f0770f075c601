//! Many scans in a row, with flat memory.

use std::fs;
use std::io::Cursor;

use nephrobox_link::cable::Quality;
use nephrobox_link::message::{Reply, Request, cut};

use crate::support::{Home, Kind, ended, flash, long, result, scan_bytes, scan_object, status};

/// Resident memory of a process in KiB.
pub(crate) fn resident_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.expect("a number").parse().expect("a number")
}

/// Scans go in one after the other, results come out and are confirmed. The queue is small, so old ones are recycled on the way.
#[test]
fn memory_is_flat_over_many_scans() {
    let scans = if long() { 500 } else { 60 };
    let mut home = Home::with(
        Quality::default(),
        "max_bytes = \"12 MB\"\nmax_scan_bytes = \"1 MB\"\n[[destination]]\nkind = \"line\"\n",
    );
    home.rig.start().expect("a box");
    let mut client = home.rig.client().expect("a line");
    let package = home.model(1, Kind::Good);
    assert!(flash(&mut client, &package).is_ok_and(|good| good));
    let pid = home.rig.pid().expect("it runs");
    let (warm, mut sizes) = (scans / 5, Vec::new());
    let mut first = None;
    for number in 0..scans {
        let scan = scan_bytes(number);
        let id = client
            .put(&scan_object(), &mut Cursor::new(&scan), &mut |_| {})
            .expect("accepted");
        assert_eq!(format!("{:?}", ended(&mut client, &id)), "Finished");
        let labels = result(&mut client, &id, "labels.nii.gz");
        assert_eq!(
            *first.get_or_insert_with(|| labels.clone()),
            labels,
            "scan {number}"
        );
        let confirmed = client.ask(&Request::Confirm { scan: cut(&id) });
        assert!(matches!(confirmed, Ok(Reply::Done)), "{confirmed:?}");
        if number >= warm {
            sizes.push(resident_kib(pid));
        }
    }
    // The allocator and the caches of the system breathe; what leaks grows with each scan.
    let half = sizes.len() / 2;
    let middle = |sizes: &[u64]| {
        let mut sorted = sizes.to_vec();
        sorted.sort_unstable();
        sorted[sorted.len() / 2]
    };
    let (early, late) = (middle(&sizes[..half]), middle(&sizes[half..]));
    println!("{scans} scans: {early} KiB in the first half, {late} KiB in the second");
    assert!(late < early + early / 20, "{sizes:?}");
    let state = status(&mut client);
    assert_eq!((&state["aside"], &state["queued"]), (&0.into(), &0.into()));
    assert_eq!(state["counters"]["finished"], scans);
}
