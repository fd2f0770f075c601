//! A box without a network or a disk: it keeps what it is sent, and answers as its script says.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;

use nephrobox_link::cable::Cable;
use nephrobox_link::message::{
    Code, Hash, Item, ModelInfo, Object, Refused, Reply, Request, ScanState, SlotInfo, SlotState,
    SlotsState, VerdictInfo, Word, cut,
};
use nephrobox_link::serial::serve_port;
use nephrobox_link::server::{About, Announced, Desk, Speeds};
use nephroctl::failure::Failure;
use tokio::sync::oneshot;

use crate::support;

/// What a test tells the box, and what the box has seen.
pub(crate) struct Script {
    /// The slots as the next question finds them.
    pub(crate) slots: SlotsState,
    /// Whether a package passes its trial.
    pub(crate) good: bool,
    /// What becomes of a scan: an answer a question; the last one stays.
    pub(crate) states: VecDeque<ScanState>,
    /// Files of every scan's results.
    pub(crate) results: Vec<(String, Vec<u8>)>,
    /// What all other items are, as the box sends them.
    pub(crate) item: Vec<u8>,
    /// Refuse everything.
    pub(crate) refusal: Option<Refused>,
    /// Objects that came whole, with their bytes.
    pub(crate) received: Vec<(Object, Vec<u8>)>,
    /// What was announced, dry runs too.
    pub(crate) announced: Vec<Object>,
    /// Scans whose results are safe elsewhere, and whether `watched` was there when that was said.
    pub(crate) confirmed: Vec<(String, bool)>,
    /// Scans that were erased.
    pub(crate) erased: Vec<String>,
    /// A file to look for whenever somebody says that results are safe.
    pub(crate) watched: PathBuf,
    /// A file to put in the way of somebody who fetches results.
    pub(crate) obstacle: Option<PathBuf>,
    /// What comes in.
    pub(crate) coming: Option<(Object, Vec<u8>)>,
}

/// A slot with a model.
pub(crate) fn slot(state: SlotState, version: u64, hash: Hash) -> SlotInfo {
    SlotInfo {
        state,
        model: Some(ModelInfo {
            name: cut("kidney"),
            version,
            hash,
        }),
        received: 0,
        reason: None,
    }
}

/// The hash of the model that runs at first, in slot A.
pub(crate) const FIRST: Hash = [7; 32];

const EMPTY: SlotInfo = SlotInfo {
    state: SlotState::Empty,
    model: None,
    received: 0,
    reason: None,
};

impl Default for Script {
    fn default() -> Self {
        Self {
            slots: SlotsState {
                slots: [slot(SlotState::Confirmed, 3, FIRST), EMPTY],
                active: Some(0),
                verdict: None,
            },
            good: true,
            states: VecDeque::from([ScanState::Finished]),
            results: Vec::new(),
            item: Vec::new(),
            refusal: None,
            received: Vec::new(),
            announced: Vec::new(),
            confirmed: Vec::new(),
            erased: Vec::new(),
            watched: PathBuf::new(),
            obstacle: None,
            coming: None,
        }
    }
}

impl Script {
    /// The package in slot B goes a step on.
    fn proceed(&mut self) {
        let SlotsState {
            slots: [a, b],
            active,
            verdict,
        } = &mut self.slots;
        let Some(model) = &b.model else { return };
        let hash = model.hash;
        match b.state {
            SlotState::Written => b.state = SlotState::Trial,
            SlotState::Trial if self.good => {
                (b.state, *active) = (SlotState::Confirmed, Some(1));
                a.state = SlotState::Confirmed;
                let words = cut("its 2 slices came out right; it runs");
                *verdict = Some(VerdictInfo {
                    hash,
                    good: true,
                    words,
                });
            }
            SlotState::Trial => {
                let words: heapless::String<400> =
                    cut("slice 1 came out wrong; quantise the model again");
                b.state = SlotState::Bad;
                b.reason = Some(words.clone());
                *verdict = Some(VerdictInfo {
                    hash,
                    good: false,
                    words,
                });
            }
            _ => {}
        }
    }
}

/// The box: one for each test, which dies with it.
pub(crate) struct Fake {
    cable: Cable,
    script: Arc<Mutex<Script>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// The box goes before its cable: left alone, it would look for its port again, and find that of the next test's cable.
impl Drop for Fake {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
            && !std::thread::panicking()
        {
            panic!("the box did not end well");
        }
    }
}

