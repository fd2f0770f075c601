//! `nephrotrain`: see the library of the same name.

use std::process::ExitCode;

fn main() -> ExitCode {
    nephrotrain::cli::main(std::env::args_os())
}
