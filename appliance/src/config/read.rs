//! From TOML to a [`Config`]: section by section, then what only several keys together can get wrong.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use nephrobox_engine::device;
use nephrobox_shared::package::KeyError;
use toml::de::DeTable;

use super::network::{archive, destination, dicom, folder_of, results, web};
use super::reader::{Problem, Problems, Table, overlap};
use super::{
    Compute, Config, Folder, Identity, Log, LogFormat, Model, NAME, Panel, PanelTarget, Privacy,
    RECIPIENTS, Serial, Spool, Status, Tcp, TrustedKey,
};

const GB: u64 = 1_000_000_000;
const BAUDS: std::ops::Range<u64> = 1200..20_000_001;

pub(super) fn config(text: &str) -> Result<Config, Vec<Problem>> {
    let mut problems = Problems::new(text);
    let (parsed, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        problems.add(error.span(), error.message(), "correct the TOML here");
    }
    let mut root = Table::root(parsed.get_ref());
    let p = &mut problems;
    let identity = section(&mut root, "box", p, identity);
    let serial = optional(&mut root, "serial", p, serial);
    let tcp = optional(&mut root, "tcp", p, tcp);
    let folder = optional(&mut root, "folder", p, |table, p| {
        folder(table, &identity.state, p)
    });
    let dicom = optional(&mut root, "dicom", p, dicom);
    let spool = section(&mut root, "spool", p, spool);
    let destinations = elements(&mut root, "destination", p, destination);
    let archives = elements(&mut root, "archive", p, archive);
    let dicomweb = elements(&mut root, "dicomweb", p, web);
    let results = section(&mut root, "results", p, results);
    let model = section(&mut root, "model", p, model);
    let compute = section(&mut root, "compute", p, compute);
    let panel = section(&mut root, "panel", p, |table, p| Panel {
        targets: elements(table, "targets", p, target),
    });
    let status = optional(&mut root, "status", p, status);
    let privacy = section(&mut root, "privacy", p, privacy);
    let log = section(&mut root, "log", p, log);
    let listens = [
        ("tcp.listen", tcp.as_ref().map(|tcp| tcp.listen)),
        ("dicom.listen", dicom.as_ref().map(|dicom| dicom.listen)),
        ("status.listen", status.as_ref().map(|status| status.listen)),
    ];
    ports(&listens, p);
    if let Some(folder) = &folder {
        for path in destinations
            .iter()
            .filter_map(folder_of)
            .filter(|path| overlap(path, &folder.watch))
        {
            let what = format!(
                "results go to {}, and folder.watch looks there for scans",
                path.display()
            );
            p.add(None, what, "keep the two folders apart");
        }
    }
    root.finish(p);
    let mut found = problems.found;
    if found.is_empty() {
        let config = Config {
            identity,
            serial,
            tcp,
            folder,
            dicom,
            spool,
            destinations,
            archives,
            dicomweb,
            results,
            model,
            compute,
            panel,
            status,
            privacy,
            log,
        };
        match recipients(&config) {
            None => return Ok(config),
            Some(problem) => found.push(problem),
        }
    }
    found.sort_by_key(|problem| problem.line.unwrap_or(usize::MAX));
    Err(found)
}

/// Refuses two sections that listen on the same port, one of them at all addresses or both at the same.
fn ports(listens: &[(&str, Option<SocketAddr>)], p: &mut Problems<'_>) {
    let mut before: Vec<(&str, SocketAddr)> = Vec::new();
    for &(name, address) in listens {
        let Some(address) = address else { continue };
        let same = |other: &SocketAddr| {
            let everywhere = other.ip().is_unspecified() || address.ip().is_unspecified();
            other.port() == address.port() && (everywhere || other.ip() == address.ip())
        };
        for (other, _) in before.iter().filter(|(_, other)| same(other)) {
            p.add(
                None,
                format!("{other} and {name} are the same port"),
                "give them different ports",
            );
        }
        before.push((name, address));
    }
}

/// What is wrong with those who get results, taken together: two of one name, whom nobody could tell apart, and names beyond what queue and
/// audit log hold of them.
fn recipients(config: &Config) -> Option<Problem> {
    let problem = |what, remedy: &str| {
        Some(Problem {
            line: None,
            what,
            remedy: remedy.into(),
        })
    };
    let mut names = BTreeSet::new();
    for name in config.recipients().map(|to| to.name()) {
        if name.len() > NAME {
            let what = format!(
                "the name of a recipient has {} bytes, and {NAME} are the most: {name}",
                name.len()
            );
            return problem(what, "give a shorter path or address");
        }
        if name.chars().any(char::is_control) {
            let what = format!("the name of a recipient has control characters: {name:?}");
            return problem(what, "remove them");
        }
        if names.contains(&name) {
            return problem(format!("results go to {name} twice"), "remove one");
        }
        names.insert(name);
    }
    if names.len() > RECIPIENTS {
        let what = format!(
            "results go to {} recipients, and {RECIPIENTS} are the most",
            names.len()
        );
        return problem(what, "let an archive pass them on");
    }
    None
}

