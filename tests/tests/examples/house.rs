//! Where examples run: a folder with what they take as given, and the programs by their names on the path.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;

use crate::page::{Page, root};

/// All programs in one; see there for its roles.
pub(crate) const PROGRAMS: &str = env!("CARGO_BIN_EXE_nephrobox-programs");

/// What a program is called, and its role in [`PROGRAMS`].
pub(crate) const ROLES: [(&str, &str); 3] = [
    ("nephrobox", "box"),
    ("nephroctl", "ctl"),
    ("nephrotrain", "train"),
];

/// `cargo run … -p PROGRAM -- ARGS`, without building: the programs are here already.
const CARGO: &str = r#"#!/bin/sh
[ "$1" = run ] || { echo "cargo $1 is not for examples that run" >&2; exit 1; }
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    [ "$1" = -p ] && program=$2
    shift
done
shift
exec "$program" "$@"
"#;

/// Runs one of the roles of [`PROGRAMS`].
pub(crate) fn role(words: &[&str]) -> Output {
    Command::new(PROGRAMS)
        .args(words)
        .stdin(Stdio::null())
        .output()
        .expect("the programs run")
}

/// What an ended command said.
pub(crate) fn said(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    format!("{out}{err}")
}

fn script(path: &Path, text: &str) {
    fs::write(path, text).expect("written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("allowed");
}

/// Programs, invented patients and a set prepared of them: what all pages share.
struct Given {
    folder: TempDir,
}

impl Given {
    fn get() -> &'static Self {
        static GIVEN: OnceLock<Given> = OnceLock::new();
        GIVEN.get_or_init(Self::make)
    }

    fn make() -> Self {
        let folder = TempDir::new().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("bin")).expect("a folder");
        for (name, role) in ROLES {
            let text = format!("#!/bin/sh\nexec '{PROGRAMS}' {role} \"$@\"\n");
            script(&at("bin").join(name), &text);
        }
        script(&at("bin/cargo"), CARGO);
        let [data, prepared] =
            ["kits19/data", "prepared"].map(|name| at(name).display().to_string());
        for seed in ["1", "2", "3"] {
            let name = format!("case_0000{seed}");
            let made = role(
                &[
                    &["train", "phantom", "--procedural", "--out", &data] as &[&str],
                    &["--name", &name, "--seed", seed],
                    &["--slices", "14", "--size", "64", "--spacing", "10,5,5"],
                ]
                .concat(),
            );
            assert!(made.status.success(), "{}", said(&made));
        }
        let made = role(&["train", "prepare", "--data", &data, "--out", &prepared]);
        assert!(made.status.success(), "{}", said(&made));
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// A box on a cable, until it is dropped.
pub(crate) struct Bedside {
    process: Child,
    // Its end is the box's.
    input: Option<ChildStdin>,
    port: String,
}

impl Bedside {
    fn stand(folder: &Path) -> Self {
        let mut process = Command::new(PROGRAMS)
            .arg("bedside")
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the programs run");
        let mut port = String::new();
        BufReader::new(process.stdout.take().expect("it is piped"))
            .read_line(&mut port)
            .expect("a line");
        assert!(!port.is_empty(), "the box said on standard error why not");
        Self {
            input: process.stdin.take(),
            process,
            port: port.trim_end().to_owned(),
        }
    }
}

impl Drop for Bedside {
    fn drop(&mut self) {
        self.input.take();
        // Whatever it ends with, it is gone.
        let _ = self.process.wait();
    }
}

/// Runs the blocks of a page that can be run, in order, in one shell. `None` if there are none.
///
/// # Panics
/// When one of them fails; with what was said.
pub(crate) fn run(page: &Page) -> Option<usize> {
    let blocks: Vec<_> = page
        .blocks
        .iter()
        .filter(|block| block.kind == "sh" && block.not_run.is_none())
        .collect();
    if blocks.is_empty() {
        return None;
    }
    let given = Given::get();
    let folder = TempDir::new().expect("a folder");
    let here = |name: &str| folder.path().join(name);
    symlink(root().join("models"), here("models")).expect("a link");
    symlink(given.path("kits19"), here("kits19")).expect("a link");
    fs::copy(
        root().join("models/demo-resnet18.nbx"),
        here("kidney-3.nbx"),
    )
    .expect("copied");
    // Small scans: the way is the same.
    for (name, case) in [
        ("SCAN", "case_00001"),
        ("ct", "case_00001"),
        ("a", "case_00002"),
        ("b", "case_00003"),
    ] {
        let scan = given.path("kits19/data").join(case).join("imaging.nii.gz");
        fs::copy(scan, here(&format!("{name}.nii.gz"))).expect("copied");
    }
    let parts: Vec<_> = blocks
        .iter()
        .map(|block| format!("echo 'at {}' >&2\n{}", block.place, block.text))
        .collect();
    let text = parts.concat();
    if !text.contains("nephrotrain prepare") {
        symlink(given.path("prepared"), here("prepared")).expect("a link");
    }
    // Only a page that speaks to a box needs one.
    let bedside = ["nephroctl status", "nephroctl slots"]
        .iter()
        .any(|command| text.contains(command))
        .then(|| Bedside::stand(folder.path()));

    let system = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{system}", given.path("bin").display());
    let mut shell = Command::new("bash");
    shell
        .args(["-e", "-u", "-o", "pipefail", "-c", &text])
        .current_dir(folder.path())
        .env("PATH", path)
        .stdin(Stdio::null());
    if let Some(bedside) = &bedside {
        shell.env("NEPHROBOX_PORT", &bedside.port);
    }
    let output = shell.output().expect("bash runs");
    assert!(output.status.success(), "{}", said(&output));
    Some(blocks.len())
}
