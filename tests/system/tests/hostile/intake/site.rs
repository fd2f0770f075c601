//! A box that runs, bounded in memory, for inputs that come in at its doors.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nephrobox_link::cable::Quality;
use nephrobox_link::client::Client;
use nephrobox_system::Exe;
use tempfile::TempDir;

use crate::ground::Ground;
use crate::run::{BOX_KIB, unfit};
use crate::support::{Home, Kind, PATIENCE, flash, status};

/// The largest scan, and the largest object of a series, that it takes.
pub(super) const MOST_BYTES: u64 = 4_000_000;

/// The box.
pub(super) struct Site {
    pub(super) home: Home,
    /// Of DICOM.
    pub(super) port: u16,
    /// Of the status page.
    pub(super) page: u16,
    /// Of the line over the network.
    pub(super) tls: u16,
    /// Certificates, see [`tls`](super::tls).
    pub(super) certificates: PathBuf,
    /// The watched folder.
    pub(super) watch: PathBuf,
    /// Holds the program that bounds itself.
    _program: TempDir,
}

/// Everything that still comes until the other end is gone.
///
/// # Errors
/// It is not gone while there was patience.
pub(super) fn until_the_end(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    use io::ErrorKind::{TimedOut, WouldBlock};
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Err(error) if matches!(error.kind(), TimedOut | WouldBlock) => Err(error),
        // A reset is an end as well.
        _ => Ok(answer),
    }
}

/// Says something to a port of this machine, and gives what comes back until the other end is gone.
///
/// # Errors
/// Nobody listens, or the connection hangs.
pub(super) fn told_to(port: u16, bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    // The box may have answered, and be gone, before it has heard all of it.
    let _ = stream.write_all(bytes);
    until_the_end(&mut stream)
}

/// A port that nobody listens on just now.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

/// A program that becomes the box after it has bounded its memory.
fn bounded(ground: &Ground, folder: &Path) -> PathBuf {
    let path = folder.join("bounded");
    let program = ground.program.display();
    let text = format!("#!/bin/sh\nulimit -d {BOX_KIB} && exec \"{program}\" \"$@\"\n");
    fs::write(&path, text).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).expect("rights");
    path
}

impl Site {
    /// Starts it with a small model.
    pub(super) fn running(ground: &Ground) -> Self {
        let program = TempDir::new_in(ground.home()).expect("a folder");
        let watch = program.path().join("watched");
        let [port, page, tls] = [(); 3].map(|()| free_port());
        let certificates = program.path().join("tls");
        let own = super::tls::certificates(&certificates);
        let more = format!(
            "max_scan_bytes = {MOST_BYTES}\n\
             [status]\nlisten = \"127.0.0.1:{page}\"\n\
             [folder]\nwatch = \"{}\"\nquiet_s = 1\n\
             [compute]\ndevice = \"cpu\"\nthreads = 1\n\
             [dicom]\nlisten = \"127.0.0.1:{port}\"\npeers = [{{ ae_title = \"CT1\" }}]\nquiet_s = 2\n\
             max_object_bytes = {MOST_BYTES}\n\
             [tcp]\nlisten = \"127.0.0.1:{tls}\"\ncertificate = \"{}\"\nkey = \"{}\"\nclient_ca = \"{}\"\n",
            watch.display(),
            own.certificate.display(),
            own.key.display(),
            own.ca.display(),
        );
        let exe = Exe(bounded(ground, program.path()));
        let mut home = Home::of(exe, Quality::default(), &more);
        home.rig.start().expect("a box");
        let mut client = home.rig.client().expect("a line");
        let package = home.model(3, Kind::Good);
        assert!(flash(&mut client, &package).is_ok_and(|good| good));
        drop(client);
        // It is made, and looked at, once there is a model.
        let until = Instant::now() + PATIENCE;
        while !watch.is_dir() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
        }
        Self {
            home,
            port,
            page,
            tls,
            certificates,
            watch,
            _program: program,
        }
    }

    pub(super) fn client(&mut self) -> Client {
        self.home.rig.client().expect("a line")
    }

    /// Waits until nothing is on its way or in work any more.
    pub(super) fn rests(&mut self) -> Result<(), String> {
        let mut client = self.client();
        let until = Instant::now() + PATIENCE;
        loop {
            let state = status(&mut client);
            let rests = state["arriving_series"] == 0
                && state["queued"] == 0
                && state["activity"]["kind"] == "idle";
            if rests {
                return Ok(());
            }
            if Instant::now() > until {
                return Err(format!("the box does not come to rest: {state}"));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// What is wrong with the box after all that was done to it.
    ///
    /// # Errors
    /// It has ended, has set a scan aside, or its log says what no program may say.
    pub(super) fn is_well(&mut self) -> Result<(), String> {
        self.rests()?;
        let state = status(&mut self.client());
        if state["aside"] != 0 {
            return Err(format!("a scan stopped the worker: {state}"));
        }
        let log = fs::read_to_string(self.home.rig.log()).map_err(|error| error.to_string())?;
        for line in log.lines() {
            if let Some(why) = unfit(line) {
                return Err(format!("the log: {why}: {line}"));
            }
        }
        let state = serde_json::to_string(&state).map_err(|error| error.to_string())?;
        unfit(&state).map_or(Ok(()), |why| Err(format!("the status: {why}")))
    }
}
