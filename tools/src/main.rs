//! Entry of `nephroctl`; everything is in the library, so that tests call it.

use std::process::ExitCode;

use clap::Parser;
use nephroctl::cli::{self, Cli};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let json = cli.wants_json();
    match cli::run(cli, &mut std::io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if json {
                eprintln!("{}", failure.json());
            } else {
                eprintln!("{failure}");
            }
            failure.exit.into()
        }
    }
}
