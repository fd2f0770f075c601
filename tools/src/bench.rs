//! `nephroctl bench`: how fast the network is on the box.

use std::fmt::Write as _;
use std::io::Write;

use nephrobox_link::message::Item;
use serde_json::Value;

use crate::failure::{Failure, say, say_json};
use crate::line::{self, Line};
use crate::progress::Bar;

/// Shown after the options.
pub(crate) const EXAMPLES: &str = "\
Examples:
  nephroctl bench
  nephroctl bench --seconds 60 --json | jq .slices_per_s

The box measures the model that runs, with the settings that it uses for scans. Every figure has \
its unit in its name; `nephrobox bench --help` says what they mean.";

/// Largest answer that is taken, in bytes.
const LARGEST: u64 = 1 << 20;

/// Options of `nephroctl bench`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// For how long to measure; scans that come meanwhile wait.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=60))]
    pub seconds: u16,
    /// Print the box's own JSON.
    #[arg(long)]
    pub json: bool,
    /// How to reach the box.
    #[command(flatten)]
    pub line: Line,
}

/// Has the box measure itself.
///
/// # Errors
/// If the box has no model, is busy, or cannot be reached.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    let mut client = args.line.connect()?;
    let mut bar = Bar::new();
    bar.words(&format!("the box measures for {} s", args.seconds));
    let item = Item::Bench {
        seconds: args.seconds,
    };
    let bytes = line::get(&mut client, &item, LARGEST, &mut |_| ())?;
    bar.clear();
    let figures: Value = serde_json::from_slice(&bytes)
        .map_err(|_| line::nonsense("its figures cannot be read", client.endpoint()))?;
    if args.json {
        return say_json(out, &format!("{figures:#}\n"));
    }
    say(out, &text(&figures))
}

/// A figure a line, as the box calls it.
fn text(figures: &Value) -> String {
    let mut text = String::new();
    for (name, figure) in figures.as_object().into_iter().flatten() {
        let figure = match figure {
            Value::Null => continue,
            Value::String(words) => words.clone(),
            Value::Number(number) if number.is_f64() => {
                format!("{:.3}", number.as_f64().unwrap_or_default())
            }
            other => other.to_string(),
        };
        let _ = writeln!(text, "{name:<24} {figure}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_shown_as_the_box_calls_them_and_missing_ones_not_at_all() {
        let figures = serde_json::json!({
            "model": "kidney", "version": 3, "latency_median_ms": 12.345_67, "peak_memory_mib": null,
        });
        assert_eq!(
            text(&figures),
            "latency_median_ms        12.346\nmodel                    kidney\nversion                  3\n"
        );
    }
}
