//! The folders of a box that runs in a test, the key whose models it takes, and small models signed with it.

#![allow(dead_code)] // each test program uses its own part

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nephrobox::config::Config;
use nephrobox::health::readiness;
use nephrobox::logs::Logs;
use nephrobox::run::Appliance;
use nephrobox::slots::{self, Begin, Slots};
use nephrobox::snapshot::Snapshot;
use nephrobox::storage::Folder;
use nephrobox_engine::package::Model;
use nephrobox_shared::package::{SecretKey, SelfTest, signing};
use tempfile::TempDir;

use crate::support::nifti::{Declared, Order};
use crate::support::{SHAPE, hu, label, raw_scan, save_model};

/// Long enough for a scan on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(5);

/// A box's folders and the key whose models it takes.
pub(crate) struct Home {
    folder: TempDir,
    pub(crate) key: SecretKey,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self {
            folder: TempDir::new().expect("a folder"),
            key: SecretKey::from_seed(&[7; 32]),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn config(&self) -> Config {
        self.config_of(&self.share())
    }

    /// Section of a folder that gets results.
    fn share(&self) -> String {
        let path = self.path("share");
        format!(
            "[[destination]]\nkind = \"folder\"\npath = \"{}\"\n",
            path.display()
        )
    }

    /// The box's configuration with these sections more.
    pub(crate) fn config_of(&self, more: &str) -> Config {
        Config::parse(&self.text(more)).expect("a configuration")
    }

    /// The same as text.
    pub(crate) fn text(&self, more: &str) -> String {
        format!(
            "[box]\nname = \"bedside\"\nstate = \"{}\"\n\
             [folder]\nwatch = \"{}\"\nquiet_s = 1\n\
             [spool]\nmax_bytes = \"400 MB\"\nmax_scan_bytes = \"50 MB\"\nkeep_free_bytes = 0\n\
             [model]\ntrusted_keys = [{{ key = \"{}\" }}]\n\
             [panel]\ntargets = [{{ kind = \"png\", path = \"{}\" }}]\n\
             [compute]\ndevice = \"cpu\"\n{more}",
            self.path("state").display(),
            self.path("inbox").display(),
            self.key.public(),
            self.path("panel.png").display(),
        )
    }

    pub(crate) async fn start(&self) -> Appliance {
        self.start_with(&self.share()).await
    }

    /// Starts a box with these destinations.
    pub(crate) async fn start_with(&self, destinations: &str) -> Appliance {
        let logs = Logs::open(&self.path("state/logs")).expect("logs");
        Appliance::start(self.config_of(destinations), logs)
            .await
            .expect("the box starts")
    }

    /// Puts a package into a slot of a box that does not run; it is tried when the box starts.
    pub(crate) fn install(&self, package: &Path) {
        let installed = self.slots().install_file(package, None).expect("a disk");
        assert!(
            matches!(installed, Begin::Have { in_use: false, .. }),
            "{installed:?}"
        );
    }

    /// The slots of a box that does not run.
    pub(crate) fn slots(&self) -> Slots<Folder> {
        let storage = Folder::open(&self.path("state/slots")).expect("a folder");
        let settings = slots::Settings::from(&self.config().model);
        Slots::open(storage, settings).expect("slots").0
    }

    /// The demo model, signed with the box's key.
    pub(crate) fn demo_model(&self) -> PathBuf {
        let mut file = fs::read(repository("models/demo-resnet18.nbx")).expect("the demo model");
        signing::sign(&mut file, &self.key).expect("signed");
        let path = self.path("signed.nbx");
        fs::write(&path, file).expect("written");
        path
    }

    /// A model that labels the phantom by brightness, signed with the box's key. It says that its self-test comes out as it does, or
    /// the other way round.
    pub(crate) fn small_model(&self, version: u64, honest: bool) -> PathBuf {
        let model = Model::load(save_model(self.folder.path()))
            .expect("a model")
            .model;
        let mut manifest = model.manifest().clone();
        manifest.version = version;
        let [_, rows, cols] = SHAPE;
        let pixels = || (0..rows * cols).map(|pixel| [11, pixel / cols, pixel % cols]);
        manifest.self_test = vec![SelfTest {
            rows: rows as u32,
            cols: cols as u32,
            hu: pixels().map(hu).collect(),
            labels: pixels()
                .map(|at| {
                    if honest {
                        label(at)
                    } else {
                        u8::from(label(at) == 0)
                    }
                })
                .collect(),
        }];
        let model = model.with_manifest(manifest).expect("a model");
        let mut file = model.to_bytes().expect("a package");
        signing::sign(&mut file, &self.key).expect("signed");
        let path = self.path(&format!("small-{version}.nbx"));
        fs::write(&path, file).expect("written");
        path
    }

    /// The phantom's scan as a file; another number gives the same scan in another file.
    pub(crate) fn phantom(&self, number: u8) -> Vec<u8> {
        let path = raw_scan(Order::KITS, Declared::Sform).save(self.path("phantom.nii"));
        let mut bytes = fs::read(path).expect("a scan");
        bytes[148] = number; // the header's free text
        bytes
    }

    /// Drops bytes into the watched folder as a file.
    pub(crate) fn drop_in(&self, name: &str, bytes: &[u8]) {
        let inbox = self.path("inbox");
        fs::create_dir_all(&inbox).expect("a folder");
        fs::write(inbox.join(name), bytes).expect("written");
    }
}

pub(crate) fn repository(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file)
}

/// Waits until the box is in a state.
pub(crate) async fn until(
    appliance: &Appliance,
    what: &str,
    reached: impl Fn(&Snapshot) -> bool,
) -> Snapshot {
    let mut watch = appliance.shared().watch();
    let waited = tokio::time::timeout(PATIENCE, watch.wait_for(|state| reached(state))).await;
    match waited {
        Ok(state) => state.expect("the box runs").clone(),
        Err(late) => panic!(
            "{what}: {late}: not within {PATIENCE:?}: {:#?}",
            appliance.shared().get()
        ),
    }
}

/// Waits until a scan would be accepted and worked on.
pub(crate) async fn ready(appliance: &Appliance) {
    until(appliance, "ready", |state| readiness(state).ready).await;
}

pub(crate) fn stop(appliance: Appliance) {
    // Joining threads blocks, which a runtime does not like in its own.
    tokio::task::block_in_place(|| appliance.stop());
}

/// Waits until a file is there.
pub(crate) async fn wait_for_file(path: &Path) {
    let found = async {
        while !path.exists() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let found = tokio::time::timeout(PATIENCE, found).await;
    found.unwrap_or_else(|_| panic!("{} does not appear", path.display()));
}
