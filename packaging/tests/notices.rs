//! Licence notices of what is linked into the programs.

use std::fs;

use nephrobox_packaging::notices::{NoticeError, notices};

/// A folder with the crates `a` and `b`, which have the same licence, and the metadata that name them.
fn two_crates() -> (tempfile::TempDir, String) {
    let home = tempfile::tempdir().expect("a folder");
    let mut packages = Vec::new();
    for name in ["a", "b"] {
        let folder = home.path().join(name);
        fs::create_dir(&folder).expect("a folder");
        fs::write(folder.join("License-MIT.txt"), "be kind\r\nto all\n").expect("written");
        fs::write(folder.join("lib.rs"), "code").expect("written");
        packages.push(serde_json::json!({
            "name": name, "version": "1.0.0", "source": "registry", "manifest_path": folder.join("Cargo.toml"),
        }));
    }
    packages.push(serde_json::json!({
        "name": "own", "version": "0.1.0", "source": null, "manifest_path": home.path().join("own/Cargo.toml"),
    }));
    (
        home,
        serde_json::json!({ "packages": packages }).to_string(),
    )
}

#[test]
fn a_text_of_two_crates_is_printed_once_and_the_projects_own_crates_are_left_out() {
    let (_home, metadata) = two_crates();
    let tree =
        "own v0.1.0 (/src/own)\tMIT\nb v1.0.0\tMIT\na v1.0.0\tMIT OR Apache-2.0\n\nb v1.0.0\tMIT\n";
    let text = notices(tree, &metadata).expect("notices");
    assert!(
        text.contains("  a 1.0.0: MIT OR Apache-2.0\n  b 1.0.0: MIT\n"),
        "{text}"
    );
    assert!(
        text.contains("\na 1.0.0, b 1.0.0\n\nbe kind\nto all\n"),
        "{text}"
    );
    assert_eq!(text.matches("be kind").count(), 1);
    assert!(!text.contains("own") && !text.contains("code"), "{text}");
}

#[test]
fn a_crate_without_sources_or_without_a_licence_is_an_error() {
    let (home, metadata) = two_crates();
    let unknown = notices("c v1.0.0\tMIT\n", &metadata).expect_err("not there");
    assert_eq!(unknown.to_string(), "no sources are known of c 1.0.0");
    fs::remove_file(home.path().join("a/License-MIT.txt")).expect("removed");
    let unlicensed = notices("a v1.0.0\t\n", &metadata).expect_err("nothing");
    assert_eq!(
        unlicensed.to_string(),
        "a 1.0.0 names no licence and has no licence file"
    );
    assert!(matches!(
        notices("a\n", &metadata),
        Err(NoticeError::Line { line: 1, .. })
    ));
}
