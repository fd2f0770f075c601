//! `nephrobox demo`: the main job on the bundled scan with the bundled model.

use std::io::Write;
use std::path::{Path, PathBuf};

use nephrobox_engine::scan::Visit;

use crate::failure::{Exit, Failure};
use crate::segment::{self, Compute};

/// The bundled model, relative to the repository.
const MODEL: &str = "models/demo-resnet18.nbx";
/// The bundled scan of a phantom patient, relative to the repository.
const SCAN: &str = "models/sample/imaging.nii.gz";

/// Shown after the options.
pub(crate) const EXAMPLES: &str = "\
Examples:
  nephrobox demo
  nephrobox demo --out /tmp/demo
  cargo demo                        the same from a checkout, built on the way

The scan is a phantom that the project made itself; no patient is shown. Results of an
earlier demo in the folder are replaced. For research use only.";

/// Options of `nephrobox demo`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Where the results go.
    #[arg(long, value_name = "DIR", default_value = "out/demo")]
    pub out: PathBuf,
    /// How the network is run.
    #[command(flatten)]
    pub compute: Compute,
}

/// Segments the bundled scan and prints the main numbers and where everything is.
///
/// # Errors
/// As `segment`, and when the repository's files are not found.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    let (scan, model) = (find(SCAN, Exit::Input)?, find(MODEL, Exit::Model)?);
    let report = segment::segment(&scan, &model, &args.out, true, Visit::Every, &args.compute)?;
    let place = std::path::absolute(&args.out).unwrap_or_else(|_| args.out.clone());
    segment::say(out, &segment::summary(&report, &place));
    Ok(())
}

/// A file of the repository: below the current folder or one above it, else where the program was built.
fn find(file: &str, exit: Exit) -> Result<PathBuf, Failure> {
    let here = std::env::current_dir().unwrap_or_default();
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    here.ancestors().chain(built).map(|folder| folder.join(file)).find(|path| path.is_file()).ok_or_else(|| {
        let remedy = "run it in a checkout of the repository, or use `nephrobox segment` with files of your own";
        Failure::new(exit, "a file of the demo is not here", file, remedy)
    })
}
