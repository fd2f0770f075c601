//! `nephroctl sign`: a signature on a package, so that boxes that trust the key take it.

use std::fmt::Write as _;
use std::io::Write;
use std::path::PathBuf;

use nephrobox_imaging::files;
use nephrobox_shared::package::signing;

use crate::failure::{Exit, Failure, say, told, unwritable};
use crate::keys;
use crate::package::{self, Package};

/// Shown after the options.
pub(crate) const EXAMPLES: &str = "\
Examples:
  nephroctl sign kidney-3.nbx --key clinic.secret
  nephroctl sign exported.nbx --key clinic.secret --out kidney-3.nbx

The package is checked first, and keeps its hash. A signature that was there is replaced. \
`nephroctl verify` runs the package's own slices, which is wise before signing.";

/// Options of `nephroctl sign`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The model package (.nbx).
    pub package: PathBuf,
    /// The file with the secret key, as `nephroctl keygen` makes it.
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
    /// Write the signed package there instead of in place of the package.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// Signs a package.
///
/// # Errors
/// If the package or the key cannot be used, or the signed package cannot be written. The file is then as it was.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    let secret = keys::secret(&args.key)?;
    let mut bytes = package::read(&args.package)?;
    let package = Package::check(&args.package, bytes.clone(), &[])?;
    let key = signing::sign(&mut bytes, &secret).map_err(|error| {
        let remedy = "export the model again";
        told(Exit::Model, &error, args.package.display(), remedy)
    })?;
    let target = args.out.as_ref().unwrap_or(&args.package);
    files::write(target, &bytes).map_err(|error| unwritable(target, &error))?;
    let mut words = format!(
        "{}: {} signed by key {key}\n",
        target.display(),
        package.title()
    );
    if let Some(before) = package.signed.key().filter(|before| *before != key) {
        let _ = writeln!(words, "the signature by key {before} is replaced");
    }
    if package.loaded.model.manifest().self_test.is_empty() {
        words.push_str("it carries no self-test: boxes refuse it unless model.allow_without_self_test is set\n");
    }
    say(out, &words)
}
