//! `nephroctl status`: what the box is doing, and what is wrong with it.

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
  nephroctl status
  nephroctl status --json | jq -r '.faults[].code'

The JSON is what the status page of the box has too, see docs/service.md. The exit code is 0 \
whatever the box says of itself.";

/// Largest status that is taken, in bytes.
const LARGEST: u64 = 1 << 20;

/// Options of `nephroctl status`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Print the box's own JSON.
    #[arg(long)]
    pub json: bool,
    /// How to reach the box.
    #[command(flatten)]
    pub line: Line,
}

/// What is shown of a status. What a box of another release leaves out is not shown.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Status {
    name: String,
    version: String,
    activity: Activity,
    active_model: Option<String>,
    queued: u64,
    aside: u64,
    used_bytes: u64,
    limit_bytes: u64,
    faults: Vec<Fault>,
    results: Vec<ResultSummary>,
    readiness: Option<Readiness>,
}

/// Whether a scan that is sent now would be taken.
#[derive(Debug, Deserialize)]
struct Readiness {
    ready: bool,
    #[serde(default)]
    reasons: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
enum Activity {
    Idle,
    Receiving {
        scan: String,
        done_bytes: u64,
        total_bytes: u64,
    },
    Working {
        scan: String,
        slice: u32,
        slices: u32,
    },
    Flashing {
        step: String,
    },
    /// What a later release may do.
    #[default]
    #[serde(other)]
    Unknown,
}

#[derive(Debug, Deserialize)]
struct Fault {
    code: String,
    message: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ResultSummary {
    scan: String,
    kidney_ml: f64,
    tumour_ml: f64,
    warnings: u32,
}

/// Shows the box's state.
///
/// # Errors
/// If the box cannot be reached.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    let mut client = args.line.connect()?;
    let bytes = line::get(&mut client, &Item::Status, LARGEST, &mut |_| ())?;
    let unreadable = |_| line::nonsense("its status cannot be read", client.endpoint());
    if args.json {
        let status: Value = serde_json::from_slice(&bytes).map_err(unreadable)?;
        return say_json(out, &format!("{status:#}\n"));
    }
    let status = serde_json::from_slice(&bytes).map_err(unreadable)?;
    say(out, &text(&status))
}

fn text(status: &Status) -> String {
    let mut text = format!("{}, nephrobox {}\n", status.name, status.version);
    let mut entry = |name: &str, value: &str| {
        let _ = writeln!(text, "  {name:<9} {value}");
    };
    entry(
        "model",
        status
            .active_model
            .as_deref()
            .unwrap_or("none: install one with `nephroctl flash`"),
    );
    entry("now", &doing(&status.activity));
    if let Some(Readiness { ready, reasons }) = &status.readiness {
        let takes = if *ready {
            "scans".to_owned()
        } else {
            format!("no scans: {}", reasons.join("; "))
        };
        entry("takes", &takes);
    }
    entry("waiting", &status.queued.to_string());
    if status.aside > 0 {
        let aside = format!("{}, see `nephroctl scans`", status.aside);
        entry("set aside", &aside);
    }
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    entry(
        "room",
        &format!(
            "{:.0} of {:.0} MB used",
            megabytes(status.used_bytes),
            megabytes(status.limit_bytes)
        ),
    );
    for result in &status.results {
        let warnings = match result.warnings {
            0 => String::new(),
            warnings => format!(", warnings: {warnings}"),
        };
        entry(
            "result",
            &format!(
                "{}  kidney {:.1} mL, tumour {:.1} mL{warnings}",
                result.scan, result.kidney_ml, result.tumour_ml
            ),
        );
    }
    for fault in &status.faults {
        entry("FAULT", &format!("[{}] {}", fault.code, fault.message));
    }
    if status.faults.is_empty() {
        entry("faults", "none");
    }
    text
}

fn doing(activity: &Activity) -> String {
    match activity {
        Activity::Idle => "idle".into(),
        Activity::Receiving {
            scan,
            done_bytes,
            total_bytes,
        } => format!("receiving {scan}, {done_bytes} of {total_bytes} bytes"),
        Activity::Working {
            scan,
            slice,
            slices,
        } => format!("working on {scan}, slice {slice} of {slices}"),
        Activity::Flashing { step } => format!("installing a model: {step}"),
        Activity::Unknown => "something that this release of nephroctl does not know".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_of_a_later_release_is_shown_as_far_as_it_is_known() {
        let status = r#"{
            "name": "ward-3", "version": "2.0.0", "phase_of_the_moon": "full",
            "activity": { "kind": "dreaming", "of": "sheep" },
            "faults": [{ "code": "disk_full", "message": "no room is left; fetch results", "since": 3 }]
        }"#;
        let status: Status = serde_json::from_str(status).expect("a status");
        let text = text(&status);
        for part in [
            "ward-3, nephrobox 2.0.0",
            "does not know",
            "FAULT     [disk_full] no room is left; fetch results",
        ] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
    }
}
