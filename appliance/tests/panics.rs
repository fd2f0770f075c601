//! A fault in any part of a box that runs: what it costs, and that nothing is lost by it.
//!
//! The box is a process: this test program, started once more. Its log is the seam. Every part of the box writes there from its own
//! thread, and [`Fault`] listens in and panics at a line that a test names, with a patient's name in its words. Whoever runs the process
//! starts it again as systemd does.

#[path = "support/folder.rs"]
mod folder;
#[path = "support/home.rs"]
mod home;
#[path = "../../imaging/tests/dicom/series.rs"]
mod series;
mod support;

use std::fs;
use std::io::{Cursor, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use folder::holding;
use home::{Home, PATIENCE};
use nephrobox::audit;
use nephrobox::config::Config;
use nephrobox::logs::{self, Logs};
use nephrobox::run;
use nephrobox::storage::Folder;
use nephrobox_dimse::client::{Association, Object, Remote};
use nephrobox_link::cable::Cable;
use nephrobox_link::client::{Client, LinkError, Options};
use nephrobox_link::endpoint::Endpoint;
use nephrobox_link::message;
use support::{ORIGIN, SHAPE, SPACING, hu, names};
use tracing::field::{Field, Visit};
use tracing::span;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

/// What the words of the faults quote, and nobody may read.
const NAME: &str = "Zzyzx^Quentin";
/// Environment of the process: its configuration, the thread, the line, and the file that says that it has happened once.
const CONFIG: &str = "NEPHROBOX_TEST_CONFIG";
const THREAD: &str = "NEPHROBOX_TEST_THREAD";
const LINE: &str = "NEPHROBOX_TEST_LINE";
const MARK: &str = "NEPHROBOX_TEST_MARK";
/// A line that is none: the first progress of the scan at work, which the worker hears in the middle of it.
const PROGRESS: &str = "progress";
/// Instead of a mark: the fault comes as often as there is something about the first scan.
const FIRST_SCAN: &str = "00000001-";

/// Panics at a line of the log.
struct Fault {
    thread: String,
    line: String,
    mark: String,
    at_work: AtomicBool,
}

impl Fault {
    fn strike(&self) {
        if self.mark != FIRST_SCAN {
            if fs::exists(&self.mark).expect("a disk") {
                return;
            }
            fs::write(&self.mark, "").expect("written");
        }
        panic!("{NAME} is more than {} can bear", self.thread);
    }

    fn is_here(&self) -> bool {
        std::thread::current().name() == Some(&self.thread)
    }
}

/// What a line or a span says, and of which scan.
#[derive(Default)]
struct Said(String);

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if ["message", "scan"].contains(&field.name()) {
            self.0 = format!("{value:?}");
        }
    }
}

impl<S: tracing::Subscriber + for<'s> tracing_subscriber::registry::LookupSpan<'s>> Layer<S>
    for Fault
{
    fn on_event(&self, event: &tracing::Event<'_>, context: Context<'_, S>) {
        let mut said = Said::default();
        event.record(&mut said);
        if said.0.contains("work begins") {
            self.at_work.store(true, Ordering::SeqCst);
        }
        if !self.is_here() || !said.0.contains(&self.line) {
            return;
        }
        let scan = context.lookup_current();
        let scan = scan.and_then(|span| span.extensions().get::<String>().cloned());
        if self.mark != FIRST_SCAN || scan.is_some_and(|id| id.contains(FIRST_SCAN)) {
            self.strike();
        }
    }

    fn on_new_span(&self, span: &span::Attributes<'_>, id: &span::Id, context: Context<'_, S>) {
        let mut said = Said::default();
        span.record(&mut said);
        let first = said.0.contains(FIRST_SCAN);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(said.0);
        }
        let at_work = self.is_here() && self.at_work.swap(false, Ordering::SeqCst);
        if self.line == PROGRESS && at_work && first {
            self.strike();
        }
    }
}

