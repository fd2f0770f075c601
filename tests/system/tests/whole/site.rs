//! A box with every intake that there is, and those who send to it.

use std::fs::{self, File};
use std::io::{BufReader, Cursor};
use std::path::{Path, PathBuf};
use std::process::Command;

use dicom_core::VR;
use dicom_dictionary_std::tags;
use nephrobox_dimse::client::{Association, Object, Remote};
use nephrobox_link::cable::Quality;
use nephrobox_link::client::{Client, LinkError, Options};
use nephrobox_link::endpoint::Endpoint;
use nephrobox_link::tls::TlsFiles;
use nephrobox_system::Exe;
use tempfile::TempDir;

use crate::certificates::certificates;
use crate::clinic::{free_port, phantom};
use crate::series;
use crate::support::{Home, Kind, PATIENCE, flash, scan_bytes, scan_object};

/// How a scan gets into the box.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    /// Over the serial cable.
    Cable,
    /// Over the network, TLS with certificates on both sides.
    Tls,
    /// As a file in the watched folder.
    Folder,
    /// As a DICOM series, slice by slice.
    Dicom,
}

/// A box with a cable, a TLS port, a watched folder and a DICOM port, whose results go into a folder.
pub(crate) struct Site {
    pub(crate) home: Home,
    pub(crate) model: PathBuf,
    tool: TlsFiles,
    tls_port: u16,
    dicom_port: u16,
    /// The last, so that they are removed after the box has ended.
    folders: TempDir,
}

impl Site {
    /// One that runs the small model. `spool` is what stands in that section, `more` are sections.
    pub(crate) fn running(spool: &str, more: &str) -> (Self, Client) {
        Self::through(spool, more, Ok)
    }

    /// The same, with the program that stands for the box's made of the real one.
    pub(crate) fn through(
        spool: &str,
        more: &str,
        program: impl FnOnce(PathBuf) -> std::io::Result<PathBuf>,
    ) -> (Self, Client) {
        let folders = TempDir::new().expect("a folder");
        let at = |name: &str| {
            let path = folders.path().join(name);
            fs::create_dir(&path).expect("a folder");
            path
        };
        let (inbox, share, keys) = (at("inbox"), at("share"), at("keys"));
        let (box_, tool) = certificates(&keys);
        let (tls_port, dicom_port) = (free_port(), free_port());
        let config = format!(
            "{spool}\n[folder]\nwatch = \"{}\"\nquiet_s = 1\n[[destination]]\nkind = \"folder\"\npath = \"{}\"\n\
             [tcp]\nlisten = \"127.0.0.1:{tls_port}\"\ncertificate = \"{}\"\nkey = \"{}\"\nclient_ca = \"{}\"\n\
             [dicom]\nlisten = \"127.0.0.1:{dicom_port}\"\npeers = [{{ ae_title = \"CT1\" }}]\nquiet_s = 60\n{more}",
            inbox.display(),
            share.display(),
            box_.certificate.display(),
            box_.key.display(),
            box_.ca.display(),
        );
        let exe = program(env!("CARGO_BIN_EXE_nephrobox-demo").into()).expect("a program");
        let mut home = Home::of(Exe(exe), Quality::default(), &config);
        home.rig.start().expect("a box");
        let mut client = home.rig.client().expect("a line");
        let model = home.model(1, Kind::Good);
        assert!(flash(&mut client, &model).is_ok_and(|good| good));
        let site = Self {
            home,
            model,
            tool,
            tls_port,
            dicom_port,
            folders,
        };
        (site, client)
    }

    /// Where results arrive.
    pub(crate) fn share(&self) -> PathBuf {
        self.folders.path().join("share")
    }

    /// The watched folder.
    pub(crate) fn inbox(&self) -> PathBuf {
        self.folders.path().join("inbox")
    }

    /// A client over the network, or why there is none.
    pub(crate) fn tls(&self) -> Result<Client, LinkError> {
        let options = Options {
            patience: PATIENCE,
            tls: Some(self.tool.clone()),
            ..Options::default()
        };
        let endpoint = Endpoint::Tcp(format!("localhost:{}", self.tls_port));
        Client::connect(&endpoint, &options)
    }

    /// The box as a scanner of that title sees it.
    pub(crate) fn remote(&self) -> Remote {
        Remote::new("127.0.0.1", self.dicom_port, "NEPHROBOX", "CT1")
    }

    /// Puts a scan into the watched folder in one step.
    pub(crate) fn drop_in(&self, number: u32) {
        let (beside, there) = (
            self.inbox().join(format!(".{number}.partial")),
            self.inbox().join(format!("{number}.nii")),
        );
        fs::write(&beside, scan_bytes(number)).expect("written");
        fs::rename(beside, there).expect("renamed");
    }

    /// Files of the phantom's series of patient `number`.
    pub(crate) fn series(&self, number: u32) -> PathBuf {
        let mut slices = phantom([false; 3], &format!("2.25.9900{number}"));
        for slice in &mut slices {
            slice.text(tags::PATIENT_ID, VR::LO, &patient(number));
            let count = crate::phantom::SHAPE[0].to_string();
            slice.text(tags::IMAGES_IN_ACQUISITION, VR::IS, &count);
        }
        let folder = self.folders.path().join(format!("series-{number}"));
        fs::create_dir(&folder).expect("a folder");
        series::save(&folder, &slices, series::in_order);
        folder
    }

    /// What the box makes of a scan when it is asked for that one alone: the label map's bytes.
    pub(crate) fn labels_of(&self, scan: &Path) -> Vec<u8> {
        let out = TempDir::new().expect("a folder");
        let results = out.path().join("results");
        let done = Command::new(env!("CARGO_BIN_EXE_nephrobox-demo"))
            .args(["box", "segment", "--device", "cpu", "--model"])
            .arg(&self.model)
            .arg("--out")
            .arg(&results)
            .arg(scan)
            .output()
            .expect("it runs");
        assert!(done.status.success(), "{done:?}");
        fs::read(results.join("labels.nii.gz")).expect("a label map")
    }
}

/// The patient that stands for a number.
pub(crate) fn patient(number: u32) -> String {
    format!("SOAK-{number:06}")
}

/// The end of the id of scan `number` where it came as a file: what its hash begins with.
pub(crate) fn mark(number: u32) -> String {
    blake3::hash(&scan_bytes(number)).to_hex()[..8].to_owned()
}

/// Sends scan `number` over a line.
pub(crate) fn put(client: &mut Client, number: u32) -> Result<String, LinkError> {
    let scan = scan_bytes(number);
    let id = client.put(&scan_object(), &mut Cursor::new(&scan), &mut |_| {})?;
    Ok(id.as_str().to_owned())
}

/// The objects that lie in a folder, as their names run.
pub(crate) fn objects(folder: &Path) -> Vec<Object<BufReader<File>>> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    let open = |path: &PathBuf| Object::open(path).expect("an object");
    paths.iter().map(open).collect()
}

/// Stores every file of a folder in one association, or says why not.
pub(crate) fn store_all(remote: &Remote, folder: &Path) -> Result<(), String> {
    let mut objects = objects(folder);
    let contexts = [objects[0].context()];
    let opened = Association::open(remote, &contexts);
    let mut association = opened.map_err(|error| error.to_string())?;
    for object in &mut objects {
        let stored = association.store(object);
        stored.map_err(|error| error.to_string())?;
    }
    association.release().map_err(|error| error.to_string())
}
