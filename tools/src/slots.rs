//! `nephroctl slots`: the box's two places for models.

use std::fmt::Write as _;
use std::io::Write;

use nephrobox_link::client::Client;
use nephrobox_link::message::{Hash, Reply, Request, SlotInfo, SlotState, SlotsState};
use serde_json::{Value, json};

use crate::failure::{Failure, say, say_json};
use crate::line::{self, Line};

/// Shown after the options.
pub(crate) const EXAMPLES: &str = "\
Examples:
  nephroctl slots
  nephroctl slots --json | jq '.slots[.active].version'";

/// Names of the slots.
const NAMES: [&str; 2] = ["A", "B"];

/// Options of `nephroctl slots`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// How to reach the box.
    #[command(flatten)]
    pub line: Line,
}

/// Shows the slots.
///
/// # Errors
/// If the box cannot be reached.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    let state = ask(&mut args.line.connect()?)?;
    if args.json {
        return say_json(out, &format!("{:#}\n", document(&state)));
    }
    say(out, &text(&state))
}

/// Asks the box how its slots are.
///
/// # Errors
/// If the box cannot be reached.
pub fn ask(client: &mut Client) -> Result<SlotsState, Failure> {
    match line::ask(client, &Request::Slots)? {
        Reply::Slots(state) => Ok(state),
        _ => Err(line::nonsense("no slots", client.endpoint())),
    }
}

/// The slot that runs, if there is one.
#[must_use]
pub fn active(state: &SlotsState) -> Option<&SlotInfo> {
    state
        .active
        .and_then(|active| state.slots.get(usize::from(active)))
}

/// The slot that does not run, while the other one does.
#[must_use]
pub fn other(state: &SlotsState) -> Option<&SlotInfo> {
    state
        .active
        .and_then(|active| state.slots.get(usize::from(1 - active.min(1))))
}

/// A hash as it is written everywhere: 64 hexadecimal digits.
#[must_use]
pub fn hex(hash: &Hash) -> String {
    blake3::Hash::from_bytes(*hash).to_string()
}

fn word(state: SlotState) -> &'static str {
    match state {
        SlotState::Empty => "empty",
        SlotState::Written => "written",
        SlotState::Trial => "trial",
        SlotState::Confirmed => "confirmed",
        SlotState::Bad => "bad",
    }
}

fn text(state: &SlotsState) -> String {
    let mut text = String::new();
    for (index, (name, slot)) in NAMES.iter().zip(&state.slots).enumerate() {
        let runs = state.active == Some(index as u8);
        let _ = write!(
            text,
            "{} {name}  {:<10}",
            if runs { "*" } else { " " },
            word(slot.state)
        );
        if let Some(model) = &slot.model {
            let hash = hex(&model.hash);
            let _ = write!(
                text,
                "  {} version {}  {}",
                model.name,
                model.version,
                &hash[..16]
            );
        } else if slot.received > 0 {
            let _ = write!(text, "  {} bytes of a package received", slot.received);
        }
        text.push('\n');
        if let Some(reason) = &slot.reason {
            let _ = writeln!(text, "      {reason}");
        }
    }
    text.push_str(match state.active {
        Some(_) => "* runs\n",
        None => "no model runs: install one with `nephroctl flash`\n",
    });
    if let Some(verdict) = &state.verdict {
        let _ = writeln!(text, "last installation: {}", verdict.words);
    }
    text
}

fn document(state: &SlotsState) -> Value {
    let slots: Vec<Value> = NAMES
        .iter()
        .zip(&state.slots)
        .map(|(name, slot)| {
            let model = slot.model.as_ref();
            json!({
                "slot": name,
                "state": word(slot.state),
                "name": model.map(|model| model.name.as_str()),
                "version": model.map(|model| model.version),
                "blake3": model.map(|model| hex(&model.hash)),
                "received_bytes": slot.received,
                "reason": slot.reason.as_deref(),
            })
        })
        .collect();
    json!({
        "slots": slots,
        "active": state.active,
        "verdict": state.verdict.as_ref().map(|verdict| json!({
            "blake3": hex(&verdict.hash), "good": verdict.good, "words": verdict.words.as_str(),
        })),
    })
}
