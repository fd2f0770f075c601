//! Entry of `nephroctl`; everything is in the library, so that tests call it.

use std::process::ExitCode;

use clap::Parser;
use nephroctl::cli::{self, Cli};

fn main() -> ExitCode {
    match cli::run(Cli::parse(), &mut std::io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            failure.exit.into()
        }
    }
}
