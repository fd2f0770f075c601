//! Results on their way out of the box: what goes over the wire, and what each answer means.

use std::path::Path;
use std::sync::Arc;

use nephrobox::output::{DOCUMENT_DCM, MEASUREMENTS_DCM, REPORT_JSON, SEGMENTATION_DCM};
use nephrobox::spool::{Begin, Incoming, Settings, Spool};
use nephrobox::storage::{Folder, Storage};

mod archive;
mod dicomweb;

const FILES: [(&str, &[u8]); 4] = [
    (REPORT_JSON, b"{}"),
    (SEGMENTATION_DCM, b"outlines\r\n--and some more"),
    (MEASUREMENTS_DCM, b"numbers"),
    (DOCUMENT_DCM, b"%PDF within"),
];

/// A queue with one finished scan whose results are these files.
fn spool(home: &Path, name: &str, files: &[(&str, &[u8])]) -> Arc<Spool<Folder>> {
    let storage = Folder::open(&home.join("spool")).expect("a folder");
    let settings = Settings {
        destinations: [name.to_owned()].into(),
        ..Settings::default()
    };
    let spool = Spool::open(storage, settings).expect("a queue").0;
    let scan = b"a scan";
    let incoming = Incoming {
        bytes: scan.len() as u64,
        blake3: blake3::hash(scan),
        file_name: "scan".into(),
        source: "test".into(),
        fast: false,
    };
    let Begin::Receive { id, .. } = spool.begin(&incoming).expect("a disk") else {
        panic!("it is new");
    };
    spool.write(id, 0, scan).expect("a disk");
    spool.finish(id).expect("a disk");
    let work = spool.next().expect("a disk").expect("work");
    std::fs::create_dir_all(&work.results).expect("a folder");
    for (name, bytes) in files {
        std::fs::write(work.results.join(name), bytes).expect("written");
    }
    spool.finished(id).expect("a disk");
    assert!(spool.storage().list("done").expect("a disk").len() == 1);
    Arc::new(spool)
}
