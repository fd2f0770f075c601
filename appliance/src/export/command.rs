//! `nephrobox export`: a scan's results without whose they are, off a box that does not run.

use std::io::Write;
use std::path::PathBuf;

use super::{ExportError, Exporter, deed};
use crate::config::command::{INSTALLED, load};
use crate::failure::{Exit, Failure, told};
use crate::output::{Destination, REPORT_JSON};
use crate::run::{CONSOLE, StillBox};
use crate::spool::{ScanId, SpoolError};

/// Shown after the options.
pub(crate) const EXAMPLES: &str = "\
Examples:
  nephrobox export 00000042-9f86d081 --out for-the-study
  nephrobox export 00000042-9f86d081 --config box.toml --out for-the-study

For a box that does not run; nephroctl export does it over the line. What leaves is on a list (docs/privacy.md); \
everything else, names and dates first, stays on the box.";

/// Options of `nephrobox export`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The scan's id on the box, as the page of studies and nephroctl scans show it.
    #[arg(value_name = "SCAN-ID")]
    pub scan: ScanId,
    /// Write the files into this folder.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Replace earlier results in the folder.
    #[arg(long)]
    pub force: bool,
    /// The box's configuration.
    #[arg(long, value_name = "FILE", default_value = INSTALLED)]
    pub config: PathBuf,
}

/// Writes the export and says which files it has.
///
/// # Errors
/// The configuration is wrong, the box runs, the scan has no report, or a disk refuses.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    let config = load(&args.config)?;
    let destination = Destination::check(&args.out, args.force)?;
    let still = StillBox::open(&config)?;
    let failed = |error: ExportError| {
        let exit = match &error {
            ExportError::NoReport(_) | ExportError::Spool(SpoolError::Unknown(_)) => Exit::Input,
            _ => Exit::Output,
        };
        told(exit, &error, args.scan, "check the disk, and try again")
    };
    let exporter = Exporter::new(still.spool(), args.scan, &config.identity.state);
    let files = exporter
        .and_then(|exporter| exporter.all())
        .map_err(failed)?;
    let staging = destination.stage()?;
    for file in &files {
        staging.write(file.name, &file.bytes)?;
    }
    if let Some(report) = files.iter().find(|file| file.name == REPORT_JSON) {
        // It is on the log before it is where others find it.
        let noted = still.note(&deed(CONSOLE, args.scan, &report.bytes));
        noted.map_err(|error| told(Exit::Output, &error, "the audit log", "check the disk"))?;
    }
    let names = staging.commit()?;
    let said = writeln!(out, "{}: {}", args.out.display(), names.join(", "));
    said.map_err(|error| told(Exit::Output, &error, "standard output", "it is done"))
}
