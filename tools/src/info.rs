//! `nephroctl info`: what a package says about its model, for people or as JSON.
//!
//! The package is checked whole before anything it says is shown. The JSON holds everything except the pixels of the
//! self-test; its fields are those of the manifest (`docs/formats/package.md`) plus `file`, `format`, `program`,
//! `tensors`.

mod json;
mod text;

use std::io::Write;
use std::path::PathBuf;

use crate::failure::{Failure, say};
use crate::package::Package;

/// Shown after the options.
pub(crate) const EXAMPLES: &str = "\
Examples:
  nephroctl info models/demo-resnet18.nbx
  nephroctl info models/demo-resnet18.nbx --json | jq .manifest.scores";

/// Options of `nephroctl info`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The model package (.nbx).
    pub package: PathBuf,
    /// Print JSON instead of text.
    #[arg(long)]
    pub json: bool,
}

/// Shows a package.
///
/// # Errors
/// When the package cannot be read or is not whole.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    let package = Package::open(&args.package)?;
    let words = if args.json {
        json::document(&args.package, &package)?
    } else {
        text::document(&args.package, &package)
    };
    say(out, &words)
}
