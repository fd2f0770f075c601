//! Many scans in a row over one line, through a queue so small that old results give way to new ones.

use std::io::Cursor;

use nephrobox_link::cable::Quality;
use nephrobox_link::message::{Reply, Request, cut};

use crate::process::{Vitals, figure};
use crate::support::{Home, Kind, ended, flash, long, result, scan_bytes, scan_object, status};

/// Scans go in one after the other, results come out and are confirmed.
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
            sizes.push(Vitals::of(pid).resident_kib);
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
    figure(format_args!(
        "{scans} scans, old ones recycled: {early} KiB in the first half, {late} KiB in the second"
    ));
    assert!(late < early + early / 20, "{sizes:?}");
    let state = status(&mut client);
    assert_eq!((&state["aside"], &state["queued"]), (&0.into(), &0.into()));
    assert_eq!(state["counters"]["finished"], scans);
}