impl Fake {
    /// Starts a box with a script.
    pub(crate) fn start(script: Script) -> Self {
        let cable = Cable::lay().expect("a cable");
        let port = cable.box_end().to_owned();
        let script = Arc::new(Mutex::new(script));
        let acted = Arc::clone(&script);
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            let about = About {
                software: "fake 1".into(),
                name: "ward-3".into(),
            };
            let speeds = Speeds {
                first: 115_200,
                fastest: 115_200,
            };
            runtime.block_on(async {
                tokio::select! {
                    never = serve_port(&port, speeds, &about, || FakeDesk(Arc::clone(&acted)), |_| {}) => match never {},
                    _ = stopped => {}
                }
            });
        });
        Self {
            cable,
            script,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// Calls `nephroctl` with these arguments and the line to this box.
    pub(crate) fn call(&self, arguments: &[&str]) -> Result<String, Failure> {
        let port = support::text(self.cable.tool_end());
        let line = ["--port", port, "--patience", "60"];
        support::call(&[arguments, &line].concat())
    }

    /// What it has seen.
    pub(crate) fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().expect("nobody panicked")
    }
}

struct FakeDesk(Arc<Mutex<Script>>);

impl FakeDesk {
    fn script(&self) -> Result<MutexGuard<'_, Script>, Refused> {
        let script = self.0.lock().expect("nobody panicked");
        match &script.refusal {
            Some(refusal) => Err(refusal.clone()),
            None => Ok(script),
        }
    }
}

impl Desk for FakeDesk {
    fn put(&mut self, object: &Object, _: u64, _: &Hash) -> Result<Announced, Refused> {
        let mut script = self.script()?;
        script.announced.push(object.clone());
        if let Object::Package { dry_run: true, .. } = object {
            return Ok(Announced::Have(cut("B")));
        }
        script.coming = Some((object.clone(), Vec::new()));
        Ok(Announced::From(0))
    }

    fn take(&mut self, _: u64, bytes: &[u8]) -> Result<(), Refused> {
        let mut script = self.script()?;
        let (_, have) = script.coming.as_mut().expect("announced");
        have.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(&mut self) -> Result<Word, Refused> {
        let mut script = self.script()?;
        let (object, bytes) = script.coming.take().expect("announced");
        let id = match &object {
            Object::Scan { .. } => format!("{:08}-0badf00d", script.received.len() + 1),
            Object::Package { hash, version, .. } => {
                script.slots.slots[1] = slot(SlotState::Written, *version, *hash);
                "B".into()
            }
        };
        script.received.push((object, bytes));
        Ok(cut(&id))
    }

    fn pause(&mut self) {}

    fn get(&mut self, item: &Item) -> Result<Vec<u8>, Refused> {
        let script = self.script()?;
        match item {
            Item::Results { .. } | Item::Exports { .. } => {
                if let Some(path) = &script.obstacle {
                    std::fs::write(path, "in the way").expect("written");
                }
                let list: Vec<_> = script
                    .results
                    .iter()
                    .map(|(name, bytes)| serde_json::json!({ "name": name, "bytes": bytes.len() }))
                    .collect();
                Ok(serde_json::Value::from(list).to_string().into_bytes())
            }
            Item::Result { name, .. } | Item::Export { name, .. } => {
                let mut results = script.results.iter();
                let found = results.find(|(listed, _)| listed == name.as_str());
                found
                    .map(|(_, bytes)| bytes.clone())
                    .ok_or_else(|| Refused::new(Code::Unknown, "there is no such file"))
            }
            _ => Ok(script.item.clone()),
        }
    }

    fn answer(&mut self, request: &Request) -> Result<Reply, Refused> {
        let mut script = self.script()?;
        match request {
            Request::Slots => {
                let state = script.slots.clone();
                script.proceed();
                Ok(Reply::Slots(state))
            }
            Request::Rollback { from } => {
                assert_eq!(*from, FIRST);
                script.slots.slots[1].state = SlotState::Written;
                Ok(Reply::Done)
            }
            Request::Scan { .. } => {
                let state = script.states.front().cloned().expect("a state");
                if script.states.len() > 1 {
                    script.states.pop_front();
                }
                Ok(Reply::Scan(state))
            }
            Request::Confirm { scan } => {
                let safe = script.watched.exists();
                script.confirmed.push((scan.as_str().to_owned(), safe));
                Ok(Reply::Done)
            }
            Request::Erase { scan } => {
                script.erased.push(scan.as_str().to_owned());
                Ok(Reply::Done)
            }
            _ => Err(Refused::new(Code::BadRequest, "nobody asks that")),
        }
    }
}
