//! A server for C-ECHO and C-STORE (Verification and Storage SCP).
//!
//! [`Server::start`] listens in a thread of its own and serves each association in another. The program behind it is a [`Desk`].

mod connection;
mod desk;
mod exchange;
mod negotiate;
mod settings;

use std::collections::HashMap;
use std::io::{self, PipeReader, PipeWriter};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};

pub use desk::{Denial, Desk, End, Event, Offer, Opened, Refusal, Sink, Who};
pub use settings::{BadSetting, Peer, Settings};

/// Connections beyond the limit that are heard only to be refused in words; further ones are closed at once.
const REFUSED_IN_WORDS: usize = 8;
/// How long the server waits after the system had no connection for it, or a fault, so that it does not spin.
const BREATH: Duration = Duration::from_millis(100);

/// Why a server cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A setting cannot be used.
    #[error(transparent)]
    Setting(#[from] BadSetting),
    /// The system gives no thread, or nothing to wait with.
    #[error("the DICOM server cannot start: {0}; the system is short of threads or file handles")]
    System(#[from] io::Error),
}

/// A running server. Dropped, it stops.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    listening: Option<JoinHandle<()>>,
    /// Closed, it wakes the listening thread.
    awake: Option<PipeWriter>,
}

struct Shared {
    settings: Settings,
    desk: Arc<dyn Desk>,
    stopping: AtomicBool,
    connections: Mutex<Connections>,
    /// A connection is over.
    over: Condvar,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("ae_title", &self.settings.ae_title)
            .finish_non_exhaustive()
    }
}

/// The connections that are served at this moment.
#[derive(Default)]
struct Connections {
    next: u64,
    served: HashMap<u64, Connection>,
}

struct Connection {
    socket: Arc<TcpStream>,
    place: Place,
}

/// How a connection is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Its address is that of a peer.
    Peer,
    /// Its address is that of no peer.
    Stranger,
    /// Only to tell it that there is no place.
    Refused,
}

impl Connections {
    fn count(&self, places: &[Place]) -> usize {
        self.served
            .values()
            .filter(|connection| places.contains(&connection.place))
            .count()
    }

    /// The place for one more connection, if there is any.
    ///
    /// Strangers get half of the places at most, so that whoever may only echo cannot keep out whoever may store.
    fn place(&self, settings: &Settings, address: IpAddr) -> Option<Place> {
        let max = settings.max_associations;
        let listed = settings.peers.iter().any(|peer| peer.is_at(address));
        let room = self.count(&[Place::Peer, Place::Stranger]) < max;
        if room && listed {
            Some(Place::Peer)
        } else if room && self.count(&[Place::Stranger]) < max.div_ceil(2) {
            Some(Place::Stranger)
        } else if self.count(&[Place::Refused]) < REFUSED_IN_WORDS {
            Some(Place::Refused)
        } else {
            None
        }
    }
}

impl Shared {
    fn connections(&self) -> MutexGuard<'_, Connections> {
        // Nothing that can panic runs while it is held, and a table of sockets is whole at any moment.
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in the table, free again when its thread is over, however that ends.
struct Held {
    shared: Arc<Shared>,
    number: u64,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.shared.connections().served.remove(&self.number);
        self.shared.over.notify_all();
    }
}

