//! The box on a hospital's network: series in, objects out.

mod hostile;
pub(crate) mod network;
mod peers;
mod secure;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use dicom_core::VR;
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileDicomObject, InMemDicomObject};
use nephrobox_dimse::client::{Association, Context, Object, Remote};
use nephrobox_dimse::server::{Desk, Event, Offer, Peer, Refusal, Server, Settings, Sink};
use nephrobox_link::cable::Quality;
use nephrobox_link::client::Client;
use rustls::ServerConfig;

use crate::phantom::{ORIGIN, SHAPE, SPACING, hu};
use crate::series::{self, SliceFile, order};
use crate::support::{Home, Kind, PATIENCE, flash};

/// Who the phantom is. Nothing of it may be in a log, a metric, a status or a file's name.
pub(crate) const NAME: &str = "Zzyzx^Quentin";
pub(crate) const PATIENT: &str = "PID-7741903";
pub(crate) const ACCESSION: &str = "ACC-5520917";
pub(crate) const STUDY: &str = "2.25.338811";

/// The classes of what the box sends.
pub(crate) const RESULTS: [&str; 4] = [
    uids::SEGMENTATION_STORAGE,
    uids::ENHANCED_SR_STORAGE,
    uids::SECONDARY_CAPTURE_IMAGE_STORAGE,
    uids::ENCAPSULATED_PDF_STORAGE,
];

/// A port that nobody listens on just now.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

/// A box that takes series from `CT1`, with more in its configuration.
pub(crate) struct Clinic {
    pub(crate) home: Home,
    pub(crate) port: u16,
    pub(crate) page: u16,
}

impl Clinic {
    pub(crate) fn running(more: &str) -> (Self, Client) {
        let (port, page) = (free_port(), free_port());
        let config = format!(
            "[status]\nlisten = \"127.0.0.1:{page}\"\n[log]\nlevel = \"debug\"\n[dicom]\nlisten = \"127.0.0.1:{port}\"\n\
             peers = [{{ ae_title = \"CT1\" }}, {{ ae_title = \"ORTHANC\" }}]\nquiet_s = 2\n{more}"
        );
        let mut home = Home::with(Quality::default(), &config);
        home.rig.start().expect("a box");
        let mut client = home.rig.client().expect("a line");
        let package = home.model(1, Kind::Good);
        assert!(flash(&mut client, &package).is_ok_and(|good| good));
        (Self { home, port, page }, client)
    }

    /// What a scanner of that title needs to know.
    pub(crate) fn remote(&self, calling: &str) -> Remote {
        Remote::new("127.0.0.1", self.port, "NEPHROBOX", calling)
    }

    /// Stores files as `CT1` does.
    pub(crate) fn store(&self, files: &[PathBuf]) {
        store(&self.remote("CT1"), files);
    }

    /// The phantom's series, in files.
    pub(crate) fn series(&self, name: &str, slices: &[SliceFile]) -> Vec<PathBuf> {
        let folder = self.home.path(name);
        std::fs::create_dir(&folder).expect("a folder");
        series::save(&folder, slices, series::in_order)
    }
}

/// Stores files, one association for all.
pub(crate) fn store(remote: &Remote, files: &[PathBuf]) {
    let mut objects = open(files);
    let mut contexts: Vec<Context> = objects.iter().map(Object::context).collect();
    contexts.dedup();
    let mut association = Association::open(remote, &contexts).expect("an association");
    for object in &mut objects {
        association.store(object).expect("stored");
    }
    association.release().expect("released");
}

fn open(files: &[PathBuf]) -> Vec<Object<io::BufReader<std::fs::File>>> {
    let open = |path: &PathBuf| Object::open(path).expect("an object");
    files.iter().map(open).collect()
}

/// The phantom of somebody, as a series; `reversed` says which way its images lie.
pub(crate) fn phantom(reversed: [bool; 3], series: &str) -> Vec<SliceFile> {
    named(
        series::of(order(reversed), SHAPE, SPACING, ORIGIN, &hu),
        series,
    )
}

