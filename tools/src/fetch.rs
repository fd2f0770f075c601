//! `nephroctl fetch`: the results of a scan that was sent earlier.

use std::io::Write;
use std::path::PathBuf;

use crate::failure::{Failure, say};
use crate::line::Line;
use crate::progress::Bar;
use crate::results::Folder;
use crate::send;

/// Shown after the options.
pub(crate) const EXAMPLES: &str = "\
Examples:
  nephroctl fetch 00000042-9f86d081 --out results

Waits if the box still works on the scan. The box may let go of the results once they are safe in --out.";

/// Options of `nephroctl fetch`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The scan's id on the box, as `nephroctl send` and `nephroctl scans` show it.
    #[arg(value_name = "SCAN-ID")]
    pub scan: String,
    /// Write the results into this folder.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Replace earlier results in the folder.
    #[arg(long)]
    pub force: bool,
    /// How to reach the box.
    #[command(flatten)]
    pub line: Line,
}

/// Fetches results and prints the report.
///
/// # Errors
/// If the box does not know the scan or found it unusable, or the results cannot be written.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    let folder = Folder::check(&args.out, args.force)?;
    let mut client = args.line.connect()?;
    let mut bar = Bar::new();
    let words = send::bring(
        &mut client,
        Some(&folder),
        &args.scan,
        &args.scan,
        &mut |step| {
            send::show(&mut bar, &args.scan, step);
        },
    )?;
    bar.clear();
    say(out, &words)
}