#[test]
#[ignore = "no test by itself: the tests below start it as their box, and run it each time"]
fn the_box() {
    let Ok(config) = std::env::var(CONFIG) else {
        return; // whoever runs all ignored tests
    };
    let set = |name| std::env::var(name).expect("set");
    let config = Config::parse(&fs::read_to_string(config).expect("a file")).expect("right");
    let logs = Logs::open(&config.identity.state.join("logs")).expect("logs");
    let fault = Fault {
        thread: set(THREAD),
        line: set(LINE),
        mark: set(MARK),
        at_work: AtomicBool::new(false),
    };
    let subscriber = logs::subscriber(&config.log, &logs, std::io::stderr).expect("a level");
    tracing::subscriber::set_global_default(subscriber.with(fault)).expect("the first");
    let code = match run::serve(config, logs) {
        Ok(()) => 0,
        Err(failure) => {
            eprintln!("{failure}");
            failure.exit.code()
        }
    };
    std::process::exit(code.into());
}

/// A box with a fault in it, and whoever starts it again.
struct Faulty {
    home: Home,
    config: PathBuf,
    thread: &'static str,
    line: &'static str,
    mark: PathBuf,
    child: Option<Child>,
    cable: Cable,
    dicom: u16,
    page: u16,
}

impl Drop for Faulty {
    fn drop(&mut self) {
        self.kill();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

impl Faulty {
    /// One whose fault comes once, at a line of a thread.
    fn once(thread: &'static str, line: &'static str) -> Self {
        let home = Home::new();
        let mark = home.path("struck");
        Self::of(home, thread, line, mark)
    }

    /// One whose fault comes with the first scan, as often as that is touched.
    fn with_the_first_scan(thread: &'static str, line: &'static str) -> Self {
        Self::of(Home::new(), thread, line, FIRST_SCAN.into())
    }

    fn of(home: Home, thread: &'static str, line: &'static str, mark: PathBuf) -> Self {
        home.install(&home.small_model(1, true));
        let cable = Cable::lay().expect("a cable");
        let (dicom, page) = (free_port(), free_port());
        let more = format!(
            "[[destination]]\nkind = \"folder\"\npath = \"{}\"\n[serial]\ndevice = \"{}\"\n[status]\nlisten = \"127.0.0.1:{page}\"\n\
             [dicom]\nlisten = \"127.0.0.1:{dicom}\"\npeers = [{{ ae_title = \"CT1\" }}]\nquiet_s = 2\nmax_associations = 1\n",
            home.path("share").display(),
            cable.box_end().display(),
        );
        let config = home.path("box.toml");
        fs::write(&config, home.text(&more)).expect("written");
        let mut faulty = Self {
            home,
            config,
            thread,
            line,
            mark,
            child: None,
            cable,
            dicom,
            page,
        };
        faulty.start();
        faulty
    }

    fn start(&mut self) {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.home.path("stderr"))
            .expect("a file");
        let child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "the_box", "--ignored", "--nocapture"])
            .env(CONFIG, &self.config)
            .env(THREAD, self.thread)
            .env(LINE, self.line)
            .env(MARK, &self.mark)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        self.child = Some(child.expect("a process"));
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended, which is as good.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    fn stderr(&self) -> String {
        fs::read_to_string(self.home.path("stderr")).expect("words")
    }

