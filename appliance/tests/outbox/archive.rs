//! By C-STORE: what an archive says of an object may name the patient, and goes no further.

use std::fs;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Instant;

use nephrobox::config::{Config, Recipient};
use nephrobox::outbox::{ArchiveDestination, Outbox, Sent};
use nephrobox::output::{REPORT_JSON, SEGMENTATION_DCM};
use nephrobox_dimse::server::{Desk, Event, Offer, Peer, Refusal, Server, Settings, Sink};
use tempfile::TempDir;

use super::spool;

const SEGMENTATION: &str = "1.2.840.10008.5.1.4.1.1.66.4";

/// Refuses every object with these words.
struct Refuses(&'static str);

impl Desk for Refuses {
    fn begin(&self, _offer: &Offer) -> Result<Box<dyn Sink>, Refusal> {
        Err(Refusal::NotOfItsClass(self.0.into()))
    }

    fn event(&self, _event: Event) {}
}

/// A part 10 file with nothing in it but what it is.
fn object() -> Vec<u8> {
    let mut meta = Vec::new();
    let mut element = |number: u16, vr: &[u8; 2], value: &[u8]| {
        meta.extend([2_u16.to_le_bytes(), number.to_le_bytes()].concat());
        meta.extend(vr);
        if vr == b"OB" {
            meta.extend([0, 0]);
            meta.extend((value.len() as u32).to_le_bytes());
        } else {
            meta.extend((value.len() as u16).to_le_bytes());
        }
        meta.extend(value);
    };
    let even = |uid: &str| [uid.as_bytes(), &[0][..uid.len() % 2]].concat();
    element(1, b"OB", &[0, 1]);
    element(2, b"UI", &even(SEGMENTATION));
    element(3, b"UI", &even("2.25.1"));
    element(0x10, b"UI", &even("1.2.840.10008.1.2.1"));
    element(0x12, b"UI", &even("2.25.2"));
    let mut file = vec![0; 128];
    file.extend(b"DICM");
    file.extend([2, 0, 0, 0]);
    file.extend(b"UL\x04\x00");
    file.extend((meta.len() as u32).to_le_bytes());
    file.extend(meta);
    file.extend([8, 0, 0x60, 0, b'C', b'S', 4, 0, b'S', b'E', b'G', b' ']);
    file
}

/// Shows RQ-62.
#[test]
fn an_archives_comment_goes_into_no_log_and_no_status() {
    let home = TempDir::new().expect("a folder");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut settings = Settings::new("ARCHIVE");
    settings.storage = vec![SEGMENTATION.into()];
    settings.peers = vec![Peer {
        name: "box".into(),
        ae_title: "NEPHROBOX".into(),
        address: None,
    }];
    let refuses = Arc::new(Refuses("no patient MARKER^JOSEPHINE here"));
    let server = Server::start(listener, settings, refuses).expect("it starts");
    let port = server.address().port();
    let text = format!(
        "[[archive]]\naddress = \"127.0.0.1:{port}\"\nae_title = \"ARCHIVE\"\nobjects = [\"segmentation\"]\n"
    );
    let config = Config::parse(&text).expect("right");
    let Some(Recipient::Archive(archive)) = config.recipients().next() else {
        panic!("it is one");
    };
    let to = ArchiveDestination::new("archive", archive, "NEPHROBOX", None);
    let spool = spool(
        home.path(),
        "archive",
        &[(REPORT_JSON, b"{}"), (SEGMENTATION_DCM, &object())],
    );
    let mut outbox = Outbox::new(spool, vec![Box::new(to)]).expect("a known name");

    let sent = outbox.turn(Instant::now()).expect("a disk");
    let [Sent::Failed { reason, .. }] = &sent[..] else {
        panic!("{sent:?}");
    };
    assert!(reason.contains("status A900"), "{reason}");
    for entry in walk(home.path()) {
        let bytes = fs::read(&entry).expect("readable");
        let found = bytes.windows(6).any(|window| window == b"MARKER");
        assert!(!found, "{}", entry.display());
    }
    assert!(!format!("{sent:?}").contains("MARKER"), "{sent:?}");
    server.stop();
}

/// All files below a folder.
fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths
        .flat_map(|path| {
            if path.is_dir() {
                walk(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}
