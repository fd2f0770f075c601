//! All three programs in one, so that a test finds them built: the examples of the docs are run with it.
//!
//! ```text
//! nephrobox-programs box|ctl|train ARGS…         as nephrobox, nephroctl, nephrotrain
//! nephrobox-programs parse box|ctl|train ARGS…   whether the program takes this command line; nothing is run
//! nephrobox-programs settings|steps FILE         whether the trainer takes this file of settings, of an augmentation
//! nephrobox-programs bedside FOLDER              a box on a cable with the bundled model in use; leaves that as kidney-3.nbx in
//!                                                the folder, with the keys of its signature, prints the cable's end, and goes when
//!                                                standard input ends
//! ```

use std::error::Error;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use clap::Parser as _;
use nephrobox_link::cable::Quality;
use nephrobox_system::{Exe, Rig};
use nephrotrain::augment::Augmentation;
use nephrotrain::train::Settings;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let Some((role, rest)) = words.split_first() else {
        eprintln!("say what to be: box, ctl, train, parse, settings, steps or bedside");
        return ExitCode::from(2);
    };
    match role.as_str() {
        "box" => {
            let done = nephrobox::cli::run(
                nephrobox::cli::Cli::parse_from(&words),
                &mut io::stdout().lock(),
            );
            ended(done, |failure| failure.exit.into())
        }
        "ctl" => {
            let done = nephroctl::cli::run(
                nephroctl::cli::Cli::parse_from(&words),
                &mut io::stdout().lock(),
            );
            ended(done, |failure| failure.exit.into())
        }
        "train" => nephrotrain::cli::main(words.iter().map(Into::into)),
        "parse" => ended(parse(rest), |_| ExitCode::from(2)),
        "settings" => ended(settings(rest), |_| ExitCode::FAILURE),
        "steps" => ended(steps(rest), |_| ExitCode::FAILURE),
        "bedside" => ended(bedside(rest), |_| ExitCode::FAILURE),
        other => {
            eprintln!("there is no role {other}");
            ExitCode::from(2)
        }
    }
}

/// As `main` of the programs does.
fn ended<E: std::fmt::Display>(done: Result<(), E>, code: impl Fn(&E) -> ExitCode) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            code(&failure)
        }
    }
}

/// Whether a program takes a command line; its role is the first word.
fn parse(words: &[String]) -> Result<(), String> {
    let fault = match words.first().map(String::as_str) {
        Some("box") => nephrobox::cli::Cli::try_parse_from(words).err(),
        Some("ctl") => nephroctl::cli::Cli::try_parse_from(words).err(),
        Some("train") => return nephrotrain::cli::fault(words).map_or(Ok(()), Err),
        other => return Err(format!("no program {other:?}")),
    };
    fault.map_or(Ok(()), |fault| Err(fault.to_string()))
}

/// The only word of a role that takes one.
fn only(words: &[String]) -> Result<&str, Box<dyn Error>> {
    match words {
        [one] => Ok(one),
        _ => Err("one path is needed".into()),
    }
}

fn settings(words: &[String]) -> Result<(), Box<dyn Error>> {
    Settings::read(Path::new(only(words)?))?.resolve()?;
    Ok(())
}

fn steps(words: &[String]) -> Result<(), Box<dyn Error>> {
    Ok(Augmentation::named(only(words)?, 0.75)?.check()?)
}

fn bedside(words: &[String]) -> Result<(), Box<dyn Error>> {
    let home = Path::new(only(words)?);
    let mut rig = Rig::build(
        Exe(std::env::current_exe()?),
        &home.join("bedside"),
        Quality::default(),
        "",
    )?;
    rig.start()?;
    rig.client()?;
    let package = home.join("kidney-3.nbx");
    fs::copy(
        nephrobox_system::file("models/demo-resnet18.nbx")?,
        &package,
    )?;
    for half in ["secret", "public"] {
        let key = rig.key().with_extension(half);
        fs::copy(key, home.join("clinic").with_extension(half))?;
    }
    let [package, key] = [&package, &rig.key()].map(|path| path.display().to_string());
    rig.tool(["sign", &package, "--key", &key])?;
    rig.tool(["flash", &package])?;
    println!("{}", rig.cable().tool_end().display());
    io::stdout().flush()?;
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
