//! Runs the proof and asks cargo what it was built from.

use std::{fs, path::Path, process::Command};

use nephrobox_no_std_proof::{Outcome, SIDE, exchange, tensor_bytes, walk};
use nephrobox_shared::package::PackageError;

#[test]
fn a_slice_walks_through_without_a_heap() {
    let hu = [50; SIDE * SIDE];
    // Kidney in whole 2 x 2 blocks survives half size; the rest is background.
    let mut labels = [0; SIDE * SIDE];
    for row in 2..6 {
        labels[row * SIDE + 2..row * SIDE + 4].fill(1);
    }
    let outcome = walk(&hu, &labels).unwrap();
    let expected = Outcome {
        kidney_dice: Some(1.0),
        challenge_dice: Some(1.0),
        pixel_mm2: 0.25,
        midline_column: 3.5,
        mean: Some(0.5),
    };
    assert_eq!(outcome, expected);
    assert!(
        walk(&hu, &[3; SIDE * SIDE])
            .unwrap_err()
            .to_string()
            .contains("label 3")
    );
}

#[test]
fn what_is_no_package_is_refused_without_a_heap() {
    assert_eq!(tensor_bytes(b"NIfTI"), Err(PackageError::NotAPackage));
}

#[test]
fn an_object_goes_over_the_link_without_a_heap() {
    let object: Vec<u8> = (0..50_000_u32).map(|at| ((at * at) >> 3) as u8).collect();
    let mut there = vec![0; object.len()];
    let carried = exchange(&object, &mut there).unwrap();
    assert_eq!(there, object);
    assert!(carried > object.len() && carried < object.len() * 11 / 10);
}

/// The crate attribute is what makes the compiler refuse `std` paths, so it must be there and unconditional.
#[test]
fn shared_is_no_std_and_never_takes_std_back() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../src");
    let root = fs::read_to_string(source.join("lib.rs")).unwrap();
    assert!(
        root.lines().any(|line| line == "#![no_std]"),
        "lib.rs lost its #![no_std]"
    );

    let mut folders = vec![source];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
        {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            files += 1;
            let text = fs::read_to_string(&path).unwrap();
            assert!(
                !text.contains("extern crate std"),
                "{} brings std back",
                path.display()
            );
        }
    }
    assert!(files > 20, "only {files} files were looked at");
}

/// One innocent feature in the workspace table would link std into every bare-metal build.
#[test]
fn no_dependency_is_built_with_std_or_alloc() {
    let tree = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--package",
            "nephrobox-no-std-proof",
            "--edges",
            "no-dev,no-build,no-proc-macro",
        ])
        .args([
            "--format",
            "{p}: {f}.",
            "--prefix",
            "none",
            "--no-dedupe",
            "--offline",
            "--locked",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(
        tree.status.success(),
        "{}",
        String::from_utf8_lossy(&tree.stderr)
    );
    let tree = String::from_utf8(tree.stdout).unwrap();
    for dependency in ["nephrobox-shared", "blake3", "libm", "postcard", "serde"] {
        assert!(
            tree.contains(dependency),
            "cargo does not list {dependency}:\n{tree}"
        );
    }
    // A line reads "serde v1.0.0: derive,serde_derive."
    assert!(tree.contains("derive,"), "cargo lists no features:\n{tree}");
    for line in tree.lines() {
        let (_, features) = line.rsplit_once(": ").unwrap();
        for feature in features.trim_end_matches('.').split(',') {
            assert!(
                !matches!(feature, "std" | "alloc"),
                "built with {feature}: {line}"
            );
        }
    }
}
