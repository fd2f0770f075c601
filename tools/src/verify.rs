//! `nephroctl verify`: is a package whole, and is the network in it one that can run?
//!
//! Checks the same things in the same order as a box before it takes a package: magic, version, sizes, hash, unused
//! bytes, tensor table, signature if a key is given, manifest, program. Then it runs the slices that the package carries for that, and
//! compares their label maps.

use std::io::Write;
use std::path::{Path, PathBuf};

use nephrobox_engine::executor::{self, Running};
use nephrobox_engine::self_test;

use crate::failure::{Exit, Failure, say, told};
use crate::keys;
use crate::package::Package;

/// Shown after the options.
pub(crate) const EXAMPLES: &str = "\
Examples:
  nephroctl verify models/demo-resnet18.nbx
  nephroctl verify received.nbx --key clinic.public && mv received.nbx models/

Ends with 0 if the package is whole, with 4 and a sentence if it is not.";

/// Options of `nephroctl verify`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The model package (.nbx).
    pub package: PathBuf,
    /// Verify that this key signed it: a public key, or a file with one. With several, one of them.
    #[arg(long, value_name = "KEY")]
    pub key: Vec<String>,
}

/// Checks a package and says what was checked.
///
/// # Errors
/// The first thing that is wrong with the package.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    let package = Package::open(&args.package, &keys::public(&args.key)?)?;
    let header = package.header;
    let tested = self_test(&args.package, &package)?;
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
        format!("  self-test  {tested}"),
        format!("  signature  {}", package.signed),
        String::new(),
    ];
    say(out, &lines.join("\n"))
}

/// Runs the package's own slices on this machine's CPU.
fn self_test(path: &Path, package: &Package) -> Result<String, Failure> {
    let failed = |error: &dyn std::error::Error| {
        told(
            Exit::Model,
            error,
            path.display(),
            "try another machine, or make the package again",
        )
    };
    let model = &package.loaded.model;
    if model.manifest().self_test.is_empty() {
        return Ok("none in the package".into());
    }
    let running = executor::start(model.clone(), "cpu", Some(1)).map_err(|error| failed(&error))?;
    let Running {
        mut models, engine, ..
    } = running;
    let slices =
        self_test::run(model.manifest(), models[0].as_mut()).map_err(|error| failed(&error))?;
    Ok(format!(
        "{slices} slices, label maps as they were made ({engine})"
    ))
}
