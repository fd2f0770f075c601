//! A queue with one study of every kind, its results made by the real program, and a server that shows it.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use nephrobox::health::{self, Shelf};
use nephrobox::segment;
use nephrobox::snapshot::{Shared, Snapshot};
use nephrobox::spool::{Begin, Incoming, ScanId, Settings, Spool};
use nephrobox::storage::Folder;
use nephrobox_shared::report::{Report, Subject, Warning, WarningCode};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::nifti::{Declared, Order};
use crate::support::{args, raw_scan, save_model};

/// Whose the first study is; a name that would be markup.
pub(crate) const NAME: &str = "<b>Doe</b>^Jane";
/// Their ID.
pub(crate) const PATIENT: &str = "PID-4711";

/// The queue and the folder it lies in.
pub(crate) struct Studies {
    pub(crate) spool: Arc<Spool<Folder>>,
    home: TempDir,
}

impl Studies {
    /// A queue with nothing in it.
    pub(crate) fn new() -> Self {
        let home = TempDir::new().expect("a folder");
        let storage = Folder::open(&home.path().join("spool")).expect("a folder");
        let (spool, _) = Spool::open(storage, Settings::default()).expect("a queue");
        Self {
            spool: Arc::new(spool),
            home,
        }
    }

    /// Accepts a scan of this number.
    pub(crate) fn accept(&self, number: usize) -> ScanId {
        let bytes = format!("scan {number}").into_bytes();
        let Begin::Receive { id, .. } = self.announce(&bytes) else {
            panic!("scan {number} is not taken");
        };
        self.spool.write(id, 0, &bytes).expect("written");
        self.spool.finish(id).expect("accepted")
    }

    /// Announces a scan.
    pub(crate) fn announce(&self, bytes: &[u8]) -> Begin {
        let incoming = Incoming {
            bytes: bytes.len() as u64,
            blake3: blake3::hash(bytes),
            file_name: "Doe, Jane.nii".into(),
            source: "serial".into(),
            fast: false,
        };
        self.spool.begin(&incoming).expect("a disk")
    }

    /// Works on the next scan: its results are those of the phantom, its report changed as wanted.
    pub(crate) fn report(&self, change: impl FnOnce(&mut Report)) -> ScanId {
        let work = self.spool.next().expect("a disk").expect("a scan waits");
        let scan = raw_scan(Order::KITS, Declared::Sform).save(self.home.path().join("ct.nii.gz"));
        let model = save_model(self.home.path());
        segment::run(&args(&scan, &model, &work.results), &mut Vec::new()).expect("segmented");
        let path = work.results.join("report.json");
        let mut report: Report =
            serde_json::from_slice(&fs::read(&path).expect("a report")).expect("a report");
        change(&mut report);
        fs::write(path, serde_json::to_vec(&report).expect("JSON")).expect("written");
        self.spool.finished(work.id).expect("finished");
        work.id
    }

    /// Where a file of a finished study lies.
    pub(crate) fn result(&self, id: ScanId, name: &str) -> std::path::PathBuf {
        let folder = self.spool.results_folder(id).expect("it has ended");
        self.home.path().join("spool").join(folder).join(name)
    }

    /// Serves it on a free port.
    pub(crate) async fn serve(&self, show_identity: bool) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let shared = Shared::new(Snapshot {
            name: "bedside".into(),
            started: true,
            ..Snapshot::default()
        });
        let shelf = Shelf::new(Arc::clone(&self.spool), show_identity);
        tokio::spawn(health::serve(listener, shared, shelf));
        address
    }
}

/// Whose the first study is.
pub(crate) fn subject() -> Subject {
    Subject {
        patient_name: NAME.into(),
        patient_id: PATIENT.into(),
        birth_date: "19500417".into(),
        sex: "F".into(),
        study_date: "20260301".into(),
        study_description: "CT abdomen".into(),
        ..Subject::default()
    }
}

/// One study of every kind: reported with flags, refused, set aside, reported and damaged since, waiting, being received.
pub(crate) fn of_every_kind() -> (Studies, [ScanId; 6]) {
    let studies = Studies::new();
    let reported = studies.accept(0);
    studies.report(|report| {
        report.subject = Some(subject());
        let serious = "The values are hardly HU & <not> a CT.";
        let note = Warning::new(WarningCode::AnisotropicPixels, "Pixels are not square.");
        let serious = Warning::new(WarningCode::ImplausibleHu, serious);
        // The page sorts by itself.
        report.warnings.insert(0, note);
        report.warnings.push(serious);
    });
    let refused = studies.accept(1);
    studies.spool.next().expect("a disk");
    studies
        .spool
        .failed(refused, "All voxels are 0.")
        .expect("noted");
    let aside = studies.accept(2);
    for _ in 0..2 {
        studies.spool.next().expect("a disk");
        studies.spool.died(aside, "It broke off.").expect("noted");
    }
    let damaged = studies.accept(3);
    studies.report(|_| ());
    fs::write(studies.result(damaged, "report.json"), "{ half a rep").expect("written");
    let waiting = studies.accept(4);
    let Begin::Receive { id: receiving, .. } = studies.announce(b"a scan on its way") else {
        panic!("it is not taken");
    };
    studies
        .spool
        .write(receiving, 0, b"a scan")
        .expect("written");
    let ids = [reported, refused, aside, damaged, waiting, receiving];
    (studies, ids)
}

/// Asks for a path, and returns head and body of the answer.
pub(crate) async fn ask(address: SocketAddr, path: &str) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("an answer");
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let body = answer.split_off(end.expect("a head") + 4);
    (String::from_utf8_lossy(&answer).into_owned(), body)
}

/// The same, for a page.
pub(crate) async fn page(address: SocketAddr, path: &str) -> String {
    let (head, body) = ask(address, path).await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{path}: {head}");
    String::from_utf8(body).expect("text")
}

/// Where a picture for whoever looks at the tests' pages goes; none are kept unless a folder is named.
pub(crate) fn kept(name: &str, folder: &Path) -> std::path::PathBuf {
    std::env::var_os("NEPHROBOX_SCREENSHOTS")
        .map_or_else(|| folder.join(name), |folder| Path::new(&folder).join(name))
}
