//! `nephrotrain`: parse, run, report.
//!
//! Exit codes: 0 done, 1 failed with an error on the error stream, 2 wrong usage.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use nephrotrain::commands::{prepare::PrepareArgs, stats::StatsArgs};
use nephrotrain::data::DataError;

/// Prepare data and train networks that outline kidneys and kidney tumours on CT. For research use only.
#[derive(Parser)]
#[command(name = "nephrotrain", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Stats(StatsArgs),
    Prepare(PrepareArgs),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Stats(args) => args.run(),
        Command::Prepare(args) => args.run(),
    };
    let Err(error) = outcome else {
        return ExitCode::SUCCESS;
    };
    match error.downcast_ref::<DataError>() {
        Some(e) => eprintln!(
            "error: {}\nwhere: {}\nwhat to do: {}",
            e.what(),
            e.place().display(),
            e.remedy()
        ),
        None => eprintln!("error: {error:#}"),
    }
    ExitCode::FAILURE
}
