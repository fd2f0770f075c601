//! `nephrobox erase`: a scan and all that was made of it, off a box that does not run.

use std::io::Write;
use std::path::PathBuf;

use crate::config::command::{INSTALLED, load};
use crate::failure::{Exit, Failure, told};
use crate::run::{EraseError, StillBox};
use crate::spool::{ScanId, SpoolError};

/// Shown after the options.
pub(crate) const EXAMPLES: &str = "\
Examples:
  nephrobox erase 00000042-9f86d081
  nephrobox erase 00000042-9f86d081 --config box.toml

For a box that does not run; nephroctl erase does it over the line. Scan and results are gone, and one line in the \
audit log says so. What went to a destination stays there. docs/privacy.md says what erasing means on flash memory.";

/// Options of `nephrobox erase`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The scan's id on the box, as the page of studies and nephroctl scans show it.
    #[arg(value_name = "SCAN-ID")]
    pub scan: ScanId,
    /// The box's configuration.
    #[arg(long, value_name = "FILE", default_value = INSTALLED)]
    pub config: PathBuf,
}

/// Erases a scan and says so.
///
/// # Errors
/// The configuration is wrong, the box runs, there is no such scan, or a disk refuses.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    let config = load(&args.config)?;
    let still = StillBox::open(&config)?;
    still.erase(args.scan).map_err(|error| {
        let exit = match &error {
            EraseError::Spool(SpoolError::Unknown(_)) => Exit::Input,
            _ => Exit::Output,
        };
        told(exit, &error, args.scan, "check the disk, and try again")
    })?;
    let said = writeln!(out, "{} is erased", args.scan);
    said.map_err(|error| told(Exit::Output, &error, "standard output", "it is done"))
}
