//! The panel's own loop.

use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};

use super::{Panel, PanelError, TargetError, View};
use crate::config::PanelTarget;
use crate::snapshot::Shared;

/// The least time between two pictures. More would not be seen, and takes time from the network.
const FRAME: Duration = Duration::from_millis(200);
/// When a target that failed is tried again if nothing changes before.
const RETRY: Duration = Duration::from_secs(5);

/// Shows the box's state on all targets, at most five times a second and only when it changes, until every other handle on the
/// state is gone. Drop the future to end it before.
///
/// A target that fails is told of in the log and tried again. Drawing and writing happen on a thread for blocking work.
///
/// # Errors
/// When nothing can be drawn at all.
pub async fn run(shared: Shared, targets: Vec<PanelTarget>) -> Result<(), PanelError> {
    let mut watch = shared.watch();
    drop(shared);
    if targets.is_empty() {
        while watch.changed().await.is_ok() {}
        return Ok(());
    }
    let mut panel = Panel::open(&targets)?;
    let mut told = Vec::new();
    loop {
        let began = Instant::now();
        let view = View::of(&watch.borrow_and_update());
        let shown = tokio::task::spawn_blocking(move || {
            let errors = panel.show(&view);
            (panel, errors)
        });
        let failing = match shown.await {
            Ok((back, errors)) => {
                panel = back;
                tell(&mut told, &errors);
                !errors.is_empty()
            }
            Err(error) => {
                tracing::error!(%error, "the panel could not be drawn");
                panel = Panel::open(&targets)?;
                true
            }
        };
        sleep_until(began + FRAME).await;
        let over = if failing {
            matches!(timeout(RETRY, watch.changed()).await, Ok(Err(_)))
        } else {
            watch.changed().await.is_err()
        };
        if over {
            return Ok(());
        }
    }
}

/// Logs what is new, so that a screen that is switched off does not fill the log.
fn tell(told: &mut Vec<String>, errors: &[TargetError]) {
    let now: Vec<String> = errors.iter().map(ToString::to_string).collect();
    for error in now.iter().filter(|error| !told.contains(error)) {
        tracing::warn!("{error}");
    }
    if now.is_empty() && !told.is_empty() {
        tracing::info!("the panel is shown on all targets again");
    }
    *told = now;
}

#[cfg(test)]
mod tests;
