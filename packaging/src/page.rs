//! Manual pages of section 1, from the command lines.
//!
//! What stands behind the options of `--help` is split into sections: lines indented below `Examples:` become EXAMPLES, below `Exit codes:`
//! EXIT STATUS, and prose becomes NOTES.

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::Made;

/// The name of the manual, at the top of every page.
pub(crate) const MANUAL: &str = "Nephrobox Manual";

/// A page for the program and one for each of its commands, however deep: `nephrobox.1`, `nephrobox-config.1`, `nephrobox-config-check.1`.
pub fn pages(program: &Command) -> Vec<Made> {
    let mut program = program.clone().disable_help_subcommand(true);
    program.build();
    let release = format!(
        "{} {}",
        program.get_name(),
        program.get_version().unwrap_or_default()
    );
    let mut made = Vec::new();
    collect(&program, None, &release, &mut made);
    made
}

fn collect(command: &Command, above: Option<&str>, release: &str, made: &mut Vec<Made>) {
    let name = page_name(command);
    made.push(Made {
        name: format!("{name}.1"),
        text: page(command, above, release),
    });
    for inner in command.get_subcommands() {
        collect(inner, Some(&name), release, made);
    }
}

/// What `man` finds it by: the words of the command line, joined by hyphens.
fn page_name(command: &Command) -> String {
    let name = command.get_display_name();
    name.unwrap_or_else(|| command.get_name()).to_owned()
}

/// A page has the version it belongs to, and no date: there would be nothing to take one from that stays the same.
fn page(command: &Command, above: Option<&str>, release: &str) -> String {
    let man = Man::new(command.clone()).source(release).manual(MANUAL);
    let mut text = Vec::new();
    let sections = [
        Man::render_title,
        Man::render_name_section,
        Man::render_synopsis_section,
        Man::render_description_section,
        Man::render_options_section,
        Man::render_subcommands_section,
    ];
    let used = if command.has_subcommands() { 6 } else { 5 };
    for section in &sections[..used] {
        // A vector takes whatever is written to it.
        let _ = section(&man, &mut text);
    }
    let mut text = String::from_utf8_lossy(&text).into_owned();
    text.push_str(&ending(command, above).render());
    once(&text)
}

/// Everything behind the options.
fn ending(command: &Command, above: Option<&str>) -> Roff {
    let mut roff = Roff::new();
    if let Some(help) = command.get_after_help() {
        sections(&mut roff, &help.to_string());
    }
    let program = match above {
        Some(above) => above.split('-').next().unwrap_or(above),
        None => command.get_name(),
    };
    if program == "nephrobox" && above.is_none() {
        roff.control("SH", ["FILES"]);
        for (path, meaning) in [
            ("/etc/nephrobox/nephrobox.toml", "The configuration."),
            (
                "/var/lib/nephrobox",
                "Queue, models, logs and audit of the box.",
            ),
        ] {
            roff.control("TP", []);
            roff.text([bold(path)]);
            roff.text([roman(meaning)]);
        }
    }
    let mut others: Vec<String> = above
        .map(|above| format!("{above}(1)"))
        .into_iter()
        .collect();
    if program == "nephrobox" {
        others.push("nephrobox.toml(5)".to_owned());
    }
    others.push(
        if program == "nephrobox" {
            "nephroctl(1)"
        } else {
            "nephrobox(1)"
        }
        .to_owned(),
    );
    roff.control("SH", ["SEE ALSO"]);
    roff.text([roman(others.join(", "))]);
    roff
}

/// The text behind the options of `--help`, in sections.
fn sections(roff: &mut Roff, help: &str) {
    let mut lines = help.lines().peekable();
    let mut notes = false;
    while let Some(line) = lines.next() {
        let opens = line.ends_with(':') && lines.peek().is_some_and(|next| next.starts_with(' '));
        if opens {
            roff.control("SH", [heading(line).as_str()]);
            notes = false;
            roff.control("EX", []);
            while let Some(inner) = lines.next_if(|next| next.starts_with(' ')) {
                roff.text([roman(inner.strip_prefix("  ").unwrap_or(inner))]);
            }
            roff.control("EE", []);
        } else if line.is_empty() {
            if notes {
                roff.control("PP", []);
            }
        } else {
            if !notes {
                roff.control("SH", ["NOTES"]);
                notes = true;
            }
            roff.text([roman(line)]);
        }
    }
}

fn heading(line: &str) -> String {
    match line.trim_end_matches(':') {
        "Exit codes" => "EXIT STATUS".to_owned(),
        other => other.to_uppercase(),
    }
}

/// Every piece comes with the same preamble; a page has it once.
pub(crate) fn once(text: &str) -> String {
    let preamble = Roff::new().render();
    format!("{preamble}{}", text.replace(&preamble, ""))
}