    /// Waits until something is so.
    fn until(&self, what: &str, is: impl Fn() -> bool) {
        let until = Instant::now() + PATIENCE;
        while !is() {
            assert!(Instant::now() < until, "{what}: {}", self.stderr());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The process's end: that it ended with 1 and said which part is gone.
    fn ends_without(&mut self, part: &str) {
        let mut child = self.child.take().expect("it was started");
        let until = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = child.try_wait().expect("a process") {
                break status;
            }
            assert!(
                Instant::now() < until,
                "it goes on without the {part}: {}",
                self.stderr()
            );
            std::thread::sleep(Duration::from_millis(50));
        };
        assert_eq!(status.code(), Some(1), "{}", self.stderr());
        let words = format!("the {part} has ended, and the box does not run without it");
        assert!(self.stderr().contains(&words), "{}", self.stderr());
    }

    fn runs(&mut self) -> bool {
        let child = self.child.as_mut().expect("it was started");
        child.try_wait().expect("a process").is_none()
    }

    /// Waits for so many results at the destination; returns their files by scan.
    fn delivered(&self, count: usize) -> Vec<(String, Vec<String>)> {
        let share = self.home.path("share");
        let there = || {
            let names = if share.exists() {
                names(&share)
            } else {
                vec![]
            };
            names.into_iter().filter(|name| !name.starts_with('.'))
        };
        self.until("delivered", || there().count() >= count);
        there()
            .map(|id| (id.clone(), names(&share.join(id))))
            .collect()
    }

    /// Stores the phantom's series as `CT1` does.
    fn store(&self) -> Result<(), String> {
        let slices = series::of(series::order([false; 3]), SHAPE, SPACING, ORIGIN, &hu);
        let folder = self.home.path("series");
        fs::create_dir_all(&folder).expect("a folder");
        let files = series::save(&folder, &slices, series::in_order);
        let open = |path: &PathBuf| Object::open(path).expect("an object");
        let mut objects: Vec<_> = files.iter().map(open).collect();
        let remote = Remote::new("127.0.0.1", self.dicom, "NEPHROBOX", "CT1");
        let opened = Association::open(&remote, &[objects[0].context()]);
        let mut association = opened.map_err(|error| error.to_string())?;
        for object in &mut objects {
            let stored = association.store(object);
            stored.map_err(|error| error.to_string())?;
        }
        association.release().map_err(|error| error.to_string())
    }

    /// One page of the box, if there is any.
    fn page(&self, path: &str) -> String {
        let mut answer = Vec::new();
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.page)) {
            let asked = write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n");
            // It may be stopping, and is asked again.
            let _ = asked.and_then(|()| stream.read_to_end(&mut answer));
        }
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// What holds after every fault: it stands in the log with its place and without its words, and the audit log is whole.
    fn ends_well(mut self) {
        self.kill();
        let log = fs::read_to_string(self.home.path("state/logs/nephrobox.log")).expect("a log");
        let told = log
            .lines()
            .find(|line| line.contains("a fault in nephrobox"));
        let told = told.expect("a line about it");
        assert!(told.contains("tests/panics.rs:"), "{told}");
        assert!(told.contains("kept back"), "{told}");
        let quoting = holding(&self.home.path("."), "Zzyzx");
        assert!(quoting.is_empty(), "{quoting:?} quote a patient");
        let folder = Folder::open(&self.home.path("state/audit")).expect("a folder");
        audit::verify(&folder).expect("a whole chain");
    }
}

#[test]
fn a_part_that_panics_ends_the_process_with_1_and_the_next_one_goes_on_where_it_was() {
    for (part, line) in [
        ("worker", "work begins"),
        ("outbox", "delivered"),
        ("watched folder", "received"),
        ("models", "a model is in use"),
    ] {
        let mut faulty = Faulty::once(part, line);
        faulty.home.drop_in("case.nii", &faulty.home.phantom(1));
        faulty.ends_without(part);
        faulty.start();
        let delivered = faulty.delivered(1);
        assert!(delivered[0].1.contains(&"report.json".into()), "{part}");
        let taken = faulty.home.path("inbox/taken/case.nii");
        faulty.until("put away", || taken.exists());
        assert_eq!(faulty.delivered(1).len(), 1, "{part}: once");
        faulty.ends_well();
    }
}

#[test]
fn a_panic_where_a_series_is_taken_costs_none_of_its_slices() {
    let mut faulty = Faulty::once("series", "received");
    faulty.until("stored", || faulty.store().is_ok());
    faulty.ends_without("series");
    faulty.start();
    let delivered = faulty.delivered(1);
    assert!(
        delivered[0].1.contains(&"segmentation.dcm".into()),
        "{delivered:?}"
    );
    faulty.ends_well();
}

#[test]
fn a_panic_while_a_tool_on_the_cable_is_answered_costs_its_session() {
    // Told where a desk refuses something, in the middle of its work.
    let mut faulty = Faulty::once("tokio-rt-worker", "not taken");
    let options = Options {
        patience: PATIENCE,
        ..Options::default()
    };
    let endpoint = Endpoint::Serial(faulty.cable.tool_end().to_owned());
    let mut tool = Client::connect(&endpoint, &options).expect("a box at the other end");
    let package = message::Object::Package {
        hash: [7; 32],
        version: 9,
        key: [7; 16],
        permit: None,
        dry_run: false,
    };
    // The first answer never comes; the tool greets again, asks again, and is refused in words.
    let refused = tool
        .put(&package, &mut Cursor::new(b"nothing"), &mut |_| {})
        .expect_err("nobody trusts that key");
    assert!(faulty.mark.exists(), "{refused}");
    assert!(matches!(refused, LinkError::Refused(_)), "{refused}");
    faulty.home.drop_in("case.nii", &faulty.home.phantom(1));
    faulty.delivered(1);
    assert!(faulty.runs());
    faulty.ends_well();
}

