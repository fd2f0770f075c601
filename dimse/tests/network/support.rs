//! A server with a desk that keeps everything in memory, and CT slices to send.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nephrobox_dimse::client::{Association, Context, Object, Remote};
use nephrobox_dimse::server::{Desk, Event, Offer, Peer, Refusal, Server, Settings, Sink};
use nephrobox_dimse::syntax::CT_IMAGE_STORAGE;

/// How long anything may take on a loaded machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// What the desk does with an object.
#[derive(Clone, Debug, Default)]
pub(crate) enum Mood {
    #[default]
    Keep,
    /// Refuses it before its bytes.
    Refuse(Refusal),
    /// Fails to write after so many bytes.
    FailAfter(usize),
    /// Refuses it after its bytes.
    RefuseLate(Refusal),
    /// Panics at its first byte.
    Panic,
}

/// A desk in memory.
#[derive(Default)]
pub(crate) struct Shelf {
    pub(crate) mood: Mutex<Mood>,
    pub(crate) stored: Mutex<Vec<(Offer, Vec<u8>)>>,
    pub(crate) events: Mutex<Vec<Event>>,
    pub(crate) abandoned: Mutex<usize>,
}

struct Bytes {
    shelf: Arc<Shelf>,
    offer: Offer,
    mood: Mood,
    file: Vec<u8>,
    finished: bool,
}

/// The desk as the server has it: sinks need the shelf for longer than a borrow.
pub(crate) struct Clerk(pub(crate) Arc<Shelf>);

impl Desk for Clerk {
    fn begin(&self, offer: &Offer) -> Result<Box<dyn Sink>, Refusal> {
        let mood = self.0.mood.lock().unwrap().clone();
        if let Mood::Refuse(refusal) = mood {
            return Err(refusal);
        }
        Ok(Box::new(Bytes {
            shelf: Arc::clone(&self.0),
            offer: offer.clone(),
            mood,
            file: Vec::new(),
            finished: false,
        }))
    }

    fn event(&self, event: Event) {
        self.0.events.lock().unwrap().push(event);
    }
}

impl Sink for Bytes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.mood {
            Mood::Panic => panic!("a bug in a sink, as the test wants it"),
            Mood::FailAfter(most) if self.file.len() + bytes.len() > most => {
                Err(io::ErrorKind::StorageFull.into())
            }
            _ => self.file.write_all(bytes),
        }
    }

    fn finish(mut self: Box<Self>) -> Result<(), Refusal> {
        self.finished = true;
        if let Mood::RefuseLate(refusal) = &self.mood {
            return Err(refusal.clone());
        }
        let kept = (self.offer.clone(), std::mem::take(&mut self.file));
        self.shelf.stored.lock().unwrap().push(kept);
        Ok(())
    }
}

impl Drop for Bytes {
    fn drop(&mut self) {
        if !self.finished {
            *self.shelf.abandoned.lock().unwrap() += 1;
        }
    }
}

impl Shelf {
    /// The first event that `wanted` knows, waited for.
    pub(crate) fn wait<T>(&self, wanted: impl Fn(&Event) -> Option<T>) -> T {
        let begin = Instant::now();
        loop {
            let found = self.events.lock().unwrap().iter().find_map(&wanted);
            if let Some(found) = found {
                return found;
            }
            assert!(
                begin.elapsed() < PATIENCE,
                "never came; what did: {:?}",
                self.events.lock().unwrap()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// How the next connection to end ended.
    pub(crate) fn end(&self) -> nephrobox_dimse::server::End {
        self.wait(|event| match event {
            Event::Ended(_, end) => Some(*end),
            _ => None,
        })
    }

    pub(crate) fn be(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }
}

/// A server that runs until it is dropped.
pub(crate) struct Running {
    pub(crate) shelf: Arc<Shelf>,
    pub(crate) server: Server,
}

/// Lets `SCANNER` store from this machine.
pub(crate) fn settings() -> Settings {
    let mut settings = Settings::new("NEPHROBOX");
    settings.peers = vec![Peer {
        name: "CT 1".into(),
        ae_title: "SCANNER".into(),
        address: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
    }];
    settings.negotiation = PATIENCE;
    settings.silence = PATIENCE;
    settings
}

pub(crate) fn run(settings: Settings) -> Running {
    let shelf = Arc::new(Shelf::default());
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let server = Server::start(listener, settings, Arc::new(Clerk(Arc::clone(&shelf)))).unwrap();
    Running { shelf, server }
}

impl Running {
    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The server, as `SCANNER` sees it.
    pub(crate) fn remote(&self) -> Remote {
        let mut remote = Remote::new("127.0.0.1", self.address().port(), "NEPHROBOX", "SCANNER");
        remote.negotiation = PATIENCE;
        remote.silence = PATIENCE;
        remote
    }

    /// An association for one object.
    pub(crate) fn open(&self, file: &[u8]) -> Association {
        Association::open(&self.remote(), &[Object::read(file).unwrap().context()]).unwrap()
    }

    /// The server answers an echo.
    pub(crate) fn is_well(&self) {
        let mut association = Association::open(&self.remote(), &[Context::echo()]).unwrap();
        association.echo().unwrap();
        association.release().unwrap();
    }
}

/// CT Image Storage in a transfer syntax.
pub(crate) fn ct(transfer_syntax: &str) -> Context {
    Context {
        sop_class_uid: CT_IMAGE_STORAGE.into(),
        transfer_syntax: transfer_syntax.into(),
    }
}
