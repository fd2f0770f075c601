//! `cargo demo`: the whole of Nephrobox on one machine, as its people use it.
//!
//! The program is box and tool in one (`box …`, `ctl …`), so that one build shows both; without such a word it is the demo.

mod demo;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let mut args: Vec<_> = std::env::args_os().collect();
    let role = args
        .get(1)
        .and_then(|role| role.to_str())
        .map(str::to_owned);
    match role.as_deref() {
        Some("box") => {
            args.remove(0);
            ended(
                nephrobox::cli::run(
                    nephrobox::cli::Cli::parse_from(args),
                    &mut std::io::stdout().lock(),
                ),
                |failure| failure.exit.into(),
            )
        }
        Some("ctl") => {
            args.remove(0);
            ended(
                nephroctl::cli::run(
                    nephroctl::cli::Cli::parse_from(args),
                    &mut std::io::stdout().lock(),
                ),
                |failure| failure.exit.into(),
            )
        }
        _ => match demo::run(&demo::Args::parse(), &mut std::io::stdout().lock()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("error: {error}");
                ExitCode::FAILURE
            }
        },
    }
}

/// As `main` of either program does.
fn ended<E: std::fmt::Display>(result: Result<(), E>, code: impl Fn(&E) -> ExitCode) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Standard error may be closed; there is nowhere else to say it.
            let _ = writeln!(std::io::stderr(), "{failure}");
            code(&failure)
        }
    }
}
