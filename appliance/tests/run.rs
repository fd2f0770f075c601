//! The whole box in one process: a scan dropped into its folder comes out at a destination with the real demo model, and a box
//! that starts again knows what it did.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nephrobox::audit;
use nephrobox::config::Config;
use nephrobox::health::{metrics, readiness};
use nephrobox::logs::Logs;
use nephrobox::run::{Appliance, FELL_BACK};
use nephrobox::slots::{self, Begin, Slots};
use nephrobox::snapshot::{Activity, SlotState, Snapshot};
use nephrobox::storage::Folder;
use nephrobox_shared::package::{SecretKey, signing};
use nephrobox_shared::report::Report;
use tempfile::TempDir;

/// Long enough for a scan on a busy machine.
const PATIENCE: Duration = Duration::from_mins(5);

/// A box's folders and the key whose models it takes.
struct Home {
    folder: TempDir,
    key: SecretKey,
}

impl Home {
    fn new() -> Self {
        Self {
            folder: TempDir::new().expect("a folder"),
            key: SecretKey::from_seed(&[7; 32]),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn config(&self) -> Config {
        let text = format!(
            "[box]\nname = \"bedside\"\nstate = \"{}\"\n\
             [folder]\nwatch = \"{}\"\nquiet_s = 1\n\
             [[destination]]\nkind = \"folder\"\npath = \"{}\"\n\
             [spool]\nmax_bytes = \"200 MB\"\nmax_scan_bytes = \"50 MB\"\nkeep_free_bytes = 0\n\
             [model]\ntrusted_keys = [{{ key = \"{}\" }}]\n\
             [panel]\ntargets = [{{ kind = \"png\", path = \"{}\" }}]\n\
             [compute]\ndevice = \"cpu\"\n",
            self.path("state").display(),
            self.path("inbox").display(),
            self.path("share").display(),
            self.key.public(),
            self.path("panel.png").display(),
        );
        Config::parse(&text).expect("a configuration")
    }

    async fn start(&self) -> Appliance {
        let logs = Logs::open(&self.path("state/logs")).expect("logs");
        Appliance::start(self.config(), logs)
            .await
            .expect("the box starts")
    }

    /// Puts a package into a slot of a box that does not run; it is tried when the box starts.
    fn install(&self, package: &Path) {
        let storage = Folder::open(&self.path("state/slots")).expect("a folder");
        let settings = slots::Settings::from(&self.config().model);
        let (slots, _) = Slots::open(storage, settings).expect("slots");
        let installed = slots.install_file(package, None).expect("a disk");
        assert!(
            matches!(installed, Begin::Have { in_use: false, .. }),
            "{installed:?}"
        );
    }

    /// The demo model, signed with the box's key.
    fn demo_model(&self) -> PathBuf {
        let mut file = fs::read(repository("models/demo-resnet18.nbx")).expect("the demo model");
        signing::sign(&mut file, &self.key).expect("signed");
        let path = self.path("signed.nbx");
        fs::write(&path, file).expect("written");
        path
    }

    fn drop_sample(&self, name: &str) {
        let inbox = self.path("inbox");
        fs::create_dir_all(&inbox).expect("a folder");
        fs::copy(repository("models/sample/imaging.nii.gz"), inbox.join(name)).expect("copied");
    }
}

fn repository(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file)
}

/// Waits until the box is in a state.
async fn until(appliance: &Appliance, what: &str, reached: impl Fn(&Snapshot) -> bool) -> Snapshot {
    let mut watch = appliance.shared().watch();
    let waited = tokio::time::timeout(PATIENCE, watch.wait_for(|state| reached(state))).await;
    match waited {
        Ok(state) => state.expect("the box runs").clone(),
        Err(_) => panic!(
            "{what}: not within {PATIENCE:?}: {:#?}",
            appliance.shared().get()
        ),
    }
}

fn stop(appliance: Appliance) {
    // Joining threads blocks, which a runtime does not like in its own.
    tokio::task::block_in_place(|| appliance.stop());
}

/// What the audit log says was done, in order, after checking its chain.
fn deeds(home: &Home) -> Vec<audit::What> {
    let folder = Folder::open(&home.path("state/audit")).expect("a folder");
    let mut deeds = Vec::new();
    audit::walk(&folder, &mut |line| deeds.push(line.what)).expect("a whole chain");
    deeds
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_goes_through_the_box_and_a_restart_remembers_it() {
    let home = Home::new();
    home.install(&home.demo_model());
    let appliance = home.start().await;
    home.drop_sample("case.nii.gz");
    let state = until(&appliance, "delivered", |state| {
        state.counters.delivered == 1
    })
    .await;
    assert!(readiness(&state).ready, "{:?}", readiness(&state));
    assert_eq!(state.faults, []);
    assert_eq!(state.slots[0].state, SlotState::Confirmed);
    assert_eq!(state.active_model, state.slots[0].model);
    assert_eq!((state.counters.accepted, state.counters.finished), (1, 1));
    let [result] = &state.results[..] else {
        panic!("{:?}", state.results);
    };
    assert!(
        result.kidney_ml > 50.0 && result.overlay_png.is_some(),
        "{result:?}"
    );
    let text = metrics::text(&state);
    assert!(
        text.contains("\nnephrobox_scans_finished_total 1\n"),
        "{text}"
    );

    // What the destination got is the report that the panel shows in short.
    let delivered = home.path("share").join(&result.scan).join("report.json");
    let report: Report =
        serde_json::from_slice(&fs::read(delivered).expect("delivered")).expect("a report");
    let sides = report.findings.sides;
    assert_eq!(
        result.kidney_ml,
        sides.right.kidney_volume_ml + sides.left.kidney_volume_ml
    );
    until(&appliance, "idle", |state| state.activity == Activity::Idle).await;
    stop(appliance);

    use audit::What::{Confirmed, Received, Reported, Sent, Started};
    let once = deeds(&home);
    let mut sorted = once.clone();
    sorted.sort_unstable();
    assert_eq!(
        sorted,
        [Started, Received, Reported, Sent, Confirmed, Confirmed],
        "{once:?}"
    );

    let appliance = home.start().await;
    let again = until(&appliance, "started", |state| state.started).await;
    assert_eq!(again.results.len(), 1);
    assert_eq!(again.results[0].scan, result.scan);
    assert_eq!(again.results[0].overlay_png, result.overlay_png);
    assert_eq!(again.results[0].sides, result.sides);
    // The same scan is answered with what is there.
    home.drop_sample("again.nii.gz");
    let taken = home.path("inbox/taken/again.nii.gz");
    wait_for_file(&taken).await;
    assert_eq!(appliance.shared().get().counters.finished, 0);
    stop(appliance);
    assert_eq!(deeds(&home).len(), once.len() + 1, "only the start is new");
}

async fn wait_for_file(path: &Path) {
    let found = async {
        while !path.exists() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let found = tokio::time::timeout(PATIENCE, found).await;
    found.unwrap_or_else(|_| panic!("{} does not appear", path.display()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_box_without_a_model_runs_says_so_and_leaves_scans_where_they_are() {
    let home = Home::new();
    home.drop_sample("case.nii.gz");
    let appliance = home.start().await;
    let state = until(&appliance, "started", |state| state.started).await;
    assert!(readiness(&state).reasons[0].contains("nephroctl flash"));
    wait_for_file(&home.path("panel.png")).await;
    assert!(home.path("inbox/case.nii.gz").exists());
    let second = Appliance::start(
        home.config(),
        Logs::open(&home.path("state/logs")).expect("logs"),
    )
    .await;
    let refused = second.err().expect("the folder is in use");
    assert_eq!(refused.exit.code(), 7, "{refused}");
    stop(appliance);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_fails_its_self_test_is_told_of_by_panel_and_the_next_report_and_no_further() {
    let home = Home::new();
    home.install(&home.demo_model());
    let appliance = home.start().await;
    until(&appliance, "a model", |state| state.active_model.is_some()).await;
    stop(appliance);

    // A model whose slices do not come out as it says.
    let loaded = nephrobox_engine::package::Model::load(repository("models/demo-resnet18.nbx"))
        .expect("the demo model");
    let mut manifest = loaded.model.manifest().clone();
    manifest.version += 1;
    for label in &mut manifest.self_test[0].labels {
        *label = u8::from(*label == 0);
    }
    let wrong = loaded.model.with_manifest(manifest).expect("a model");
    let mut file = wrong.to_bytes().expect("a package");
    signing::sign(&mut file, &home.key).expect("signed");
    let path = home.path("wrong.nbx");
    fs::write(&path, file).expect("written");
    home.install(&path);

    let appliance = home.start().await;
    let state = until(&appliance, "the verdict", |state| {
        state.has_fault(FELL_BACK)
    })
    .await;
    assert_eq!(state.slots[1].state, SlotState::Bad);
    for (name, told) in [("first.nii.gz", true), ("second.nii.gz", false)] {
        // Another file name, another compression: another scan to the box.
        let inbox = home.path("inbox");
        fs::create_dir_all(&inbox).expect("a folder");
        let mut bytes = fs::read(repository("models/sample/imaging.nii.gz")).expect("the sample");
        bytes[9] = u8::from(told); // the operating system's field of gzip
        fs::write(inbox.join(name), bytes).expect("written");
        let before = appliance.shared().get().counters.finished;
        let state = until(&appliance, name, |state| state.counters.finished > before).await;
        let first = state.results[0].first_warning.clone().unwrap_or_default();
        assert_eq!(first.contains("is not used"), told, "{first}");
    }
    stop(appliance);
}
