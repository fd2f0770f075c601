//! `nephroctl inspect`: everything in a package, for people or as JSON.
//!
//! The package is checked whole before anything it says is shown. The JSON holds everything except the pixels of the
//! self-test; its fields are those of the manifest (`docs/formats/package.md`) plus `file`, `format`, `bytes`, `blake3`,
//! `signature`, `program` and `tensors`.

mod json;
mod text;

use std::io::Write;
use std::path::PathBuf;

use crate::failure::{Failure, say, say_json};
use crate::keys;
use crate::package::Package;

/// Shown after the options.
pub(crate) const EXAMPLES: &str = "\
Examples:
  nephroctl inspect models/demo-resnet18.nbx
  nephroctl inspect received.nbx --key clinic.public
  nephroctl inspect models/demo-resnet18.nbx --json | jq .manifest.scores";

/// Options of `nephroctl inspect`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The model package (.nbx).
    pub package: PathBuf,
    /// Print JSON instead of text.
    #[arg(long)]
    pub json: bool,
    /// Verify that this key signed it: a public key, or a file with one. With several, one of them.
    #[arg(long, value_name = "KEY")]
    pub key: Vec<String>,
}

/// Shows a package.
///
/// # Errors
/// When the package cannot be read, is not whole, or is signed by none of the given keys.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    let package = Package::open(&args.package, &keys::public(&args.key)?)?;
    if args.json {
        return say_json(out, &json::document(&args.package, &package)?);
    }
    say(out, &text::document(&args.package, &package))
}
