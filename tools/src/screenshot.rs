//! `nephroctl screenshot`: what the box's panel shows.

use std::io::Write;
use std::path::PathBuf;

use nephrobox_imaging::files;
use nephrobox_link::message::Item;

use crate::failure::{Failure, say, unwritable};
use crate::line::{self, Line};

/// Shown after the options.
pub(crate) const EXAMPLES: &str = "\
Examples:
  nephroctl screenshot panel.png";

/// Largest picture that is taken, in bytes: all pixels of the panel, uncompressed, and some.
const LARGEST: u64 = 4 << 20;
/// How every PNG begins.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

/// Options of `nephroctl screenshot`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Where the picture goes, PNG.
    #[arg(value_name = "OUT.png")]
    pub out: PathBuf,
    /// How to reach the box.
    #[command(flatten)]
    pub line: Line,
}

/// Fetches the picture.
///
/// # Errors
/// If the box cannot be reached, or the file cannot be written.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    let mut client = args.line.connect()?;
    let picture = line::get(&mut client, &Item::Screenshot, LARGEST, &mut |_| ())?;
    if !picture.starts_with(PNG) {
        return Err(line::nonsense("no picture", client.endpoint()));
    }
    files::write(&args.out, &picture).map_err(|error| unwritable(&args.out, &error))?;
    say(out, &format!("{}\n", args.out.display()))
}
