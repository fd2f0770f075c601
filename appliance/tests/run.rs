//! The whole box in one process: a scan dropped into its folder comes out at a destination with the real demo model, and a box
//! that starts again knows what it did.

#[path = "support/home.rs"]
mod home;
mod support;

use std::fs;

use home::{Home, ready, repository, stop, until, wait_for_file};
use nephrobox::audit::{
    self,
    What::{Confirmed, Received, Reported, Sent, Started},
};
use nephrobox::fault::FaultCode;
use nephrobox::health::{metrics, readiness};
use nephrobox::logs::Logs;
use nephrobox::run::Appliance;
use nephrobox::slots::{Trial, TrialError};
use nephrobox::snapshot::{Activity, SlotState, Snapshot};
use nephrobox::storage::Folder;
use nephrobox_engine::package::Loaded;
use nephrobox_shared::report::Report;

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
    let sample = fs::read(repository("models/sample/imaging.nii.gz")).expect("the sample");
    home.drop_in("case.nii.gz", &sample);
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
    home.drop_in("again.nii.gz", &sample);
    let taken = home.path("inbox/taken/again.nii.gz");
    wait_for_file(&taken).await;
    assert_eq!(appliance.shared().get().counters.finished, 0);
    stop(appliance);
    assert_eq!(deeds(&home).len(), once.len() + 1, "only the start is new");
}

/// Shows RQ-59.
#[tokio::test(flavor = "multi_thread")]
async fn a_box_without_a_model_runs_says_so_and_leaves_scans_where_they_are() {
    let home = Home::new();
    home.drop_in("case.nii", &home.phantom(0));
    let appliance = home.start().await;
    let state = until(&appliance, "started", |state| state.started).await;
    assert!(readiness(&state).reasons[0].contains("nephroctl flash"));
    wait_for_file(&home.path("panel.png")).await;
    assert!(home.path("inbox/case.nii").exists());
    let second = Appliance::start(
        home.config(),
        Logs::open(&home.path("state/logs")).expect("logs"),
    )
    .await;
    let refused = second.err().expect("the folder is in use");
    assert_eq!(refused.exit.code(), 7, "{refused}");
    stop(appliance);
}

/// Shows RQ-40.
#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_fails_its_self_test_is_told_of_by_panel_and_the_next_report_and_no_further() {
    let home = Home::new();
    home.install(&home.small_model(1, true));
    let appliance = home.start().await;
    ready(&appliance).await;
    stop(appliance);

    home.install(&home.small_model(2, false));
    let appliance = home.start().await;
    let state = until(&appliance, "the verdict", |state| {
        state.has_fault(FaultCode::ModelFellBack)
    })
    .await;
    assert_eq!(state.slots[1].state, SlotState::Bad);
    for (number, told) in [(1, true), (2, false)] {
        let before = appliance.shared().get().counters.finished;
        home.drop_in("case.nii", &home.phantom(number));
        let state = until(&appliance, "a report", |state| {
            state.counters.finished > before
        })
        .await;
        let first = state.results[0].first_warning.clone().unwrap_or_default();
        assert_eq!(first.contains("is not used"), told, "{first}");
    }
    stop(appliance);
}

/// A self-test that everything passes, as on a card before its driver changed.
struct Lenient;

impl Trial for Lenient {
    type Model = ();

    fn run(&self, _: Loaded) -> Result<(), TrialError> {
        Ok(())
    }
}

/// Shows RQ-40.
#[tokio::test(flavor = "multi_thread")]
async fn a_confirmed_model_that_does_not_run_any_more_is_told_of_by_page_and_the_next_report() {
    let home = Home::new();
    for (version, runs) in [(1, true), (2, false)] {
        home.install(&home.small_model(version, runs));
        let tried = home.slots().try_out(&Lenient).expect("tried");
        assert!(tried.expect("a verdict").0.is_good());
    }
    let appliance = home.start().await;
    let message = |state: &Snapshot| {
        let mut faults = state.faults.iter();
        let fault = faults.find(|fault| fault.code == FaultCode::ModelFellBack);
        fault.map(|fault| fault.message.clone())
    };
    let state = until(&appliance, "the fault", |state| {
        let said = message(state).unwrap_or_default();
        state.started && said.ends_with("slot A is used instead")
    })
    .await;
    assert!(readiness(&state).ready, "{:?}", readiness(&state));
    assert!(
        !state.has_fault(FaultCode::ModelUnusable),
        "{:?}",
        state.faults
    );
    assert_eq!(state.active_model, state.slots[0].model);
    let said = message(&state).expect("the fault");
    for (number, told) in [(1, true), (2, false)] {
        let before = appliance.shared().get().counters.finished;
        home.drop_in("case.nii", &home.phantom(number));
        let state = until(&appliance, "a report", |state| {
            state.counters.finished > before
        })
        .await;
        let first = state.results[0].first_warning.clone();
        assert_eq!(first == Some(said.clone()), told, "{first:?}");
        assert!(
            state.has_fault(FaultCode::ModelFellBack),
            "the page says it as long as it is so"
        );
    }
    stop(appliance);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_fails_is_shown_until_it_works_however_well_the_others_do() {
    let home = Home::new();
    home.install(&home.small_model(1, true));
    // A file lies where the folder should be.
    fs::write(home.path("blocked"), b"").expect("written");
    let folder = |name: &str| {
        let path = home.path(name).join("results");
        format!(
            "[[destination]]\nkind = \"folder\"\npath = \"{}\"\n",
            path.display()
        )
    };
    let appliance = home
        .start_with(&(folder("blocked") + &folder("open")))
        .await;
    home.drop_in("case.nii", &home.phantom(1));
    until(&appliance, "the fault", |state| {
        state.counters.delivered == 1 && state.has_fault(FaultCode::DestinationFailed)
    })
    .await;
    home.drop_in("case.nii", &home.phantom(2));
    let watched = until(&appliance, "the second one", |state| {
        state.counters.delivered == 2 || !state.has_fault(FaultCode::DestinationFailed)
    })
    .await;
    assert!(
        watched.has_fault(FaultCode::DestinationFailed),
        "{:?}",
        watched.faults
    );
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    let state = appliance.shared().get();
    let fault = state
        .faults
        .iter()
        .find(|fault| fault.code == FaultCode::DestinationFailed);
    let message = &fault.expect("it fails as before").message;
    assert!(
        message.contains("blocked") && !message.contains("open/"),
        "{message}"
    );

    fs::remove_file(home.path("blocked")).expect("removed");
    let state = until(&appliance, "all delivered", |state| {
        state.counters.delivered == 4 && !state.has_fault(FaultCode::DestinationFailed)
    })
    .await;
    assert_eq!(state.faults, []);
    stop(appliance);
}
