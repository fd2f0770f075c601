//! A scan dropped into the watched folder comes out at a destination; and what happens if the model fails on the way.

#[path = "support/struck.rs"]
mod struck;
mod support;

#[path = "worker/signs.rs"]
mod signs;

use std::fs;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nephrobox::intake::folder::{Seen, Watched};
use nephrobox::outbox::{Destination, FolderDestination, LineDestination, Outbox, Sent};
use nephrobox::pulse::Pulse;
use nephrobox::spool::{ErasedBy, Outcome, ScanId, Settings, Spool, State};
use nephrobox::storage::{Folder, Storage};
use nephrobox::worker::{Event, Model, Style, Worker};
use nephrobox_engine::executor::{Arithmetic, Engine, Running};
use nephrobox_engine::model::{EngineError, LogitsModel, SliceModel};
use nephrobox_engine::program::ArgmaxError;
use struck::Struck;
use support::nifti::{Declared, Order};
use support::{SHAPE, manifest, names, raw_scan};
use tempfile::TempDir;

/// What the oracle does.
#[derive(Clone, Copy, Debug, Default)]
enum Mood {
    /// It labels by brightness, as the phantom is made.
    #[default]
    Sound,
    Panics,
    /// It computes what is no number.
    Confused,
    /// Its device is gone.
    Lost,
}

#[derive(Default)]
struct Oracle(Mood);

impl SliceModel for Oracle {
    fn rows(&self) -> usize {
        SHAPE[1]
    }

    fn cols(&self) -> usize {
        SHAPE[2]
    }

    fn batch(&self) -> usize {
        1
    }

    fn segment(&mut self, images: &[f32], _: usize, labels: &mut [u8]) -> Result<(), EngineError> {
        match self.0 {
            Mood::Sound => {}
            Mood::Panics => panic!("the oracle is out of sorts"),
            Mood::Confused => return Err(ArgmaxError::NotANumber.into()),
            Mood::Lost => {
                let (device, reason) = ("cuda", "it fell off the bus".into());
                return Err(EngineError::Device { device, reason });
            }
        }
        for (pixel, label) in images.iter().zip(labels) {
            *label = u8::from(*pixel > 0.63) + u8::from(*pixel > 0.88);
        }
        Ok(())
    }
}

/// Asked for when a few slices are looked at again; 1 for the class it chose.
impl LogitsModel for Oracle {
    fn classes(&self) -> usize {
        3
    }

    fn logits(&mut self, images: &[f32], batch: usize) -> Result<Vec<f32>, EngineError> {
        let pixels = SHAPE[1] * SHAPE[2];
        let mut labels = vec![0; images.len()];
        self.segment(images, batch, &mut labels)?;
        let planes = labels.chunks(pixels).flat_map(|slice| {
            (0..3).flat_map(move |class| slice.iter().map(move |&label| f32::from(label == class)))
        });
        Ok(planes.collect())
    }
}

fn engine() -> Engine {
    Engine {
        device: "cpu",
        arithmetic: Arithmetic::F32,
        kernels: None,
        threads: 1,
        part: None,
    }
}

fn model(mood: Mood) -> Arc<Mutex<Model>> {
    let running = Running {
        models: vec![Box::new(Oracle(mood))],
        engine: engine(),
        macs: None,
    };
    Arc::new(Mutex::new(Model {
        manifest: manifest(),
        hash: [7; 32],
        running,
    }))
}

fn open(home: &Path) -> Arc<Spool<Folder>> {
    let settings = Settings {
        floor_bytes: 0,
        destinations: ["share".into(), "bedside".into()].into(),
        ..Settings::default()
    };
    let storage = Folder::open(&home.join("spool")).expect("a folder");
    Arc::new(Spool::open(storage, settings).expect("a start").0)
}

/// The phantom's scan as the bytes of a file of this name.
fn phantom(name: &str) -> Vec<u8> {
    let home = TempDir::new().expect("a folder");
    let path = raw_scan(Order::KITS, Declared::Sform).save(home.path().join(name));
    fs::read(path).expect("a scan")
}

/// Events as text, since they borrow.
fn listener(to: Sender<String>) -> impl FnMut(Event<'_>) + Send {
    move |event| {
        let told = match event {
            Event::Finished { id, .. } => format!("finished {id}"),
            Event::Refused { id, reason } => format!("refused {id}: {reason}"),
            Event::Died {
                id,
                reason,
                set_aside,
            } => format!("died {id} {set_aside}: {reason}"),
            Event::Slices { done, slices, .. } if done == slices => "all slices".into(),
            _ => return,
        };
        let _ = to.send(told);
    }
}

