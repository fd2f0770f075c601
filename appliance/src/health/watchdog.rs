//! systemd's watchdog: it hears from the box only while the worker makes progress.
//!
//! The worker calls [`Pulse::beat`](crate::pulse::Pulse::beat) after each batch of slices and about once a second while it waits. A ping is sent if the count
//! moved since the last one. A worker that hangs, at work or idle, stops the pings, and systemd restarts the box.

use std::time::Duration;

use sd_notify::NotifyState;

use crate::snapshot::{Activity, Shared, Snapshot};

/// How often is looked whether the box is ready.
const SOON: Duration = Duration::from_secs(1);

/// Where the messages go; systemd, or a test.
pub trait Notify {
    /// Sends messages; a lost one is no reason to stop.
    fn notify(&mut self, messages: &[NotifyState<'_>]);
}

/// systemd, if the program runs under it; else nothing happens.
#[derive(Debug, Default)]
pub struct Systemd;

impl Notify for Systemd {
    fn notify(&mut self, messages: &[NotifyState<'_>]) {
        if let Err(error) = sd_notify::notify(messages) {
            tracing::warn!(%error, "systemd could not be told");
        }
    }
}

/// Tells systemd how the box is.
#[derive(Debug)]
pub struct Watchdog<N> {
    shared: Shared,
    to: N,
    beats: Option<u64>,
    ready: bool,
    status: String,
}

impl<N: Notify> Watchdog<N> {
    /// One that has told nothing yet.
    pub fn new(shared: Shared, to: N) -> Self {
        Self {
            shared,
            to,
            beats: None,
            ready: false,
            status: String::new(),
        }
    }

    /// One round: `READY` once the box has started, `STATUS` if it changed, `WATCHDOG` if the worker moved.
    /// Returns whether it pinged.
    pub fn round(&mut self) -> bool {
        let state = self.shared.get();
        let beats = self.shared.pulse().beats();
        // Until the worker runs there is nothing to watch; systemd's start timeout covers that time.
        let moved = self.beats.is_some_and(|before| before != beats) || !state.started;
        self.beats = Some(beats);
        let status = status(&state);
        let mut messages = Vec::new();
        if state.started && !self.ready {
            self.ready = true;
            messages.push(NotifyState::Ready);
        }
        if status != self.status {
            messages.push(NotifyState::Status(&status));
        }
        if moved {
            messages.push(NotifyState::Watchdog);
        }
        if !messages.is_empty() {
            self.to.notify(&messages);
        }
        self.status = status;
        moved
    }

    /// Rounds for ever, a quarter of the watchdog's time apart; every second until the box is ready, for which `systemctl start` waits. Drop the
    /// future to end it.
    pub async fn run(&mut self, limit: Option<Duration>) {
        let period = limit.map_or(Duration::from_secs(5), |limit| limit / 4);
        loop {
            self.round();
            let pause = if self.ready { period } else { period.min(SOON) };
            tokio::time::sleep(pause).await;
        }
    }
}

/// The time systemd allows between pings; `None` without a watchdog.
#[must_use]
pub fn limit() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}

/// What `systemctl status` shows.
fn status(state: &Snapshot) -> String {
    let doing = match &state.activity {
        _ if !state.started => "starting".to_owned(),
        Activity::Idle => "idle".to_owned(),
        Activity::Receiving { .. } => "receiving a scan".to_owned(),
        // Not the slice: that would be a message per round and a line nobody reads.
        Activity::Working { slices, .. } => format!("working on a scan of {slices} slices"),
        Activity::Flashing { step } => format!("installing a model: {step}"),
    };
    format!(
        "{doing}; {} waiting, {} faults",
        state.queued,
        state.faults.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Heard(Vec<String>);

    impl Notify for Heard {
        fn notify(&mut self, messages: &[NotifyState<'_>]) {
            self.0.extend(messages.iter().map(ToString::to_string));
        }
    }

    /// Shows RQ-55.
    #[test]
    fn a_worker_that_hangs_is_not_covered_for() {
        let shared = Shared::new(Snapshot {
            started: true,
            ..Snapshot::default()
        });
        let mut dog = Watchdog::new(shared.clone(), Heard::default());
        shared.change(|state| {
            state.activity = Activity::Working {
                scan: "1".into(),
                slice: 0,
                slices: 9,
            }
        });
        assert!(!dog.round(), "nothing has moved yet");
        shared.pulse().beat();
        assert!(dog.round());
        assert!(!dog.round(), "no beat, no ping");
        shared.change(|state| state.queued = 1);
        assert!(!dog.round(), "a change by others is no progress");
        shared.pulse().beat();
        assert!(dog.round());
        let heard = dog.to.0;
        let count = |word: &str| {
            heard
                .iter()
                .filter(|message| message.trim() == word)
                .count()
        };
        assert_eq!(count("READY=1"), 1, "{heard:?}");
        assert_eq!(count("WATCHDOG=1"), 2, "{heard:?}");
        assert!(
            heard
                .iter()
                .any(|message| message.contains("working on a scan of 9 slices; 1 waiting")),
            "{heard:?}"
        );
    }

    #[test]
    fn ready_is_told_only_after_the_start() {
        let shared = Shared::new(Snapshot::default());
        let mut dog = Watchdog::new(shared.clone(), Heard::default());
        dog.round();
        assert!(!dog.to.0.iter().any(|message| message.contains("READY")));
        shared.change(|state| state.started = true);
        dog.round();
        assert!(dog.to.0.iter().any(|message| message.contains("READY=1")));
    }

    /// `systemctl start` waits for it, and a quarter of the watchdog's time is half a minute.
    #[tokio::test]
    async fn ready_is_told_soon_after_the_start() {
        struct Tell(tokio::sync::mpsc::UnboundedSender<String>);
        impl Notify for Tell {
            fn notify(&mut self, messages: &[NotifyState<'_>]) {
                for message in messages {
                    let _ = self.0.send(message.to_string());
                }
            }
        }
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        let shared = Shared::new(Snapshot::default());
        let mut dog = Watchdog::new(shared.clone(), Tell(tell));
        let ready = async {
            while let Some(message) = told.recv().await {
                shared.change(|state| state.started = true);
                if message.contains("READY=1") {
                    return;
                }
            }
        };
        let hour = Some(Duration::from_hours(1));
        let all = tokio::time::timeout(Duration::from_mins(5), async {
            tokio::select! {
                () = dog.run(hour) => (),
                () = ready => (),
            }
        });
        assert!(all.await.is_ok(), "not ready within minutes");
    }
}
