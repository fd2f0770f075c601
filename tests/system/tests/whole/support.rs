//! A rig for the tests: small models that take milliseconds, and scans that differ only in their names.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nephrobox_engine::package::Model;
use nephrobox_link::cable::Quality;
use nephrobox_link::client::Client;
use nephrobox_link::message::{Item, Object, Reply, Request, ScanState, SlotsState, cut};
use nephrobox_shared::package::{PackageView, SelfTest};
use nephrobox_system::{Exe, Rig};
use tempfile::TempDir;

pub(crate) use crate::phantom::manifest;
use crate::phantom::nifti::Declared;
pub(crate) use crate::phantom::nifti::Order;
use crate::phantom::{SHAPE, hu, label, raw_scan, save_model};

/// Long enough for anything here on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// Whether the long versions were asked for.
pub(crate) fn long() -> bool {
    std::env::var_os("NEPHROBOX_LONG").is_some()
}

/// A rig whose box has not started, and its folder.
pub(crate) struct Home {
    pub(crate) rig: Rig,
    /// The last, so that it is removed after the box has ended.
    folder: TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self::with(Quality::default(), "")
    }

    /// A rig with more in its configuration.
    pub(crate) fn with(quality: Quality, more: &str) -> Self {
        let exe = Exe(env!("CARGO_BIN_EXE_nephrobox-demo").into());
        Self::of(exe, quality, more)
    }

    /// A rig of another program, such as one that is held back.
    pub(crate) fn of(exe: Exe, quality: Quality, more: &str) -> Self {
        let folder = TempDir::new().expect("a folder");
        let more = format!("[spool]\nkeep_free_bytes = 0\n{more}");
        let rig = Rig::build(exe, &folder.path().join("rig"), quality, &more).expect("a rig");
        Self { rig, folder }
    }

    /// A rig whose box runs a small model.
    pub(crate) fn running() -> (Self, Client) {
        let mut home = Self::new();
        home.rig.start().expect("a box");
        let mut client = home.rig.client().expect("a line");
        let package = home.model(1, Kind::Good);
        assert!(flash(&mut client, &package).is_ok_and(|good| good));
        (home, client)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A signed package whose tiny program labels the phantom by brightness.
    pub(crate) fn model(&self, version: u64, kind: Kind) -> PathBuf {
        let path = self.unsigned(version, kind);
        let (key, path_text) = (self.rig.key(), path.clone());
        let signed = self.rig.tool([
            "sign".as_ref(),
            path_text.as_os_str(),
            "--key".as_ref(),
            key.as_os_str(),
        ]);
        signed.expect("signed");
        path
    }

    /// The same without a signature.
    pub(crate) fn unsigned(&self, version: u64, kind: Kind) -> PathBuf {
        let loaded = Model::load(save_model(self.folder.path())).expect("a model");
        let model = loaded.model;
        let mut manifest = model.manifest().clone();
        manifest.version = version;
        let [_, rows, cols] = SHAPE;
        let pixels = || (0..rows * cols).map(|pixel| [11, pixel / cols, pixel % cols]);
        let labels = pixels().map(|at| match kind {
            Kind::Good => label(at),
            Kind::Lying => u8::from(label(at) == 0),
        });
        manifest.self_test = vec![SelfTest {
            rows: rows as u32,
            cols: cols as u32,
            hu: pixels().map(hu).collect(),
            labels: labels.collect(),
        }];
        let file = model.with_manifest(manifest).expect("a model").to_bytes();
        let path = self.path(&format!("model-{version}.nbx"));
        fs::write(&path, file.expect("a package")).expect("written");
        path
    }

    /// A scan of the phantom; each number gives a file of its own with the same voxels.
    pub(crate) fn scan(&self, number: u32) -> PathBuf {
        let path = self.path(&format!("scan-{number}.nii"));
        fs::write(&path, scan_bytes(number)).expect("written");
        path
    }
}

/// What a model's self-test says.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// What the model does.
    Good,
    /// Something else.
    Lying,
}

