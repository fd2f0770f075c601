//! Waiting for a box to try a model: it runs the package's own slices, and keeps it only if they come out right.

use std::thread::sleep;
use std::time::{Duration, Instant};

use nephrobox_link::client::Client;
use nephrobox_link::message::{Hash, SlotState, SlotsState};

use crate::failure::{Exit, Failure};
use crate::progress::Bar;
use crate::slots;

/// How often the box is asked.
const PAUSE: Duration = Duration::from_millis(300);
/// Longest time that a trial may take. A large network on a slow box takes a few minutes.
const LIMIT: Duration = Duration::from_mins(15);

/// What can be said of a package's trial.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Trial {
    /// It goes on; what happens now.
    Pending(&'static str),
    /// The model runs.
    Good(String),
    /// The model does not run.
    Bad(String),
}

/// Asks the box until it has judged the package of this hash, and returns its words.
///
/// # Errors
/// If it finds the model bad, says nothing for a quarter of an hour, or cannot be reached.
pub fn wait(client: &mut Client, hash: &Hash, bar: &mut Bar) -> Result<String, Failure> {
    let begun = Instant::now();
    loop {
        match judge(&slots::ask(client)?, hash) {
            Trial::Good(words) => return Ok(words),
            Trial::Bad(words) => {
                let (what, remedy) = words.rsplit_once("; ").unwrap_or((
                    &words,
                    "see `nephroctl logs`; the box runs the model that it ran before",
                ));
                return Err(
                    Failure::new(Exit::Unfit, what, client.endpoint(), remedy).coded("trial")
                );
            }
            Trial::Pending(_) if begun.elapsed() > LIMIT => {
                return Err(Failure::new(
                    Exit::Later,
                    "the box has not judged the model in a quarter of an hour",
                    client.endpoint(),
                    "see `nephroctl slots` later, and `nephroctl logs`",
                )
                .coded("no_verdict"));
            }
            Trial::Pending(words) => bar.words(words),
        }
        sleep(PAUSE);
    }
}

/// What the slots say of a package. What lies in the slots comes before the verdict, which may be of an earlier try.
fn judge(state: &SlotsState, hash: &Hash) -> Trial {
    let verdict = state.verdict.as_ref().filter(|it| it.hash == *hash);
    let failed = verdict.filter(|it| !it.good);
    let place = state
        .slots
        .iter()
        .position(|slot| slot.model.as_ref().is_some_and(|model| model.hash == *hash));
    let runs = place.is_some() && place == state.active.map(usize::from);
    match place.map(|index| &state.slots[index]) {
        Some(slot) if slot.state == SlotState::Written => {
            Trial::Pending("the box prepares the trial")
        }
        Some(slot) if slot.state == SlotState::Trial => {
            Trial::Pending("the box tries the model on its own slices")
        }
        Some(slot) if slot.state == SlotState::Confirmed && runs => Trial::Good(
            verdict
                .filter(|it| it.good)
                .map_or("the model runs", |it| it.words.as_str())
                .to_owned(),
        ),
        Some(slot) if slot.state == SlotState::Bad => Trial::Bad(
            slot.reason
                .as_deref()
                .or(failed.map(|it| it.words.as_str()))
                .unwrap_or("the box found the model bad")
                .to_owned(),
        ),
        _ => failed.map_or(Trial::Pending("waiting for the box"), |it| {
            Trial::Bad(it.words.as_str().to_owned())
        }),
    }
}

#[cfg(test)]
mod tests {
    use nephrobox_link::message::{ModelInfo, SlotInfo, VerdictInfo, cut};

    use super::*;

    type Is<'a> = &'a dyn Fn(&Trial) -> bool;

    const OLD: Hash = [1; 32];
    const NEW: Hash = [2; 32];

    fn slot(state: SlotState, hash: Option<Hash>) -> SlotInfo {
        SlotInfo {
            state,
            model: hash.map(|hash| ModelInfo {
                name: cut("kidney"),
                version: 3,
                hash,
            }),
            received: 0,
            reason: None,
        }
    }

    fn verdict(hash: Hash, good: bool) -> VerdictInfo {
        let words = cut(if good { "good" } else { "bad; make another" });
        VerdictInfo { hash, good, words }
    }

    /// The state of the slot that the new package went to, whether it runs, the verdict, and what is made of it.
    #[test]
    fn a_verdict_of_an_earlier_try_decides_nothing_while_a_trial_goes_on() {
        use SlotState::{Bad, Confirmed, Empty, Trial as OnTrial, Written};
        let pending = |trial: &Trial| matches!(trial, Trial::Pending(_));
        let good = |trial: &Trial| matches!(trial, Trial::Good(_));
        let bad = |trial: &Trial| matches!(trial, Trial::Bad(_));
        let cases: [(SlotInfo, u8, Option<VerdictInfo>, Is<'_>); 11] = [
            (slot(Written, Some(NEW)), 0, None, &pending),
            (
                slot(Written, Some(NEW)),
                0,
                Some(verdict(NEW, false)),
                &pending,
            ),
            (
                slot(OnTrial, Some(NEW)),
                1,
                Some(verdict(NEW, false)),
                &pending,
            ),
            (
                slot(OnTrial, Some(NEW)),
                1,
                Some(verdict(OLD, true)),
                &pending,
            ),
            (
                slot(Confirmed, Some(NEW)),
                1,
                Some(verdict(NEW, true)),
                &good,
            ),
            (slot(Confirmed, Some(NEW)), 1, None, &good),
            (
                slot(Confirmed, Some(NEW)),
                0,
                Some(verdict(OLD, true)),
                &pending,
            ),
            (slot(Bad, Some(NEW)), 0, None, &bad),
            (slot(Bad, None), 0, Some(verdict(NEW, false)), &bad),
            (slot(Empty, None), 0, Some(verdict(NEW, false)), &bad),
            (slot(Empty, None), 0, Some(verdict(OLD, false)), &pending),
        ];
        for (index, (slot_b, active, verdict, is)) in cases.into_iter().enumerate() {
            let state = SlotsState {
                slots: [slot(Confirmed, Some(OLD)), slot_b],
                active: Some(active),
                verdict,
            };
            let trial = judge(&state, &NEW);
            assert!(is(&trial), "case {index}: {trial:?}");
        }
    }
}
