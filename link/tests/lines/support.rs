//! A desk that remembers what it is sent, and ends of a line in one program.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;

use nephrobox_link::message::{
    Code, Hash, Item, Object, Refused, Reply, Request, ScanState, Word, cut,
};
use nephrobox_link::serial::serve_port;
use nephrobox_link::server::{About, Announced, Desk, Speeds};
use tokio::sync::oneshot;

/// What the desk has.
#[derive(Default)]
pub(crate) struct Shelf {
    /// Whole objects by id.
    pub(crate) kept: BTreeMap<String, Vec<u8>>,
    /// The object that comes in: hash, announced bytes, and what is there.
    pub(crate) begun: Option<(Hash, u64, Vec<u8>)>,
    /// How often an object was announced.
    pub(crate) announced: usize,
    /// How often a sender went away.
    pub(crate) paused: usize,
}

/// A desk in memory; clones share their shelf.
#[derive(Clone, Default)]
pub(crate) struct Memory(Arc<Mutex<Shelf>>);

impl Memory {
    /// What it has.
    pub(crate) fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.0.lock().expect("nobody panicked")
    }
}

impl Desk for Memory {
    fn put(&mut self, _object: &Object, bytes: u64, blake3: &Hash) -> Result<Announced, Refused> {
        let mut shelf = self.shelf();
        shelf.announced += 1;
        let id = id(blake3);
        if shelf.kept.contains_key(id.as_str()) {
            return Ok(Announced::Have(id));
        }
        if bytes == 0 {
            return Err(Refused::new(Code::Size, "nothing is in it"));
        }
        match &shelf.begun {
            Some((hash, _, have)) if hash == blake3 => Ok(Announced::From(have.len() as u64)),
            _ => {
                shelf.begun = Some((*blake3, bytes, Vec::new()));
                Ok(Announced::From(0))
            }
        }
    }

    fn take(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Refused> {
        let mut shelf = self.shelf();
        let (_, _, have) = shelf.begun.as_mut().expect("announced");
        assert_eq!(offset, have.len() as u64, "pieces come in order");
        have.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(&mut self) -> Result<Word, Refused> {
        let mut shelf = self.shelf();
        let (hash, bytes, have) = shelf.begun.take().expect("announced");
        assert_eq!(bytes, have.len() as u64);
        if *blake3::hash(&have).as_bytes() != hash {
            return Err(Refused::new(
                Code::Hash,
                "another object came than was announced",
            ));
        }
        shelf.kept.insert(id(&hash).as_str().into(), have);
        Ok(id(&hash))
    }

    fn pause(&mut self) {
        self.shelf().paused += 1;
    }

    fn get(&mut self, item: &Item) -> Result<Vec<u8>, Refused> {
        let Item::Result { scan, .. } = item else {
            return Ok(b"{}".to_vec());
        };
        let kept = self.shelf().kept.get(scan.as_str()).cloned();
        kept.ok_or_else(|| Refused::new(Code::Unknown, "no such scan; send it first"))
    }

    fn answer(&mut self, request: &Request) -> Result<Reply, Refused> {
        match request {
            Request::Scan { .. } => Ok(Reply::Scan(ScanState::Finished)),
            _ => Ok(Reply::Done),
        }
    }
}

fn id(hash: &Hash) -> Word {
    cut(&blake3::Hash::from_bytes(*hash).to_hex()[..8])
}

/// Bytes that do not repeat.
pub(crate) fn bytes(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}

/// A box at the end of a port; dropped, it lets go of the port, whose name another cable may then get.
pub(crate) struct Served {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Puts a box at the end of a port.
pub(crate) fn serve(port: &Path, speeds: Speeds, desk: Memory) -> Served {
    let port = port.to_owned();
    let (stop, stopped) = oneshot::channel();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let about = About {
            software: "test box".into(),
            name: "bench".into(),
        };
        runtime.expect("a runtime").block_on(async {
            tokio::select! {
                _ = serve_port(&port, speeds, &about, || desk.clone(), |_| {}) => {}
                _ = stopped => {}
            }
        });
    });
    Served {
        stop: Some(stop),
        thread: Some(thread),
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of a desk has been printed, and what it was to do is missing.
            let _ = thread.join();
        }
    }
}
