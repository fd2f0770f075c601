//! `nephrobox run`: the box. Scans in from lines, a folder and the DICOM network, results out, models exchanged, and never a step that a power
//! cut could spoil.
//!
//! ```text
//! lines (desk) ─┐                      ┌─► delivery (outbox)
//! inbox, gather ┴─► spool ─► worker ───┤
//! models (slots) ──────────────┘       └─► news ─► snapshot, log, ledger (audit)
//! ```
//!
//! Each part is a thread or a task that can be killed at any instruction. They meet in [`Core`], and in bells that only save
//! waiting: whoever misses one looks again within a second. A part that ends takes the program with it (`vital`), and systemd
//! starts it again.

mod age;
mod appliance;
mod core;
mod delivery;
mod doing;
mod erase;
mod gather;
mod inbox;
mod ledger;
mod lines;
mod lock;
mod models;
mod network;
mod news;
pub(crate) mod results;
mod still;
mod upkeep;
mod vital;

use std::path::PathBuf;

use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};

pub use self::appliance::Appliance;
pub use self::core::Core;
pub(crate) use self::delivery::sent_deed;
pub(crate) use self::doing::Transfer;
pub(crate) use self::erase::EraseError;
pub(crate) use self::inbox::has_model;
pub(crate) use self::results::written_unix_s;
pub(crate) use self::still::{CONSOLE, StillBox};

use crate::config::command::INSTALLED;
use crate::config::{self, Config};
use crate::failure::{Exit, Failure, told};
use crate::health::watchdog::{Notify, Systemd};
use crate::logs::{self, LogError, Logs};
use crate::panics;

/// Shown after the options.
pub(crate) const EXAMPLES: &str = "\
Examples:
  nephrobox run --config /etc/nephrobox/nephrobox.toml
  nephrobox config example > box.toml && nephrobox run --config box.toml

It runs until it gets SIGTERM or SIGINT and then ends with 0; a scan in work goes back into the queue.
Any other end may be answered by starting it again, as systemd does: nothing that was accepted is lost.
docs/service.md says how it is installed and watched. For research use only.";

/// Folder of the logs, below the state folder.
const LOGS: &str = "logs";

/// Options of `nephrobox run`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The configuration; `nephrobox config example` prints one.
    #[arg(long, value_name = "FILE", default_value = INSTALLED)]
    pub config: PathBuf,
}

/// Runs the box until it is asked to stop.
///
/// # Errors
/// The configuration is wrong, the box cannot start, or one of its parts has ended.
pub fn run(args: &Args) -> Result<(), Failure> {
    let config = config::command::load(&args.config)?;
    let logs = start_logs(&config)?;
    serve(config, logs)
}

/// The same once the log is written to: panics are told of there.
///
/// # Errors
/// The box cannot start, or one of its parts has ended.
pub fn serve(config: Config, logs: Logs) -> Result<(), Failure> {
    panics::log();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2) // what runs on it waits most of the time
        .enable_all()
        .build()
        .map_err(|error| {
            let remedy = "allow the user of nephrobox more threads";
            told(Exit::Service, &error, "the system's threads", remedy)
        })?;
    let ended = runtime.block_on(until_stopped(config, logs));
    // Desks may be in the middle of something; it can be killed there.
    runtime.shutdown_background();
    ended
}

fn start_logs(config: &Config) -> Result<Logs, Failure> {
    let failed = |error: LogError| {
        let place = config.identity.state.join(LOGS);
        told(Exit::Output, &error, place.display(), "start it once")
    };
    let logs = Logs::open(&config.identity.state.join(LOGS)).map_err(failed)?;
    logs::start(&config.log, &logs).map_err(failed)?;
    Ok(logs)
}

async fn until_stopped(config: Config, logs: Logs) -> Result<(), Failure> {
    let mut stops = [SignalKind::terminate(), SignalKind::interrupt()]
        .map(signal)
        .into_iter()
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| {
            told(
                Exit::Service,
                &error,
                "the system's signals",
                "start it again",
            )
        })?;
    let mut box_ = Appliance::start(config, logs).await?;
    let version = env!("CARGO_PKG_VERSION");
    tracing::info!(version, "the box runs; for research use only");
    tokio::select! {
        () = any(&mut stops) => {
            tracing::info!("asked to stop");
            Systemd.notify(&[NotifyState::Stopping]);
            box_.stop();
            Ok(())
        }
        part = box_.ended() => {
            tracing::error!(part, "a part of the box has ended; it has to be started again");
            // Nothing waits for threads that may hang: the process ends, and a start needs nothing from them.
            std::mem::forget(box_);
            Err(Failure::new(
                Exit::Internal,
                format!("the {part} has ended, and the box does not run without it"),
                "nephrobox run",
                "start it again, and report this with the log; it is a fault in nephrobox",
            ))
        }
    }
}

/// Waits for any of several signals.
async fn any(signals: &mut [Signal]) {
    std::future::poll_fn(|context| {
        for signal in &mut *signals {
            if signal.poll_recv(context).is_ready() {
                return std::task::Poll::Ready(());
            }
        }
        std::task::Poll::Pending
    })
    .await;
}