#[test]
fn a_panic_on_the_serial_line_ends_the_process() {
    let mut faulty = Faulty::once("tokio-rt-worker", "the port is open");
    faulty.ends_without("serial line");
    faulty.start();
    faulty.home.drop_in("case.nii", &faulty.home.phantom(1));
    faulty.delivered(1);
    faulty.ends_well();
}

#[test]
fn a_scan_that_makes_the_work_panic_is_set_aside_after_two_tries_and_the_box_goes_on_with_the_next()
{
    let mut faulty = Faulty::with_the_first_scan("worker", PROGRESS);
    faulty.home.drop_in("1.nii", &faulty.home.phantom(1));
    faulty.home.drop_in("2.nii", &faulty.home.phantom(2));
    let delivered = faulty.delivered(2);
    let (first, second) = (&delivered[0], &delivered[1]);
    assert!(first.0.starts_with(FIRST_SCAN), "{delivered:?}");
    assert_eq!(first.1, ["failure.json", "failure.txt"]);
    assert!(second.1.contains(&"report.json".into()), "{delivered:?}");
    let why = faulty.home.path("share").join(&first.0).join("failure.txt");
    let why = fs::read_to_string(why).expect("a reason");
    assert!(why.contains("broke off 2 times"), "{why}");
    assert!(why.contains("a fault in nephrobox, see its log"), "{why}");
    assert!(faulty.runs(), "the process is the same");
    let state = faulty.page("/status.json");
    assert!(state.contains("\"aside\":1"), "{state}");
    faulty.ends_well();
}

#[test]
fn a_scan_that_brings_the_process_down_does_so_twice() {
    let mut faulty = Faulty::with_the_first_scan("worker", "work begins");
    faulty.home.drop_in("1.nii", &faulty.home.phantom(1));
    faulty.home.drop_in("2.nii", &faulty.home.phantom(2));
    for _ in 0..2 {
        faulty.ends_without("worker");
        faulty.start();
    }
    let delivered = faulty.delivered(2);
    assert_eq!(delivered[0].1, ["failure.json", "failure.txt"]);
    assert!(
        delivered[1].1.contains(&"report.json".into()),
        "{delivered:?}"
    );
    assert!(faulty.runs());
    faulty.ends_well();
}

#[test]
fn a_panel_that_panics_is_begun_anew_and_the_box_says_so() {
    // The picture of the panel cannot replace a folder, which is told of where it is drawn.
    let home = Home::new();
    fs::create_dir(home.path("panel.png")).expect("a folder");
    let mark = home.path("struck");
    let mut faulty = Faulty::of(home, "tokio-rt-worker", "panel.png", mark);
    faulty.until("said", || {
        faulty.page("/").contains("the panel cannot be drawn")
    });
    fs::remove_dir(faulty.home.path("panel.png")).expect("removed");
    let picture = faulty.home.path("panel.png");
    faulty.until("drawn", || picture.is_file());
    faulty.home.drop_in("case.nii", &faulty.home.phantom(1));
    faulty.delivered(1);
    assert!(faulty.runs());
    faulty.ends_well();
}

#[test]
fn a_panic_where_connections_are_taken_leaves_the_dicom_port_open() {
    let mut faulty = Faulty::once("dicom", "a DICOM association was not taken");
    faulty.until("listening", || {
        TcpStream::connect(("127.0.0.1", faulty.dicom)).is_ok()
    });
    // One place, eight that are refused in words, and one more for whom there is not even that.
    faulty.until("struck", || {
        crowd_in(faulty.dicom);
        faulty.mark.exists()
    });
    faulty.until("stored", || faulty.store().is_ok());
    faulty.delivered(1);
    assert!(faulty.runs());
    faulty.ends_well();
}

/// Holds twelve connections that say nothing, for a moment.
fn crowd_in(port: u16) {
    let silent: Vec<_> = (0..12)
        .filter_map(|_| TcpStream::connect(("127.0.0.1", port)).ok())
        .collect();
    std::thread::sleep(Duration::from_millis(200));
    drop(silent);
}
