//! `nephroctl export`: a scan's results without whose they are.

use std::io::Write;
use std::path::PathBuf;

use crate::failure::{Failure, say};
use crate::line::Line;
use crate::progress::Bar;
use crate::results::{self, Folder, REPORT_JSON, REPORT_TEXT};
use crate::send;

/// Shown after the options.
pub(crate) const EXAMPLES: &str = "\
Examples:
  nephroctl export 00000042-9f86d081 --out for-the-study

The box takes out whose the results are before they leave it: what leaves is on a list (docs/privacy.md), and names, \
dates and hashes are not on it. The same scan gets the same new name each time.";

/// Options of `nephroctl export`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The scan's id on the box, as `nephroctl scans` shows it.
    #[arg(value_name = "SCAN-ID")]
    pub scan: String,
    /// Write the files into this folder.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Replace earlier results in the folder.
    #[arg(long)]
    pub force: bool,
    /// How to reach the box.
    #[command(flatten)]
    pub line: Line,
}

/// Fetches the export and says which files it has.
///
/// # Errors
/// If the box does not know the scan, or it has no report; if the files cannot be written.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    let folder = Folder::check(&args.out, args.force)?;
    let mut client = args.line.connect()?;
    let mut bar = Bar::new();
    let files = results::fetch_export(&mut client, &args.scan, &mut |name, progress| {
        let step = send::Step::Fetching(name, progress);
        send::show(&mut bar, &args.scan, step);
    })?;
    bar.clear();
    for name in [REPORT_JSON, REPORT_TEXT] {
        if !files.iter().any(|file| file.name == name) {
            return Err(results::missing(name, &args.scan));
        }
    }
    folder.put(&files)?;
    let names: Vec<_> = files.iter().map(|file| file.name.as_str()).collect();
    say(
        out,
        &format!("{}: {}\n", args.out.display(), names.join(", ")),
    )
}
