//! The page of the configuration, `nephrobox.toml.5`, from the list of its keys.

use clap_mangen::roff::{Roff, bold, roman};
use nephrobox::config::keys::{KEYS, Key, SECTIONS, Section};

use crate::Made;
use crate::page::MANUAL;

/// The page.
pub fn page(version: &str) -> Made {
    let mut roff = Roff::new();
    let release = format!("nephrobox {version}");
    roff.control("TH", ["nephrobox.toml", "5", "", &release, MANUAL]);
    roff.control("SH", ["NAME"]);
    roff.text([roman("nephrobox.toml - configuration of the box")]);
    roff.control("SH", ["DESCRIPTION"]);
    for text in [
        "One TOML file. It is checked whole before the box starts, and every mistake is told at once with its line. An unknown key is a mistake. \
         An empty file is valid: the box then listens nowhere.",
        "Sizes are bytes as a number, or a text with B, kB, MB, GB, TB (powers of 1000) or KiB, MiB, GiB, TiB (powers of 1024). Paths are absolute.",
    ] {
        roff.text([roman(text)]);
        roff.control("PP", []);
    }
    roff.text([roman("Check it with:")]);
    roff.control("PP", []);
    roff.control("EX", []);
    roff.text([roman(
        "nephrobox config check /etc/nephrobox/nephrobox.toml",
    )]);
    roff.control("EE", []);
    roff.control("SH", ["SECTIONS"]);
    for part in SECTIONS {
        section(&mut roff, part);
    }
    roff.control("SH", ["FILES"]);
    roff.control("TP", []);
    roff.text([bold("/etc/nephrobox/nephrobox.toml")]);
    roff.text([roman("What the service of the package reads.")]);
    roff.control("SH", ["SEE ALSO"]);
    roff.text([roman("nephrobox(1), nephrobox-config(1), nephrobox-run(1)")]);
    Made {
        name: "nephrobox.toml.5".to_owned(),
        text: roff.render(),
    }
}

fn section(roff: &mut Roff, part: &Section) {
    let name = if part.many {
        format!("[[{}]]", part.name)
    } else {
        format!("[{}]", part.name)
    };
    roff.control("SS", [name.as_str()]);
    roff.text([roman(part.meaning)]);
    for key in KEYS.iter().filter(|key| key.section == part.name) {
        entry(roff, key);
    }
}

fn entry(roff: &mut Roff, key: &Key) {
    roff.control("TP", []);
    roff.text([bold(format!("{} = {}", key.name, key.example))]);
    let default = if key.default.is_empty() {
        "It has to be given.".to_owned()
    } else {
        format!("Default: {}.", key.default)
    };
    roff.text([roman(format!("{} {default}", key.meaning))]);
}
