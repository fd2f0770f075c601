//! The examples of README and docs: each command line is one that its program takes, each configuration is one that can be loaded, and
//! whatever can run here runs. What cannot says so in the page itself, in a comment right before the block:
//!
//! ```text
//! <!-- not run: needs a GPU -->
//! ```

mod house;
mod links;
mod page;
mod shell;

use std::fs;
use std::process::Command;

use tempfile::TempDir;

use house::{ROLES, role, said};
use page::{Page, root};

/// Programs of others that the docs call.
const FOREIGN: [&str; 31] = [
    "apt",
    "apt-get",
    "chromium",
    "cp",
    "dciodvfy",
    "dcm2pdf",
    "dcmdump",
    "dcmj2pnm",
    "dpkg",
    "dsrdump",
    "echoscu",
    "editor",
    "git",
    "grep",
    "install",
    "journalctl",
    "less",
    "ls",
    "man",
    "openssl",
    "python",
    "python3",
    "rustup",
    "sha256sum",
    "ssh",
    "storescu",
    "sudo",
    "systemctl",
    "systemd-sysusers",
    "systemd-tmpfiles",
    "udevadm",
];

/// Which role of the programs a command is for: by its name, or by its path as cargo builds it.
fn role_of(program: &str) -> Option<&'static str> {
    let name = program.rsplit('/').next().unwrap_or(program);
    ROLES
        .into_iter()
        .find_map(|(known, role)| (known == name).then_some(role))
}

/// What is wrong with a command, if anything.
fn fault(words: &[String]) -> Option<String> {
    let program = words[0].as_str();
    if let Some(called) = role_of(program) {
        return refused(called, &words[1..]);
    }
    let own_script = |path: &str| {
        let there = root().join(path).exists();
        (!there).then(|| format!("{path} is not there"))
    };
    match program {
        "cargo" => cargo(&words[1..]),
        "bash" | "sh" => own_script(&words[1]),
        "python" | "python3" => scripts(&words[1..]),
        // An environment of Python's, which the page makes.
        _ if program.starts_with("venv/bin/") => scripts(&words[1..]),
        _ if program.contains('/') => own_script(program),
        _ => {
            (!FOREIGN.contains(&program)).then(|| format!("{program} is no program that is known"))
        }
    }
}

/// What a program says against its words.
fn refused(role_of_it: &str, words: &[String]) -> Option<String> {
    let mut all = vec!["parse", role_of_it];
    all.extend(words.iter().map(String::as_str));
    let output = role(&all);
    (!output.status.success()).then(|| said(&output))
}

/// A Python script of ours has to be there.
fn scripts(words: &[String]) -> Option<String> {
    let script = words.iter().find(|word| word.starts_with("tools/"))?;
    let there = root().join(script).exists();
    (!there).then(|| format!("{script} is not there"))
}

/// Packages, tests and examples that cargo is asked for have to be there, and what a program is called with has to be right.
fn cargo(words: &[String]) -> Option<String> {
    let own = words.iter().take_while(|word| *word != "--");
    let behind = words.iter().skip_while(|word| *word != "--").skip(1);
    let own: Vec<_> = own.map(String::as_str).collect();
    let values = |name: &'static str| {
        own.windows(2)
            .filter_map(move |pair| (pair[0] == name).then_some(pair[1]))
    };
    let packages: Vec<_> = values("-p").collect();
    let mut folders = Vec::new();
    for package in &packages {
        let Some(folder) = folder_of(package) else {
            return Some(format!("there is no package {package}"));
        };
        folders.push(folder);
    }
    if folders.is_empty() {
        folders = members();
    }
    for (option, place) in [("--test", "tests"), ("--example", "examples")] {
        for name in values(option) {
            let there = |folder: &String| {
                let at = root().join(folder).join(place);
                at.join(format!("{name}.rs")).exists() || at.join(name).join("main.rs").exists()
            };
            if !folders.iter().any(there) {
                return Some(format!("there is no {option} {name}"));
            }
        }
    }
    let run = own.first() == Some(&"run") && values("--example").next().is_none();
    let called = packages.first().and_then(|package| role_of(package));
    called
        .filter(|_| run)
        .and_then(|called| refused(called, &behind.cloned().collect::<Vec<_>>()))
}

/// Folders of the workspace's packages.
fn members() -> Vec<String> {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("the workspace");
    let list = manifest.split("members = [").nth(1).expect("its members");
    let list = list.split(']').next().unwrap_or_default();
    list.split('"')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

fn folder_of(package: &str) -> Option<String> {
    let line = format!("name = \"{package}\"");
    members().into_iter().find(|folder| {
        let manifest = fs::read_to_string(root().join(folder).join("Cargo.toml"));
        manifest.is_ok_and(|text| text.lines().any(|one| one == line))
    })
}

/// Whether a program of others is installed.
fn installed(program: &str) -> bool {
    Command::new(program).arg("version").output().is_ok()
}

#[test]
fn every_command_line_of_the_docs_is_one_that_its_program_takes() {
    let mut faults = Vec::new();
    let mut ours = 0;
    for block in page::all().iter().flat_map(|page| &page.blocks) {
        if block.kind != "sh" {
            continue;
        }
        for words in shell::commands(&block.text) {
            ours += usize::from(role_of(&words[0]).is_some());
            if let Some(fault) = fault(&words) {
                faults.push(format!("{}: {}\n{fault}", block.place, words.join(" ")));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(ours > 60, "{ours} command lines of ours were found");
}

#[test]
fn every_configuration_and_every_json_of_the_docs_can_be_read() {
    let home = TempDir::new().expect("a folder");
    let file = home.path().join("example.toml");
    let path = file.to_str().expect("a text");
    let mut read = 0;
    for Page { name, blocks } in page::all() {
        for block in blocks {
            let words: &[&str] = match block.kind.as_str() {
                "json" => {
                    let value = serde_json::from_str::<serde_json::Value>(&block.text);
                    assert!(value.is_ok(), "{}: {value:?}", block.place);
                    continue;
                }
                "toml" if block.text.contains("[[steps]]") => &["steps", path],
                "toml" if ["docs/training.md", "docs/augmentation.md"].contains(&&*name) => {
                    &["settings", path]
                }
                "toml" => &["box", "config", "check", path],
                _ => continue,
            };
            fs::write(&file, &block.text).expect("written");
            let output = role(words);
            assert!(
                output.status.success(),
                "{}: {}",
                block.place,
                said(&output)
            );
            read += 1;
        }
    }
    assert!(read >= 6, "{read} configurations were found");
}

#[test]
fn every_example_that_can_run_here_runs() {
    let mut blocks = 0;
    for page in page::all() {
        if page.name == "docs/link.md" && !installed("openssl") {
            eprintln!("{}: not run, openssl is not here", page.name);
            continue;
        }
        if let Some(run) = house::run(&page) {
            println!("{}: {run} blocks", page.name);
            blocks += run;
        }
    }
    assert!(blocks >= 8, "{blocks} blocks were run");
}

#[test]
fn every_link_between_pages_leads_somewhere() {
    let broken: Vec<_> = page::all().iter().flat_map(links::broken).collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
