//! `nephroctl permit`: a signed permit to go back from one version to one package (`docs/formats/permit.md`).

use std::io::Write;
use std::path::PathBuf;

use nephrobox_imaging::files;
use nephrobox_shared::package::permit;

use crate::failure::{Exit, Failure, say, unwritable};
use crate::keys;
use crate::package::Package;

/// Shown after the options.
pub(crate) const EXAMPLES: &str = "\
Examples:
  nephroctl permit kidney-3.nbx --replaces 5 --key clinic.secret
  nephroctl flash kidney-3.nbx --permit kidney-3.permit

A box takes only versions above the one that it runs. The permit lets exactly this package replace \
exactly that version, and nothing else, so it may be kept. `nephroctl slots` shows which version a \
box runs.";

/// Options of `nephroctl permit`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The model package (.nbx) that may be installed.
    pub package: PathBuf,
    /// The version on the box that it may replace.
    #[arg(long, value_name = "VERSION")]
    pub replaces: u64,
    /// The file with the secret key, as `nephroctl keygen` makes it.
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
    /// Where the permit goes; else beside the package, with the ending .permit.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// Makes a permit.
///
/// # Errors
/// If the package or the key cannot be used, no permit is needed, or it cannot be written.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    let secret = keys::secret(&args.key)?;
    let package = Package::open(&args.package, &[])?;
    let version = package.loaded.model.manifest().version;
    if version > args.replaces {
        return Err(Failure::new(
            Exit::Usage,
            format_args!(
                "version {version} may replace version {} without a permit",
                args.replaces
            ),
            "--replaces",
            "flash it, or give the version that the box runs",
        ));
    }
    let bytes = permit::make(&package.loaded.hash.0, args.replaces, &secret);
    let target = args
        .out
        .clone()
        .unwrap_or_else(|| args.package.with_extension("permit"));
    files::write(&target, &bytes).map_err(|error| unwritable(&target, &error))?;
    let words = format!(
        "{}: {} may replace version {}, signed by key {}\n",
        target.display(),
        package.title(),
        args.replaces,
        secret.public().id()
    );
    say(out, &words)
}
