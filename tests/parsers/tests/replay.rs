//! What a fuzzer found once is never found again: every fixture, every seed, every seed cut off at each hundredth, and seeds with random damage,
//! through all parsers. A failure names the input, which is kept where `CARGO_TARGET_TMPDIR` is.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use nephrobox_parsers::{TARGETS, Target};

#[path = "../examples/seeds/made.rs"]
mod made;

/// Randomly damaged inputs of each seed.
const DAMAGED: u64 = 24;

/// Runs a target, and keeps and names an input on which it panics.
fn survives(target: Target, name: &str, bytes: &[u8]) {
    if catch_unwind(AssertUnwindSafe(|| (target.run)(bytes))).is_err() {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{name}", target.name));
        fs::write(&path, bytes).expect("written");
        panic!(
            "{} does not survive {name}; the input is kept as {}",
            target.name,
            path.display()
        );
    }
}

/// Files that the fuzzer found, by target.
fn fixtures(target: Target) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(target.name);
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    paths
}

#[test]
fn everything_that_was_ever_found_is_survived() {
    for &target in TARGETS {
        for path in fixtures(target) {
            let name = path
                .file_name()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            survives(target, &name, &fs::read(&path).expect("readable"));
        }
    }
    let known: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    assert_eq!(known, made::TARGETS);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    for entry in fs::read_dir(folder).expect("fixtures") {
        let entry = entry.expect("an entry");
        let name = entry.file_name().to_string_lossy().into_owned();
        if name == "README.md" {
            continue;
        }
        assert!(
            known.contains(&name.as_str()),
            "fixtures of {name}, which is no target"
        );
    }
}

#[test]
fn seeds_are_survived_whole_cut_off_at_every_hundredth_and_damaged() {
    for &target in TARGETS {
        let seeds = made::seeds(target.name);
        assert!(!seeds.is_empty(), "{} has no seed", target.name);
        for (name, seed) in &seeds {
            survives(target, name, seed);
            // Large ones take long, and a fuzzer does this better.
            let parts = if seed.len() < 50_000 { 100 } else { 10 };
            for part in 0..parts {
                let cut = &seed[..seed.len() * part / parts];
                survives(target, &format!("{name} cut off at {part} of {parts}"), cut);
            }
            for round in 0..DAMAGED {
                let damaged = damage(seed, round);
                survives(target, &format!("{name} with damage {round}"), &damaged);
            }
        }
    }
}

/// One to eight bytes changed, by a generator without state (`SplitMix64`).
fn damage(seed: &[u8], round: u64) -> Vec<u8> {
    let mut state = round ^ (seed.len() as u64) << 8;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let mut bytes = seed.to_vec();
    for _ in 0..=next() % 8 {
        let at = next() as usize % bytes.len().max(1);
        if let Some(byte) = bytes.get_mut(at) {
            *byte = match next() % 3 {
                0 => next() as u8,
                1 => *byte ^ 1 << (next() % 8),
                _ => [0, 0xff, 0x7f, 0x80][next() as usize % 4],
            };
        }
    }
    bytes
}
