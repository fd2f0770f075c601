//! The manual pages and completions that the packages hold.

use std::io::Write;
use std::process::{Command, Stdio};

use nephrobox::config::keys::{KEYS, SECTIONS};
use nephrobox_packaging::{completions, manual, programs};

/// A page as `man` shows it on a wide terminal, and what the formatter has to complain about. None where it is not installed.
fn rendered(page: &str) -> Option<(String, String)> {
    let mut formatter = Command::new("groff")
        .args(["-man", "-Tutf8", "-ww", "-P-cbou", "-rLL=200n"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    let mut stdin = formatter.stdin.take().expect("a pipe");
    stdin.write_all(page.as_bytes()).expect("it reads");
    drop(stdin);
    let output = formatter.wait_with_output().expect("it ends");
    // Not every system sets the hyphen of an option as the one on the keyboard.
    let text = |bytes: Vec<u8>| {
        String::from_utf8(bytes)
            .expect("UTF-8")
            .replace(['\u{2212}', '\u{2010}'], "-")
    };
    Some((text(output.stdout), text(output.stderr)))
}

#[test]
fn every_command_has_a_page_with_its_examples() {
    for program in programs() {
        let pages = manual(&program);
        for command in program.get_subcommands() {
            let name = format!("{}-{}.1", program.get_name(), command.get_name());
            let page = pages.iter().find(|page| page.name == name);
            let page = page.unwrap_or_else(|| panic!("no page {name}"));
            assert!(page.text.contains("\n.SH EXAMPLES\n"), "{name}");
            assert!(page.text.contains("\n.SH SYNOPSIS\n"), "{name}");
            let call = format!("{} {}", program.get_name(), command.get_name());
            let Some((shown, _)) = rendered(&page.text) else {
                eprintln!("SKIPPED: groff is not installed, the examples were not looked at");
                return;
            };
            let examples = shown.split("EXAMPLES").nth(1).expect("examples");
            assert!(examples.contains(&call), "{name}: {examples}");
        }
    }
}

#[test]
fn commands_within_commands_have_pages_and_help_has_none() {
    let [nephrobox, nephroctl] = programs();
    let names: Vec<_> = manual(&nephrobox)
        .into_iter()
        .map(|page| page.name)
        .collect();
    for name in [
        "nephrobox.1",
        "nephrobox-config-check.1",
        "nephrobox.toml.5",
    ] {
        assert!(names.iter().any(|one| one == name), "{name} of {names:?}");
    }
    let all = [manual(&nephrobox), manual(&nephroctl)].concat();
    assert!(all.iter().all(|page| !page.name.contains("help")));
}

#[test]
fn the_formatter_has_nothing_to_say_about_any_page() {
    for page in programs().iter().flat_map(manual) {
        let Some((shown, complaints)) = rendered(&page.text) else {
            eprintln!("SKIPPED: groff is not installed");
            return;
        };
        assert_eq!(complaints, "", "{}", page.name);
        assert!(
            shown.contains("NAME") && shown.contains("SEE ALSO"),
            "{}",
            page.name
        );
        // Each of the pieces that it is put together from comes with a preamble.
        assert_eq!(page.text.matches(".ie \\n(.g").count(), 1, "{}", page.name);
    }
}

#[test]
fn exit_codes_are_an_exit_status_and_prose_is_notes() {
    let [nephrobox, _] = programs();
    let pages = manual(&nephrobox);
    let Some((shown, _)) = rendered(&pages[0].text) else {
        eprintln!("SKIPPED: groff is not installed");
        return;
    };
    let status = shown.split("EXIT STATUS").nth(1).expect("a section");
    assert!(
        status.contains("3  the scan cannot be read, or is not a scan"),
        "{shown}"
    );
    let notes = status.split("NOTES").nth(1).expect("a section");
    assert!(notes.contains("For research use only."), "{shown}");
}

#[test]
fn the_page_of_the_configuration_has_every_section_and_every_key() {
    let [nephrobox, _] = programs();
    let pages = manual(&nephrobox);
    let page = pages
        .iter()
        .find(|page| page.name == "nephrobox.toml.5")
        .expect("a page");
    let Some((shown, _)) = rendered(&page.text) else {
        eprintln!("SKIPPED: groff is not installed");
        return;
    };
    for section in SECTIONS {
        assert!(
            shown.contains(&format!("[{}]", section.name)),
            "{}",
            section.name
        );
    }
    for key in KEYS {
        let line = format!("{} = {}", key.name, key.example);
        assert!(shown.contains(&line), "{line} in {shown}");
    }
}

#[test]
fn shells_take_the_completions() {
    for program in programs() {
        for file in completions::completions(&program) {
            let name = program.get_name();
            let shell = match file.name.as_str() {
                bash if bash == name => "bash",
                zsh if zsh == format!("_{name}") => "zsh",
                _ => "fish",
            };
            for command in program.get_subcommands() {
                assert!(
                    file.text.contains(command.get_name()),
                    "{} {shell}",
                    command.get_name()
                );
            }
            let mut script = tempfile::NamedTempFile::new().expect("a file");
            script.write_all(file.text.as_bytes()).expect("written");
            match Command::new(shell).arg("-n").arg(script.path()).output() {
                Ok(said) => assert!(
                    said.status.success() && said.stderr.is_empty(),
                    "{shell}: {said:?}"
                ),
                Err(_) => eprintln!(
                    "SKIPPED: {shell} is not installed, its completions of {name} were not read"
                ),
            }
        }
    }
}

#[test]
fn the_same_comes_out_each_time() {
    let once: Vec<_> = programs().iter().flat_map(manual).collect();
    let again: Vec<_> = programs().iter().flat_map(manual).collect();
    assert_eq!(once, again);
}
