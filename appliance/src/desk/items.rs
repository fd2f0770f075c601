//! What can be fetched from the box.

use nephrobox_link::message::{Code, Item, Refused};
use serde::Serialize;

use super::{bench, refuse, scan};
use crate::config::LINE;
use crate::export::{self, Exporter};
use crate::health::{Readiness, readiness};
use crate::output::REPORT_JSON;
use crate::panel::{Panel, View};
use crate::run::{Core, sent_deed};
use crate::snapshot::Snapshot;
use crate::spool::{FAILURE_JSON, Listed, Outcome, State};
use crate::storage::Storage;

/// Most lines of the log in one answer.
const LINES: u32 = 100_000;

/// The bytes of an item.
pub(super) fn get(core: &Core, line: &str, item: &Item) -> Result<Vec<u8>, Refused> {
    match item {
        Item::Status => {
            let state = core.shared.get();
            json(&Status {
                readiness: readiness(&state),
                state,
            })
        }
        Item::Screenshot => {
            let view = View::of(&core.shared.get());
            Panel::screenshot(&view).map_err(|error| refuse::internal(&error))
        }
        Item::Logs { lines } => core
            .logs
            .tail((*lines).min(LINES) as usize)
            .map_err(|error| disk("the log", &error)),
        Item::Audit => core
            .ledger
            .bytes()
            .map_err(|error| disk("the audit log", &error)),
        Item::Scans => {
            let listing = core
                .spool
                .listing()
                .map_err(|error| refuse::spool(&error))?;
            json(&listing.iter().map(Scan::of).collect::<Vec<_>>())
        }
        Item::Results { scan } => results(core, scan),
        Item::Result { scan, name } => result(core, scan, name),
        Item::Exports { scan } => exports(core, scan),
        Item::Export { scan, name } => export(core, line, scan, name),
        Item::Bench { seconds } => json(&bench::run(core, *seconds)?),
    }
}

/// The snapshot, and whether a scan sent now would be accepted.
#[derive(Serialize)]
struct Status {
    #[serde(flatten)]
    state: Snapshot,
    readiness: Readiness,
}

/// A scan in the list. The name of its file stays on the box.
#[derive(Serialize)]
struct Scan<'a> {
    id: String,
    state: &'static str,
    /// Why there is no report.
    reason: Option<&'a str>,
    bytes: u64,
    received_bytes: u64,
    blake3: &'a str,
    source: &'a str,
    fast: bool,
    attempts: u32,
    /// Destinations that have not confirmed.
    missing: &'a [String],
}

impl<'a> Scan<'a> {
    fn of(listed: &'a Listed) -> Self {
        let record = &listed.record;
        let (state, reason) = match &listed.state {
            State::Receiving { .. } => ("receiving", None),
            State::Waiting { .. } => ("waiting", None),
            State::Working { .. } => ("working", None),
            State::Ended(Outcome::Finished) => ("finished", None),
            State::Ended(Outcome::Refused { reason }) => ("refused", Some(reason.as_str())),
            State::Ended(Outcome::SetAside { reason }) => ("set_aside", Some(reason.as_str())),
        };
        let received_bytes = match listed.state {
            State::Receiving { received, .. } => received,
            _ => record.bytes,
        };
        Self {
            id: listed.id.to_string(),
            state,
            reason,
            bytes: record.bytes,
            received_bytes,
            blake3: &record.blake3,
            source: &record.source,
            fast: record.fast,
            attempts: record.attempts,
            missing: &listed.missing,
        }
    }
}

/// A file among results.
#[derive(Serialize)]
struct File<'a> {
    name: &'a str,
    bytes: u64,
}

fn results(core: &Core, scan: &str) -> Result<Vec<u8>, Refused> {
    let paths = core.spool.results(scan::id(scan)?);
    let paths = paths.map_err(|error| refuse::spool(&error))?;
    let mut files = Vec::with_capacity(paths.len());
    for path in &paths {
        let bytes = core.spool.storage().len(path);
        let bytes = bytes.map_err(|error| disk("a result", &error))?;
        let name = path.rsplit('/').next().unwrap_or(path);
        files.push(File {
            name,
            bytes: bytes.unwrap_or(0),
        });
    }
    json(&files)
}

fn result(core: &Core, scan: &str, name: &str) -> Result<Vec<u8>, Refused> {
    let id = scan::id(scan)?;
    let paths = core
        .spool
        .results(id)
        .map_err(|error| refuse::spool(&error))?;
    // Only a name from the list becomes a path.
    let wanted = paths
        .iter()
        .find(|path| path.rsplit('/').next() == Some(name));
    let path = wanted.ok_or_else(|| {
        let words = format!("{id} has no result of this name; ask for the list of its results");
        Refused::new(Code::Unknown, &words)
    })?;
    let bytes = core.spool.storage().read(path, u64::MAX);
    let bytes = bytes.map_err(|error| disk("a result", &error))?;
    if [REPORT_JSON, FAILURE_JSON].contains(&name) {
        let deed = sent_deed(core, id, LINE.into());
        core.ledger
            .note(&deed)
            .map_err(|error| refuse::audit(&error))?;
    }
    Ok(bytes.unwrap_or_default())
}

fn exports(core: &Core, scan: &str) -> Result<Vec<u8>, Refused> {
    let files = exporter(core, scan)?.all();
    let files = files.map_err(|error| refuse::export(&error))?;
    let list: Vec<_> = files
        .iter()
        .map(|file| File {
            name: file.name,
            bytes: file.bytes.len() as u64,
        })
        .collect();
    json(&list)
}

fn export(core: &Core, line: &str, scan: &str, name: &str) -> Result<Vec<u8>, Refused> {
    let file = exporter(core, scan)?.file(name);
    let file = file.map_err(|error| refuse::export(&error))?;
    if file.name == REPORT_JSON {
        let deed = export::deed(line, scan::id(scan)?, &file.bytes);
        core.ledger
            .note(&deed)
            .map_err(|error| refuse::audit(&error))?;
    }
    Ok(file.bytes)
}

fn exporter<'a>(core: &'a Core, scan: &str) -> Result<Exporter<'a>, Refused> {
    let state = &core.config.identity.state;
    let exporter = Exporter::new(&core.spool, scan::id(scan)?, state);
    exporter.map_err(|error| refuse::export(&error))
}

fn json(value: &impl Serialize) -> Result<Vec<u8>, Refused> {
    serde_json::to_vec(value).map_err(|error| refuse::internal(&error))
}

fn disk(what: &str, error: &std::io::Error) -> Refused {
    let words = format!("{what} cannot be read: {error}; check the box's disk");
    Refused::new(Code::Disk, &words)
}