impl Server {
    /// Serves the connections of a listener.
    ///
    /// # Errors
    /// Settings that cannot be meant so; a system without threads or handles.
    pub fn start(
        listener: TcpListener,
        settings: Settings,
        desk: Arc<dyn Desk>,
    ) -> Result<Self, StartError> {
        settings.check()?;
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        let (asleep, awake) = io::pipe()?;
        let shared = Arc::new(Shared {
            settings,
            desk,
            stopping: AtomicBool::new(false),
            connections: Mutex::default(),
            over: Condvar::new(),
        });
        let listening = std::thread::Builder::new().name("dicom".into()).spawn({
            let shared = Arc::clone(&shared);
            move || {
                // A fault that a connection brings out must not make the server deaf for good.
                while catch_unwind(AssertUnwindSafe(|| listen(&shared, &listener, &asleep)))
                    .is_err()
                {
                    std::thread::sleep(BREATH);
                }
            }
        })?;
        Ok(Self {
            address,
            shared,
            listening: Some(listening),
            awake: Some(awake),
        })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections at this moment, those that are being refused included.
    pub fn connections(&self) -> usize {
        self.shared.connections().served.len()
    }

    /// Takes no more connections, cuts those there are, and waits until the last thread is over. Objects that are not whole are abandoned.
    pub fn stop(mut self) {
        self.halt();
    }

    fn halt(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        drop(self.awake.take());
        if let Some(listening) = self.listening.take() {
            // It has no result, and no panic ends it.
            let _ = listening.join();
        }
        let mut connections = self.shared.connections();
        for connection in connections.served.values() {
            // Closed already is as good.
            let _ = connection.socket.shutdown(Shutdown::Both);
        }
        while !connections.served.is_empty() {
            connections = self
                .shared
                .over
                .wait(connections)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.halt();
    }
}

/// Takes connections until the other end of the pipe is closed.
fn listen(shared: &Arc<Shared>, listener: &TcpListener, asleep: &PipeReader) {
    while !shared.stopping.load(Ordering::SeqCst) {
        let mut waiting = [
            PollFd::new(listener, PollFlags::IN),
            PollFd::new(asleep, PollFlags::IN),
        ];
        let taken = match poll(&mut waiting, None) {
            Ok(_) if !waiting[1].revents().is_empty() => return,
            Ok(_) => listener.accept(),
            Err(error) => Err(error.into()),
        };
        let taken = taken.and_then(|(socket, from)| admit(shared, socket, from.ip()));
        match taken.map_err(|error| error.kind()) {
            Ok(())
            | Err(
                // The connection was gone before it was taken.
                io::ErrorKind::WouldBlock
                | io::ErrorKind::Interrupted
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::ConnectionReset,
            ) => {}
            Err(kind) => {
                shared.desk.event(Event::Deaf(kind));
                std::thread::sleep(BREATH);
            }
        }
    }
}

/// Gives a connection its thread.
fn admit(shared: &Arc<Shared>, socket: TcpStream, address: IpAddr) -> io::Result<()> {
    let mut connections = shared.connections();
    let Some(place) = connections.place(&shared.settings, address) else {
        drop(connections);
        let who = Who::at(address);
        shared.desk.event(Event::Refused(who, Denial::Crowded));
        return Ok(());
    };
    let number = connections.next;
    connections.next += 1;
    let socket = Arc::new(socket);
    connections.served.insert(
        number,
        Connection {
            socket: Arc::clone(&socket),
            place,
        },
    );
    drop(connections);
    let held = Held {
        shared: Arc::clone(shared),
        number,
    };
    socket.set_nonblocking(false)?;
    socket.set_nodelay(true)?;
    std::thread::Builder::new()
        .name("dicom peer".into())
        .spawn(move || serve(&held, &socket, address, place))?;
    Ok(())
}

/// A connection's thread. A bug that a peer found costs its own connection.
fn serve(held: &Held, socket: &Arc<TcpStream>, address: IpAddr, place: Place) {
    let shared = &held.shared;
    let crowded = place == Place::Refused;
    let served = catch_unwind(AssertUnwindSafe(|| {
        connection::serve(&shared.settings, &*shared.desk, socket, address, crowded)
    }));
    let (who, end) = served.unwrap_or_else(|_| (Who::at(address), End::Panicked));
    let end = match end {
        End::Lost | End::Silent if shared.stopping.load(Ordering::SeqCst) => End::Stopped,
        end => end,
    };
    // A desk that panics here has no connection left to lose.
    let _ = catch_unwind(AssertUnwindSafe(|| {
        shared.desk.event(Event::Ended(who, end));
    }));
}
