//! What a screen shows, as plain data.

use crate::fault::{Fault, FaultCode};
use crate::health::readiness;
use crate::snapshot::{Activity, ResultSummary, Slot, Snapshot};

/// All that the panel shows at one moment. Two equal views give the same picture.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// The box's name.
    pub name: String,
    /// The program's version.
    pub version: String,
    /// The model in use, as name and version.
    pub model: Option<String>,
    /// Scans that wait.
    pub queued: u64,
    /// What fills the screen.
    pub screen: Screen,
    /// Something that needs attention while the box goes on, in one sentence.
    pub banner: Option<String>,
}

/// What fills the screen.
#[derive(Debug, Clone, PartialEq)]
pub enum Screen {
    /// The box is not up yet.
    Starting,
    /// Nothing to do, and no result to show.
    Idle {
        /// Why no scan would be accepted; `None` if one would.
        not_ready: Option<String>,
        /// Scans that could not be processed and are kept aside.
        aside: u64,
        /// Share of the room for scans that is taken, in percent.
        used_percent: u8,
    },
    /// A scan is coming in.
    Receiving {
        /// Its id on the box.
        scan: String,
        /// Bytes that are here.
        done_bytes: u64,
        /// Bytes in all; 0 if not known.
        total_bytes: u64,
    },
    /// The network looks at a scan.
    Working {
        /// Its id on the box.
        scan: String,
        /// Slices done.
        slice: u32,
        /// Slices in all.
        slices: u32,
    },
    /// The last result.
    Result(Box<ResultSummary>),
    /// The box takes no scans.
    Fault {
        /// What kind of fault it is.
        code: FaultCode,
        /// What is wrong and what to do.
        message: String,
        /// How many more faults there are of the same weight.
        more: usize,
    },
    /// A model is installed.
    Flashing {
        /// The step, in words.
        step: String,
        /// The two places for models.
        slots: [Slot; 2],
    },
}

impl View {
    /// The view of a box in this state. In falling order, the screen belongs to
    ///
    /// 1. the installation of a model, which is what cures some faults and what nobody should interrupt unawares;
    /// 2. a fault that keeps the box from taking scans, the newest if there are several;
    /// 3. the start, a transfer, the work on a scan;
    /// 4. the last result, which stays until something else happens;
    /// 5. readiness.
    ///
    /// Other faults are a banner under any screen, the newest in words and the rest as a number. A result's warnings are its
    /// banner if there is nothing else to tell.
    #[must_use]
    pub fn of(state: &Snapshot) -> Self {
        let (blocking, passing): (Vec<&Fault>, Vec<&Fault>) =
            state.faults.iter().partition(|fault| fault.blocks());
        let mut notices: Vec<String> = Vec::new();
        let screen = match (&state.activity, blocking.last()) {
            (Activity::Flashing { step }, _) => {
                notices.extend(blocking.iter().map(|fault| fault.message.clone()));
                Screen::Flashing {
                    step: step.clone(),
                    slots: state.slots.clone(),
                }
            }
            (_, Some(fault)) => Screen::Fault {
                code: fault.code,
                message: fault.message.clone(),
                more: blocking.len() - 1,
            },
            _ if !state.started => Screen::Starting,
            (Activity::Idle, None) => {
                let reasons = readiness(state).reasons;
                match state.results.first() {
                    Some(result) => {
                        notices.extend(reasons);
                        Screen::Result(Box::new(result.clone()))
                    }
                    None => Screen::Idle {
                        not_ready: reasons.first().map(|reason| capitalised(reason)),
                        aside: state.aside,
                        used_percent: percent(state.used_bytes, state.limit_bytes).unwrap_or(0),
                    },
                }
            }
            (
                Activity::Receiving {
                    scan,
                    done_bytes,
                    total_bytes,
                },
                None,
            ) => Screen::Receiving {
                scan: scan.clone(),
                done_bytes: *done_bytes,
                total_bytes: *total_bytes,
            },
            (
                Activity::Working {
                    scan,
                    slice,
                    slices,
                },
                None,
            ) => Screen::Working {
                scan: scan.clone(),
                slice: *slice,
                slices: *slices,
            },
        };
        notices.extend(passing.iter().map(|fault| fault.message.clone()));
        let banner = banner(&notices).or_else(|| match &screen {
            Screen::Result(result) => warning(result),
            _ => None,
        });
        Self {
            name: state.name.clone(),
            version: state.version.clone(),
            model: state.active_model.clone(),
            queued: state.queued,
            screen,
            banner,
        }
    }
}

/// The newest notice, and how many more there are. The number comes first, since the end of a long sentence may not fit.
fn banner(notices: &[String]) -> Option<String> {
    let (newest, others) = notices.split_last()?;
    Some(match others.len() {
        0 => capitalised(newest),
        more => format!("1 of {}: {newest}", more + 1),
    })
}