fn hear(news: &Receiver<String>) -> String {
    news.recv_timeout(Duration::from_mins(1))
        .expect("news from the worker")
}

/// Drops a file into the watched folder and takes it once it is quiet.
fn drop_in<S: Storage>(home: &Path, spool: &Spool<S>, name: &str, bytes: &[u8]) -> Vec<Seen> {
    let quiet = Duration::from_secs(5);
    let inbox = home.join("inbox");
    let mut watched = Watched::open(&inbox, "inbox", quiet, false).expect("a folder");
    fs::write(inbox.join(name), bytes).expect("written");
    let now = Instant::now();
    assert!(
        watched.turn(spool, now).whole().expect("a turn").is_empty(),
        "not quiet yet"
    );
    watched.turn(spool, now + quiet).whole().expect("a turn")
}

#[test]
fn a_file_in_the_watched_folder_becomes_results_at_every_destination() {
    let home = TempDir::new().expect("a folder");
    let spool = open(home.path());
    let scan = phantom("case.nii.gz");
    let seen = drop_in(home.path(), &spool, "case.nii.gz", &scan);
    let [Seen::Taken(id)] = seen[..] else {
        panic!("{seen:?}");
    };
    assert_eq!(names(&home.path().join("inbox/taken")), ["case.nii.gz"]);
    // Killed before the file was moved away: taken once all the same.
    assert_eq!(drop_in(home.path(), &spool, "case.nii.gz", &scan), seen);
    assert_eq!(
        names(&home.path().join("inbox/taken")),
        ["2 case.nii.gz", "case.nii.gz"]
    );

    let (to, news) = channel();
    let oracle = model(Mood::Sound);
    let pulse = Pulse::default();
    let worker = Worker::start(
        Arc::clone(&spool),
        Style::default(),
        move || Some(Arc::clone(&oracle)),
        listener(to),
        pulse.clone(),
    )
    .expect("a thread");
    assert_eq!(hear(&news), "all slices");
    assert_eq!(hear(&news), format!("finished {id}"));
    assert!(pulse.beats() > SHAPE[0] as u64, "every slice is a beat");
    drop(worker);

    let share = home.path().join("share");
    let target = Folder::open(&share).expect("a folder");
    let to: Vec<Box<dyn Destination>> = vec![
        Box::new(FolderDestination::new("share", target)),
        Box::new(LineDestination::new("bedside")),
    ];
    let mut outbox = Outbox::new(Arc::clone(&spool), to).expect("known names");
    let sent = outbox.turn(Instant::now()).expect("a turn");
    assert_eq!(
        sent,
        [Sent::Confirmed {
            id,
            destination: "share".into()
        }]
    );
    assert_eq!(names(&share), [id.to_string()]);
    assert_eq!(names(&share.join(id.to_string())).len(), 9);
    assert_eq!(
        spool.recycle().expect("nothing"),
        None,
        "the bedside has not fetched it"
    );
    spool.confirm(id, "bedside").expect("confirmed");
    assert!(outbox.turn(Instant::now()).expect("a turn").is_empty());
    assert_eq!(spool.recycle().expect("recycled"), Some(id));
}

/// Shows RQ-54.
#[test]
fn a_scan_that_makes_the_model_panic_twice_is_set_aside_and_the_next_one_is_worked_on() {
    set_aside_after_two_attempts(Mood::Panics, "out of sorts");
}

/// Shows RQ-54.
#[test]
fn a_scan_of_which_the_model_makes_no_numbers_twice_is_set_aside_and_the_next_one_is_worked_on() {
    set_aside_after_two_attempts(Mood::Confused, "not numbers");
}

fn set_aside_after_two_attempts(mood: Mood, why: &str) {
    let home = TempDir::new().expect("a folder");
    let spool = open(home.path());
    let scan = phantom("case.nii");
    let seen = drop_in(home.path(), &spool, "case.nii", &scan);
    let [Seen::Taken(id)] = seen[..] else {
        panic!("{seen:?}");
    };
    let (to, news) = channel();
    let (bad, good) = (model(mood), model(Mood::Sound));
    // The model is exchanged after two scans.
    let mut asked = 0;
    let models = move || {
        asked += 1;
        Some(Arc::clone(if asked <= 2 { &bad } else { &good }))
    };
    let _worker = Worker::start(
        Arc::clone(&spool),
        Style::default(),
        models,
        listener(to),
        Pulse::default(),
    )
    .expect("a thread");
    for set_aside in [false, true] {
        let told = hear(&news);
        let begins = format!("died {id} {set_aside}: ");
        assert!(told.starts_with(&begins) && told.contains(why), "{told}");
    }
    assert!(matches!(
        spool.state(id),
        Ok(Some(State::Ended(Outcome::SetAside { .. })))
    ));
    let again = drop_in(home.path(), &spool, "again.nii", &scan);
    let [Seen::Taken(again)] = again[..] else {
        panic!("{again:?}");
    };
    assert_ne!(again, id, "a scan that was set aside gets another chance");
    assert_eq!(hear(&news), "all slices");
    assert_eq!(hear(&news), format!("finished {again}"));
}

