//! Tests with a picture in a folder as the only target.

use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::snapshot::{Activity, Snapshot};

/// Long enough for a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// Waits until the file is the picture of a state.
async fn shows(path: &Path, state: &Snapshot) {
    let wanted = Panel::screenshot(&View::of(state)).expect("a picture");
    let seen = async {
        while std::fs::read(path).ok().as_ref() != Some(&wanted) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, seen).await.expect("the picture in time");
}

#[tokio::test]
async fn the_picture_follows_the_state_and_the_loop_ends_with_the_box() {
    let home = TempDir::new().expect("a folder");
    // The folder is not there yet: the first tries fail.
    let path = home.path().join("later/panel.png");
    let target = PanelTarget::Png { path: path.clone() };
    let shared = Shared::new(Snapshot::default());
    let panel = tokio::spawn(run(shared.clone(), vec![target]));
    shared.change(|state| state.started = true);
    std::fs::create_dir(home.path().join("later")).expect("made");
    shows(&path, &shared.get()).await;
    for slice in 1..=30 {
        shared.change(|state| {
            state.activity = Activity::Working {
                scan: "1".into(),
                slice,
                slices: 30,
            }
        });
    }
    shows(&path, &shared.get()).await;
    drop(shared);
    let ended = timeout(PATIENCE, panel).await.expect("in time");
    ended.expect("no panic").expect("no error");
}

#[tokio::test]
async fn a_box_without_a_screen_waits_for_its_end() {
    let shared = Shared::new(Snapshot::default());
    let panel = tokio::spawn(run(shared.clone(), vec![]));
    shared.change(|state| state.queued = 1);
    assert!(!panel.is_finished());
    drop(shared);
    let ended = timeout(PATIENCE, panel).await.expect("in time");
    ended.expect("no panic").expect("no error");
}