/// The first warning of a result, and how many there are.
fn warning(result: &ResultSummary) -> Option<String> {
    let first = result.first_warning.as_ref()?;
    Some(match result.warnings {
        0 | 1 => first.clone(),
        count => format!("1 of {count} warnings: {first}"),
    })
}

/// A sentence begins with a capital letter.
fn capitalised(words: &str) -> String {
    let mut letters = words.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(letters).collect()
}

/// `done` of `total` in whole percent, 100 only for all of it; `None` if there is no total.
pub(super) fn percent(done: u64, total: u64) -> Option<u8> {
    let share = u128::from(done.min(total)) * 100;
    share
        .checked_div(u128::from(total))
        .and_then(|percent| u8::try_from(percent).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn well() -> Snapshot {
        Snapshot {
            started: true,
            active_model: Some("demo 3".into()),
            ..Snapshot::default()
        }
    }

    fn fault(code: FaultCode) -> Fault {
        Fault::new(code, format!("{} happened", code.name()))
    }

    #[test]
    fn a_box_without_results_says_whether_it_is_ready() {
        let screen = |state: &Snapshot| View::of(state).screen;
        assert_eq!(
            screen(&Snapshot {
                used_bytes: 99,
                limit_bytes: 200,
                aside: 1,
                ..well()
            }),
            Screen::Idle {
                not_ready: None,
                aside: 1,
                used_percent: 49
            }
        );
        let Screen::Idle { not_ready, .. } = screen(&Snapshot {
            active_model: None,
            ..well()
        }) else {
            panic!("an idle box");
        };
        assert!(not_ready.expect("a reason").contains("nephroctl flash"));
        assert_eq!(screen(&Snapshot::default()), Screen::Starting);
    }

    /// Shows RQ-59.
    #[test]
    fn a_blocking_fault_outweighs_a_result_and_work_but_not_a_flash() {
        let mut state = well();
        state.push_result(ResultSummary::default());
        assert!(matches!(View::of(&state).screen, Screen::Result(_)));
        state.raise(fault(FaultCode::DiskFull));
        for activity in [
            Activity::Idle,
            Activity::Working {
                scan: "1".into(),
                slice: 1,
                slices: 2,
            },
        ] {
            state.activity = activity;
            let view = View::of(&state);
            assert!(matches!(
                view.screen,
                Screen::Fault {
                    code: FaultCode::DiskFull,
                    more: 0,
                    ..
                }
            ));
            assert_eq!(view.banner, None, "a fault is told once");
        }
        state.activity = Activity::Flashing {
            step: "self-test".into(),
        };
        let view = View::of(&state);
        assert!(matches!(view.screen, Screen::Flashing { .. }));
        assert_eq!(view.banner.as_deref(), Some("Disk_full happened"));
    }

    #[test]
    fn a_flash_that_fell_back_is_seen_under_any_screen() {
        let mut state = well();
        state.raise(fault(FaultCode::DestinationFailed));
        state.raise(fault(FaultCode::ModelFellBack));
        for activity in [
            Activity::Idle,
            Activity::Receiving {
                scan: "1".into(),
                done_bytes: 1,
                total_bytes: 2,
            },
        ] {
            state.activity = activity;
            let banner = View::of(&state).banner.expect("a banner");
            assert_eq!(banner, "1 of 2: model_fell_back happened");
        }
        state.raise(fault(FaultCode::NoRoom));
        assert!(View::of(&state).banner.is_some());
    }

    #[test]
    fn a_result_says_when_no_other_scan_would_be_accepted() {
        let mut state = well();
        state.push_result(ResultSummary::default());
        state.limit_bytes = 5;
        state.used_bytes = 5;
        let banner = View::of(&state).banner.expect("a banner");
        assert!(banner.starts_with("No room for another scan"), "{banner}");
    }

    #[test]
    fn warnings_of_a_result_give_way_to_faults() {
        let mut state = well();
        state.push_result(ResultSummary {
            warnings: 2,
            first_warning: Some("The sides may be wrong.".into()),
            ..ResultSummary::default()
        });
        let banner = |state: &Snapshot| View::of(state).banner.expect("a banner");
        assert_eq!(banner(&state), "1 of 2 warnings: The sides may be wrong.");
        state.raise(fault(FaultCode::ModelFellBack));
        assert_eq!(banner(&state), "Model_fell_back happened");
    }

    #[test]
    fn a_hundred_percent_is_all_of_it() {
        assert_eq!(percent(0, 0), None);
        assert_eq!(percent(999, 1000), Some(99));
        assert_eq!(percent(u64::MAX, u64::MAX), Some(100));
        assert_eq!(percent(7, 5), Some(100));
    }
}