/// A scan of the phantom as a file's content.
pub(crate) fn scan_bytes(number: u32) -> Vec<u8> {
    let mut bytes = raw_scan(Order::KITS, Declared::Sform).bytes();
    bytes[148..152].copy_from_slice(&number.to_le_bytes()); // the header's free text
    bytes
}

/// The same as a file of many bytes, so that it is on its way for a while: a header may say that the voxels come late.
pub(crate) fn large_scan_bytes(number: u32, bytes: usize) -> Vec<u8> {
    const VOXELS: usize = 352;
    let mut scan = scan_bytes(number);
    let filler = bytes.saturating_sub(scan.len()).next_multiple_of(16);
    scan.splice(VOXELS..VOXELS, std::iter::repeat_n(0, filler));
    scan[108..112].copy_from_slice(&((VOXELS + filler) as f32).to_le_bytes()); // the header's offset of the voxels
    scan
}

/// The announcement of a package, from what it says itself.
pub(crate) fn package_object(file: &[u8]) -> Object {
    let view = PackageView::open(file).expect("a package");
    Object::Package {
        hash: *view.hash(),
        version: view.manifest().expect("a manifest").version,
        key: view
            .signature()
            .map_or([0; 16], |signature| signature.key_id),
        permit: None,
        dry_run: false,
    }
}

/// Installs a package and waits for the verdict: whether it is good.
pub(crate) fn flash(
    client: &mut Client,
    package: &Path,
) -> Result<bool, nephrobox_link::client::LinkError> {
    let file = fs::read(package).expect("a package");
    let object = package_object(&file);
    client.put(&object, &mut std::io::Cursor::new(&file), &mut |_| {})?;
    let hash = *PackageView::open(&file).expect("a package").hash();
    Ok(verdict(client, hash))
}

/// Waits until the box has judged a package.
pub(crate) fn verdict(client: &mut Client, hash: [u8; 32]) -> bool {
    let until = Instant::now() + PATIENCE;
    loop {
        let state = slots(client);
        if let Some(verdict) = state.verdict.filter(|verdict| verdict.hash == hash) {
            return verdict.good;
        }
        assert!(Instant::now() < until, "no verdict: {:?}", state.slots);
        std::thread::sleep(Duration::from_millis(50));
    }
}

pub(crate) fn slots(client: &mut Client) -> SlotsState {
    match client.ask(&Request::Slots) {
        Ok(Reply::Slots(state)) => state,
        other => panic!("no slots: {other:?}"),
    }
}

/// The version that runs.
pub(crate) fn active(client: &mut Client) -> Option<u64> {
    let state = slots(client);
    let active = state.active?;
    state.slots[usize::from(active)]
        .model
        .as_ref()
        .map(|model| model.version)
}

pub(crate) fn scan_object() -> Object {
    Object::Scan {
        name: cut("scan.nii"),
        fast: false,
    }
}

/// Waits until the box is done with a scan.
pub(crate) fn ended(client: &mut Client, id: &str) -> ScanState {
    ended_within(client, id, PATIENCE)
}

/// The same with more patience, for a large scan.
pub(crate) fn ended_within(client: &mut Client, id: &str, patience: Duration) -> ScanState {
    let until = Instant::now() + patience;
    loop {
        match client.ask(&Request::Scan { scan: cut(id) }) {
            Ok(Reply::Scan(
                state @ (ScanState::Finished
                | ScanState::Refused { .. }
                | ScanState::SetAside { .. }),
            )) => return state,
            Ok(Reply::Scan(state)) => assert!(Instant::now() < until, "{id} is {state:?}"),
            other => panic!("{id}: {other:?}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// One file of a scan's results.
pub(crate) fn result(client: &mut Client, id: &str, name: &str) -> Vec<u8> {
    let item = Item::Result {
        scan: cut(id),
        name: cut(name),
    };
    client.get(&item, 64 << 20, &mut |_| {}).expect("a result")
}

/// The box's state.
pub(crate) fn status(client: &mut Client) -> serde_json::Value {
    let json = client
        .get(&Item::Status, 1 << 20, &mut |_| {})
        .expect("a status");
    serde_json::from_slice(&json).expect("JSON")
}
