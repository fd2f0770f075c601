//! `nephroctl scans`: the scans on the box.

use std::fmt::Write as _;
use std::io::Write;

use nephrobox_link::message::Item;
use serde::Deserialize;
use serde_json::Value;

use crate::failure::{Failure, say, say_json};
use crate::line::{self, Line};

/// Shown after the options.
pub(crate) const EXAMPLES: &str = "\
Examples:
  nephroctl scans
  nephroctl scans --json | jq -r '.[] | select(.missing != []) | .id'

The names of the files stay on the box. `nephroctl fetch ID --out DIR` brings the results of a \
scan that is finished.";

/// Largest list that is taken, in bytes.
const LARGEST: u64 = 64 << 20;

/// Options of `nephroctl scans`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Print the box's own JSON.
    #[arg(long)]
    pub json: bool,
    /// How to reach the box.
    #[command(flatten)]
    pub line: Line,
}

/// What is shown of a scan. What a box of another release leaves out is not shown.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Scan {
    id: String,
    state: String,
    reason: Option<String>,
    bytes: u64,
    source: String,
    /// Destinations that do not have the results.
    missing: Vec<String>,
}

/// Lists the scans.
///
/// # Errors
/// If the box cannot be reached.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    let mut client = args.line.connect()?;
    let bytes = line::get(&mut client, &Item::Scans, LARGEST, &mut |_| ())?;
    let unreadable = |_| line::nonsense("its list of scans cannot be read", client.endpoint());
    if args.json {
        let scans: Value = serde_json::from_slice(&bytes).map_err(unreadable)?;
        return say_json(out, &format!("{scans:#}\n"));
    }
    let scans: Vec<Scan> = serde_json::from_slice(&bytes).map_err(unreadable)?;
    say(out, &text(&scans))
}

fn text(scans: &[Scan]) -> String {
    if scans.is_empty() {
        return "there are no scans on the box\n".into();
    }
    let mut text = String::new();
    for scan in scans {
        let _ = write!(
            text,
            "{}  {:<10}{:>8.1} MB  from {}",
            scan.id,
            scan.state,
            scan.bytes as f64 / 1e6,
            scan.source
        );
        if !scan.missing.is_empty() {
            let _ = write!(text, "  not yet at {}", scan.missing.join(", "));
        }
        text.push('\n');
        if let Some(reason) = &scan.reason {
            let _ = writeln!(text, "    {reason}");
        }
    }
    text
}