/// Slices as those of somebody.
pub(crate) fn named(mut slices: Vec<SliceFile>, series: &str) -> Vec<SliceFile> {
    for (number, slice) in slices.iter_mut().enumerate() {
        for (tag, vr, text) in [
            (tags::PATIENT_NAME, VR::PN, NAME),
            (tags::PATIENT_ID, VR::LO, PATIENT),
            (tags::PATIENT_BIRTH_DATE, VR::DA, "19560708"),
            (tags::PATIENT_SEX, VR::CS, "M"),
            (tags::ACCESSION_NUMBER, VR::SH, ACCESSION),
            (tags::STUDY_INSTANCE_UID, VR::UI, STUDY),
            (tags::STUDY_DATE, VR::DA, "20261102"),
            (tags::STUDY_TIME, VR::TM, "101500"),
            (tags::STUDY_ID, VR::SH, "1"),
            (tags::REFERRING_PHYSICIAN_NAME, VR::PN, ""),
            (tags::SERIES_INSTANCE_UID, VR::UI, series),
        ] {
            slice.text(tag, vr, text);
        }
        let instance = format!("{series}.{}", number + 1);
        slice.text(tags::SOP_INSTANCE_UID, VR::UI, &instance);
        slice.text(tags::INSTANCE_NUMBER, VR::IS, &(number + 1).to_string());
    }
    slices
}

/// An archive that keeps what it gets in a folder.
pub(crate) struct TestArchive {
    /// Serves until it is dropped.
    _server: Server,
    pub(crate) folder: PathBuf,
    classes: Arc<Mutex<Vec<String>>>,
}

impl TestArchive {
    pub(crate) fn start(port: u16, folder: &Path) -> Self {
        Self::start_with(port, folder, None)
    }

    /// The same over TLS.
    pub(crate) fn start_with(port: u16, folder: &Path, tls: Option<Arc<ServerConfig>>) -> Self {
        std::fs::create_dir_all(folder).expect("a folder");
        let classes = Arc::default();
        let mut settings = Settings::new("ARCHIVE");
        settings.tls = tls;
        settings.storage = RESULTS.map(str::to_owned).into();
        settings.peers = vec![Peer {
            name: "box".into(),
            ae_title: "NEPHROBOX".into(),
            address: None,
        }];
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port)));
        let shelf = Shelf {
            folder: folder.to_owned(),
            classes: Arc::clone(&classes),
        };
        let server = Server::start(listener.expect("the port"), settings, Arc::new(shelf));
        Self {
            _server: server.expect("an archive"),
            folder: folder.to_owned(),
            classes,
        }
    }

    /// The section of the box's configuration.
    pub(crate) fn section(port: u16) -> String {
        format!("[[archive]]\naddress = \"127.0.0.1:{port}\"\nae_title = \"ARCHIVE\"\n")
    }

    /// Classes of the objects that came, in their order.
    pub(crate) fn classes(&self) -> Vec<String> {
        self.classes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Waits until so many objects are there, and reads them.
    pub(crate) fn wait_for(&self, count: usize) -> Vec<FileDicomObject<InMemDicomObject>> {
        let until = Instant::now() + PATIENCE;
        while self.classes().len() < count {
            assert!(Instant::now() < until, "{:?} came", self.classes());
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        let names = 0..self.classes().len();
        let read = |at| dicom_object::open_file(self.folder.join(format!("{at}.dcm")));
        names.map(|at| read(at).expect("an object")).collect()
    }
}

struct Shelf {
    folder: PathBuf,
    classes: Arc<Mutex<Vec<String>>>,
}

impl Desk for Shelf {
    fn begin(&self, offer: &Offer) -> Result<Box<dyn Sink>, Refusal> {
        Ok(Box::new(Kept {
            bytes: Vec::new(),
            class: offer.sop_class_uid.clone(),
            folder: self.folder.clone(),
            classes: Arc::clone(&self.classes),
        }))
    }

    fn event(&self, _event: Event) {}
}

struct Kept {
    bytes: Vec<u8>,
    class: String,
    folder: PathBuf,
    classes: Arc<Mutex<Vec<String>>>,
}

impl Sink for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<(), Refusal> {
        let mut classes = self.classes.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.folder.join(format!("{}.dcm", classes.len()));
        std::fs::write(path, &self.bytes).expect("written");
        classes.push(self.class.clone());
        Ok(())
    }
}

/// Every file below a folder.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files
}