/// Shows RQ-61.
#[test]
fn a_file_that_is_no_scan_is_refused_with_a_text_beside_it() {
    let home = TempDir::new().expect("a folder");
    let spool = open(home.path());
    let inbox = home.path().join("inbox");
    fs::create_dir(&inbox).expect("a folder");
    std::os::unix::fs::symlink("/etc/passwd", inbox.join("link.nii")).expect("a link");
    let seen = drop_in(home.path(), &spool, "letter.nii", b"Dear colleague");
    assert!(matches!(seen[..], [Seen::Refused(_)]), "{seen:?}");
    assert_eq!(
        names(&inbox.join("refused")),
        ["letter.nii", "letter.nii.txt"]
    );
    assert_eq!(
        names(&inbox),
        ["link.nii", "refused", "taken"],
        "links are left alone"
    );
    assert!(spool.listing().expect("a list").is_empty());
}

#[test]
fn a_file_that_brings_a_fault_out_is_put_away_and_the_next_one_is_taken() {
    let home = TempDir::new().expect("a folder");
    let storage = Folder::open(&home.path().join("spool")).expect("a folder");
    let settings = Settings {
        floor_bytes: 0,
        ..Settings::default()
    };
    let spool = Spool::open(Struck::new(storage), settings)
        .expect("a start")
        .0;
    let scan = phantom("case.nii");
    let seen = drop_in(home.path(), &spool, "Zzyzx.nii", &scan);
    let [Seen::Refused(why)] = &seen[..] else {
        panic!("{seen:?}");
    };
    assert!(why.starts_with("a fault in nephrobox"), "{why}");
    let refused = home.path().join("inbox/refused");
    assert_eq!(names(&refused), ["Zzyzx.nii", "Zzyzx.nii.txt"]);
    let seen = drop_in(home.path(), &spool, "next.nii", &scan);
    assert!(matches!(seen[..], [Seen::Taken(_)]), "{seen:?}");
    let listing = spool.listing().expect("a list");
    assert_eq!(listing.len(), 1, "half a scan is gone on with: {listing:?}");
}

/// Shows RQ-61.
#[test]
fn a_scan_whose_voxels_end_early_gets_an_error_report() {
    let home = TempDir::new().expect("a folder");
    let spool = open(home.path());
    let scan = phantom("case.nii.gz");
    // The header is whole, so that the watched folder takes it; only reading it to the end shows the damage.
    let seen = drop_in(
        home.path(),
        &spool,
        "case.nii.gz",
        &scan[..scan.len() - 200],
    );
    let [Seen::Taken(id)] = seen[..] else {
        panic!("{seen:?}");
    };
    let (to, news) = channel();
    let oracle = model(Mood::Sound);
    let _worker = Worker::start(
        Arc::clone(&spool),
        Style::default(),
        move || Some(Arc::clone(&oracle)),
        listener(to),
        Pulse::default(),
    )
    .expect("a thread");
    let told = hear(&news);
    assert!(told.starts_with(&format!("refused {id}: ")), "{told}");
    assert_eq!(spool.results(id).expect("an error report").len(), 2);
}

/// A queue with a scan that failed, whose error report waits for its destinations.
fn failed() -> (TempDir, Arc<Spool<Folder>>) {
    let home = TempDir::new().expect("a folder");
    let spool = open(home.path());
    let scan = phantom("case.nii");
    drop_in(home.path(), &spool, "case.nii", &scan);
    let work = spool.next().expect("work").expect("a scan");
    spool.failed(work.id, "no scan").expect("ended");
    (home, spool)
}

/// A destination that is never there.
struct Gone;

impl Destination for Gone {
    fn name(&self) -> &'static str {
        "share"
    }

    fn deliver(
        &self,
        _: ScanId,
        _: &nephrobox::outbox::Results<'_>,
    ) -> std::io::Result<nephrobox::outbox::Delivery> {
        Err(std::io::Error::other("nobody at home"))
    }
}

