//! `nephroctl logs`: the last lines of the box's log.

use std::io::Write;

use nephrobox_link::message::Item;

use crate::failure::{Failure, say};
use crate::line::{self, Line};

/// Shown after the options.
pub(crate) const EXAMPLES: &str = "\
Examples:
  nephroctl logs
  nephroctl logs -n 2000 > box.log

All lines about one scan hold its id. There are no names of patients in them.";

/// Most bytes of a log that are taken.
const LARGEST: u64 = 64 << 20;

/// Options of `nephroctl logs`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// How many lines.
    #[arg(short = 'n', long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub lines: u32,
    /// How to reach the box.
    #[command(flatten)]
    pub line: Line,
}

/// Prints the end of the log.
///
/// # Errors
/// If the box cannot be reached.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    let mut client = args.line.connect()?;
    let item = Item::Logs { lines: args.lines };
    let log = line::get(&mut client, &item, LARGEST, &mut |_| ())?;
    say(out, &String::from_utf8_lossy(&log))
}