/// A section that has defaults for everything.
fn section<'a, 'i, T>(
    root: &mut Table<'a, 'i>,
    name: &'static str,
    p: &mut Problems<'_>,
    read: impl FnOnce(&mut Table<'a, 'i>, &mut Problems<'_>) -> T,
) -> T {
    let value = root.raw(name);
    let mut table = Table::new(name, value, p);
    let value = read(&mut table, p);
    table.finish(p);
    value
}

/// A section that switches something on.
fn optional<'a, 'i, T>(
    root: &mut Table<'a, 'i>,
    name: &'static str,
    p: &mut Problems<'_>,
    read: impl FnOnce(&mut Table<'a, 'i>, &mut Problems<'_>) -> Option<T>,
) -> Option<T> {
    root.raw(name)?;
    section(root, name, p, read)
}

/// The tables of a list.
pub(super) fn elements<'a, 'i, T>(
    parent: &mut Table<'a, 'i>,
    key: &'static str,
    p: &mut Problems<'_>,
    mut read: impl FnMut(&mut Table<'a, 'i>, &mut Problems<'_>) -> Option<T>,
) -> Vec<T> {
    let list = parent.list(key, p);
    let mut read_one = |(name, value)| {
        let mut table = Table::new(name, Some(value), p);
        let value = read(&mut table, p);
        table.finish(p);
        value
    };
    list.into_iter().filter_map(&mut read_one).collect()
}

fn identity(table: &mut Table<'_, '_>, p: &mut Problems<'_>) -> Identity {
    let name = table
        .text("name", p)
        .unwrap_or_else(|| "nephrobox".to_owned());
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
        p.add(
            table.at("name"),
            format!("box.name is {name:?}"),
            "give 1 to 64 letters, digits, - and _",
        );
    }
    let state = table
        .path("state", p)
        .unwrap_or_else(|| PathBuf::from("/var/lib/nephrobox"));
    let silent = table.switch("silent", p).unwrap_or(false);
    Identity {
        name,
        state,
        silent,
    }
}

fn serial(table: &mut Table<'_, '_>, p: &mut Problems<'_>) -> Option<Serial> {
    let device = device_path(table, p);
    let baud = table.number("baud", BAUDS, p).unwrap_or(115_200);
    let max_baud = table.number("max_baud", BAUDS, p).unwrap_or(baud);
    if max_baud < baud {
        let what = format!("serial.max_baud ({max_baud}) is below serial.baud ({baud})");
        p.add(table.at("max_baud"), what, "raise max_baud or lower baud");
    }
    Some(Serial {
        device: device?,
        baud: baud as u32,
        max_baud: max_baud as u32,
    })
}

fn tcp(table: &mut Table<'_, '_>, p: &mut Problems<'_>) -> Option<Tcp> {
    let listen = address(table, p);
    let [certificate, key, client_ca] = ["certificate", "key", "client_ca"].map(|name| {
        let path = table.path(name, p);
        table.need(name, path, p)
    });
    Some(Tcp {
        listen: listen?,
        certificate: certificate?,
        key: key?,
        client_ca: client_ca?,
    })
}

fn folder(table: &mut Table<'_, '_>, state: &Path, p: &mut Problems<'_>) -> Option<Folder> {
    let watch = table.path("watch", p);
    let watch = table.need("watch", watch, p);
    let quiet_s = table.number("quiet_s", 1..3601, p).unwrap_or(10);
    let watch = watch?;
    if overlap(&watch, state) {
        let what = format!(
            "folder.watch ({}) and box.state ({}) overlap",
            watch.display(),
            state.display()
        );
        p.add(
            table.at("watch"),
            what,
            "watch a folder outside of the box's own",
        );
    }
    Some(Folder { watch, quiet_s })
}

fn spool(table: &mut Table<'_, '_>, p: &mut Problems<'_>) -> Spool {
    let max_bytes = table.size("max_bytes", p).unwrap_or(20 * GB);
    let keep_free_bytes = table.size("keep_free_bytes", p).unwrap_or(GB);
    let scan = table.size("max_scan_bytes", p);
    // A small spool without a word on scans means scans up to all of it.
    let max_scan_bytes = scan.unwrap_or((4 * GB).min(max_bytes));
    if max_bytes == 0 {
        p.add(
            table.at("max_bytes"),
            "spool.max_bytes is 0: no scan could be accepted",
            "give room, such as \"20 GB\"",
        );
    }
    if max_scan_bytes == 0 && scan.is_some() {
        p.add(
            table.at("max_scan_bytes"),
            "spool.max_scan_bytes is 0: no scan could be accepted",
            "give a size above 0",
        );
    }
    if max_scan_bytes > max_bytes {
        let what = format!(
            "spool.max_scan_bytes ({max_scan_bytes}) is above spool.max_bytes ({max_bytes})"
        );
        p.add(
            table.at("max_scan_bytes"),
            what,
            "raise max_bytes or lower max_scan_bytes",
        );
    }
    Spool {
        max_bytes,
        keep_free_bytes,
        max_scan_bytes,
    }
}

fn model(table: &mut Table<'_, '_>, p: &mut Problems<'_>) -> Model {
    let allow_without_self_test = table.switch("allow_without_self_test", p).unwrap_or(false);
    let trusted_keys: Vec<TrustedKey> = elements(table, "trusted_keys", p, |table, p| {
        let key = table.text("key", p);
        let key = table.need("key", key, p);
        let retired = table.switch("retired", p).unwrap_or(false);
        match key?.parse() {
            Ok(key) => Some(TrustedKey { key, retired }),
            Err(wrong) => {
                let wrong = KeyError::to_string(&wrong);
                let (what, remedy) = wrong.split_once("; ").unwrap_or((&wrong, "copy it again"));
                let what = format!("{} is unusable: {what}", table.full("key"));
                p.add(table.at("key"), what, remedy);
                None
            }
        }
    });
    for (index, trusted) in trusted_keys.iter().enumerate() {
        if trusted_keys[..index]
            .iter()
            .any(|before| before.key == trusted.key)
        {
            p.add(
                table.at("trusted_keys"),
                format!("model.trusted_keys[{index}] stands there twice"),
                "remove one",
            );
        }
    }
    Model {
        allow_without_self_test,
        trusted_keys,
    }
}

fn compute(table: &mut Table<'_, '_>, p: &mut Problems<'_>) -> Compute {
    Compute {
        device: table
            .word("device", &device::NAMES, p)
            .unwrap_or_else(|| "auto".to_owned()),
        threads: table
            .number("threads", 1..1025, p)
            .map(|threads| threads as u16),
        fast: table.switch("fast", p).unwrap_or(false),
        arithmetic: table
            .word("arithmetic", &["auto", "f32", "f16"], p)
            .unwrap_or_else(|| "auto".to_owned()),
    }
}

fn target(table: &mut Table<'_, '_>, p: &mut Problems<'_>) -> Option<PanelTarget> {
    let kind = table.word("kind", &["framebuffer", "png"], p);
    let kind = table.need("kind", kind, p);
    if kind? == "framebuffer" {
        let device = device_path(table, p)?;
        return Some(PanelTarget::Framebuffer { device });
    }
    let path = table.path("path", p);
    let path = table.need("path", path, p)?;
    Some(PanelTarget::Png { path })
}

fn status(table: &mut Table<'_, '_>, p: &mut Problems<'_>) -> Option<Status> {
    let show_identity = table.switch("show_identity", p).unwrap_or(true);
    let listen = address(table, p)?;
    if !listen.ip().is_loopback() {
        let what = format!("status.listen is {listen}, which others can reach");
        p.add(
            table.at("listen"),
            what,
            "give an address of this machine alone, such as \"127.0.0.1:9180\"",
        );
    }
    Some(Status {
        listen,
        show_identity,
    })
}

fn privacy(table: &mut Table<'_, '_>, p: &mut Problems<'_>) -> Privacy {
    let days = table.number("retention_days", 1..3651, p);
    Privacy {
        retention_days: days.map(|days| days as u16),
    }
}

fn log(table: &mut Table<'_, '_>, p: &mut Problems<'_>) -> Log {
    let level = table.word("level", &["error", "warn", "info", "debug", "trace"], p);
    let format = match table.word("format", &["text", "json"], p).as_deref() {
        Some("json") => LogFormat::Json,
        _ => LogFormat::Text,
    };
    Log {
        level: level.unwrap_or_else(|| "info".to_owned()),
        format,
    }
}

fn device_path(table: &mut Table<'_, '_>, p: &mut Problems<'_>) -> Option<PathBuf> {
    let device = table.path("device", p);
    let device = table.need("device", device, p)?;
    if !device.starts_with("/dev") {
        p.add(
            table.at("device"),
            format!("{} is not below /dev", table.full("device")),
            "name a device file",
        );
    }
    Some(device)
}

pub(super) fn address(table: &mut Table<'_, '_>, p: &mut Problems<'_>) -> Option<SocketAddr> {
    let text = table.text("listen", p);
    let text = table.need("listen", text, p)?;
    match text.parse::<SocketAddr>() {
        Ok(address) if address.port() != 0 => Some(address),
        _ => {
            let what = format!("{} is {text:?}", table.full("listen"));
            p.add(
                table.at("listen"),
                what,
                "give address and port, such as \"127.0.0.1:9180\"",
            );
            None
        }
    }
}