/// Shows RQ-49.
#[test]
fn a_destination_that_fails_is_asked_again_later_and_later() {
    let (_home, spool) = failed();
    let mut outbox = Outbox::new(Arc::clone(&spool), vec![Box::new(Gone)]).expect("known names");
    let mut now = Instant::now();
    for seconds in [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
        let sent = outbox.turn(now).expect("a turn");
        let wait = Duration::from_secs(seconds);
        assert!(
            matches!(&sent[..], [Sent::Failed { again_in, .. }] if *again_in == wait),
            "{sent:?}"
        );
        now += wait.saturating_sub(Duration::from_millis(1));
        assert!(outbox.turn(now).expect("a turn").is_empty(), "too early");
        now += Duration::from_millis(1);
    }
}

/// Somebody erases the results while it takes them.
struct Erased(Arc<Spool<Folder>>);

impl Destination for Erased {
    fn name(&self) -> &'static str {
        "share"
    }

    fn deliver(
        &self,
        id: ScanId,
        _: &nephrobox::outbox::Results<'_>,
    ) -> std::io::Result<nephrobox::outbox::Delivery> {
        self.0.condemn(id, &ErasedBy::Age).expect("condemned");
        self.0.erase(id).expect("erased");
        Err(std::io::Error::other("the file is gone"))
    }
}

#[test]
fn results_that_are_erased_while_they_are_delivered_are_no_fault_of_the_destination() {
    let (_home, spool) = failed();
    let to = Erased(Arc::clone(&spool));
    let mut outbox = Outbox::new(Arc::clone(&spool), vec![Box::new(to)]).expect("known names");
    let sent = outbox.turn(Instant::now()).expect("a turn");
    assert!(sent.is_empty(), "{sent:?}");
    assert!(spool.listing().expect("a list").is_empty());
}

/// Takes every scan but one, of which it says that it cannot, or panics.
struct Choosy {
    not: ScanId,
    panics: bool,
}

impl Destination for Choosy {
    fn name(&self) -> &'static str {
        "share"
    }

    fn deliver(
        &self,
        id: ScanId,
        _: &nephrobox::outbox::Results<'_>,
    ) -> std::io::Result<nephrobox::outbox::Delivery> {
        if id == self.not {
            assert!(!self.panics, "{id} is too much for it");
            return Err(std::io::Error::other("this one never"));
        }
        Ok(nephrobox::outbox::Delivery::Confirmed)
    }
}

/// Shows RQ-49.
#[test]
fn a_scan_that_a_destination_never_takes_holds_up_no_other() {
    holds_up_no_other(false);
}

#[test]
fn a_scan_that_makes_a_destination_panic_holds_up_no_other() {
    holds_up_no_other(true);
}

fn holds_up_no_other(panics: bool) {
    let home = TempDir::new().expect("a folder");
    let spool = open(home.path());
    for (name, number) in [("one.nii", 0), ("two.nii", 1), ("three.nii", 2)] {
        let mut scan = phantom(name);
        scan[148] = number; // the header's free text: another scan of the same voxels
        drop_in(home.path(), &spool, name, &scan);
        let work = spool.next().expect("work").expect("a scan");
        spool.failed(work.id, "no scan").expect("ended");
    }
    let first = spool.listing().expect("a disk")[0].id;
    let choosy = Choosy { not: first, panics };
    let to: Vec<Box<dyn Destination>> = vec![Box::new(choosy)];
    let mut outbox = Outbox::new(Arc::clone(&spool), to).expect("known names");
    let mut confirmed = Vec::new();
    let mut now = Instant::now();
    for _ in 0..3 {
        for sent in outbox.turn(now).expect("a turn") {
            if let Sent::Confirmed { id, .. } = sent {
                confirmed.push(id);
            }
        }
        now += Duration::from_mins(6);
    }
    assert_eq!(confirmed.len(), 2, "{confirmed:?}");
    assert!(!confirmed.contains(&first));
}

#[test]
fn a_device_that_fails_on_a_box_is_mended_in_its_configuration() {
    let home = TempDir::new().expect("a folder");
    let spool = open(home.path());
    drop_in(home.path(), &spool, "case.nii", &phantom("case.nii"));
    let lost = model(Mood::Lost);
    let (to, news) = channel();
    let listener = move |event: Event<'_>| {
        if let Event::Trouble { what } = event {
            let _ = to.send(what.to_owned());
        }
    };
    let models = move || Some(Arc::clone(&lost));
    let _worker = Worker::start(spool, Style::default(), models, listener, Pulse::default());
    let told = hear(&news);
    assert!(
        told.contains("compute.device") && !told.contains("--"),
        "{told}"
    );
}
