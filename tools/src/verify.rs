//! `nephroctl verify`: is a package whole, and is the network in it one that can run?
//!
//! Checks the same things in the same order as a box before it takes a package: magic, version, sizes, hash, unused
//! bytes, tensor table, manifest, program. It does not verify signatures and does not run the network.

use std::io::Write;
use std::path::PathBuf;

use crate::failure::{Failure, say};
use crate::package::{self, Package};

/// Shown after the options.
pub(crate) const EXAMPLES: &str = "\
Examples:
  nephroctl verify models/demo-resnet18.nbx
  nephroctl verify received.nbx && cp received.nbx /srv/models/

Ends with 0 if the package is whole, with 4 and a sentence if it is not.";

/// Options of `nephroctl verify`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The model package (.nbx).
    pub package: PathBuf,
}

/// Checks a package and says what was checked.
///
/// # Errors
/// The first thing that is wrong with the package.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    let package = Package::open(&args.package)?;
    let header = package.header;
    let model = &package.loaded.model;
    let [rows, cols] = package.input_size();
    let lines = [
        format!("{}: whole", args.package.display()),
        format!(
            "  format     NBX1, version {}.{}",
            header.major, header.minor
        ),
        format!(
            "  size       {} bytes, as the header says",
            header.total_len
        ),
        format!("  hash       {} (BLAKE3, matches)", package.loaded.hash),
        format!(
            "  tensors    {}, table and numbers in order",
            model.tensors().len()
        ),
        format!(
            "  manifest   {} version {}",
            model.manifest().name,
            model.manifest().version
        ),
        format!(
            "  program    {} operations, sound for slices of {rows} x {cols} pixels",
            model.program().ops.len()
        ),
        format!(
            "  signature  {}",
            package::signature_state(package.loaded.signature.as_ref())
        ),
        String::new(),
    ];
    say(out, &lines.join("\n"))
}
