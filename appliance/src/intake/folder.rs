//! A watched folder: whoever can copy a file there can send a scan.
//!
//! A file, or a case folder with `imaging.nii.gz`, is taken once neither its size nor its time has changed for a while, and
//! is moved to `taken/` then; what is no scan is moved to `refused/` with a text beside it. Names only ever are a name in
//! these folders; links, devices and hidden names are left alone.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use crate::failure::Failure;
use crate::scan;
use crate::spool::{Begin, Incoming, Refusal, ScanId, Spool, SpoolError};
use crate::storage::Storage;

/// Folder of scans that are in the queue.
pub const TAKEN: &str = "taken";
/// Folder of files that are no scans.
pub const REFUSED: &str = "refused";

/// What happened to a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It is in the queue, and moved to `taken/`.
    Taken(ScanId),
    /// It is no scan, or one that will never fit; it is moved to `refused/`.
    Refused(String),
    /// There is no room now; it stays and is tried again.
    Waits(Refusal),
}

/// How a file looked.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Look {
    bytes: u64,
    changed: Option<SystemTime>,
}

/// The watched folder.
pub struct Watched {
    folder: PathBuf,
    source: String,
    quiet: Duration,
    fast: bool,
    looks: BTreeMap<OsString, (Look, Instant)>,
}

impl Watched {
    /// Watches `folder`, which is made if it is not there. `source` names it in records; a file must be unchanged for `quiet`.
    ///
    /// # Errors
    /// When the folders cannot be made.
    pub fn open(
        folder: &Path,
        source: impl Into<String>,
        quiet: Duration,
        fast: bool,
    ) -> io::Result<Self> {
        for below in [TAKEN, REFUSED] {
            fs::create_dir_all(folder.join(below))?;
        }
        Ok(Self {
            folder: folder.to_owned(),
            source: source.into(),
            quiet,
            fast,
            looks: BTreeMap::new(),
        })
    }

    /// Looks at the folder at `now` and takes what has been quiet for long enough. Call it every second or so.
    ///
    /// # Errors
    /// When the folder or the queue's disk refuses; nothing is lost and the next turn goes on.
    pub fn turn<S: Storage>(
        &mut self,
        spool: &Spool<S>,
        now: Instant,
    ) -> Result<Vec<Seen>, SpoolError> {
        let here = |error| SpoolError::Storage {
            place: self.folder.display().to_string(),
            source: error,
        };
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(here)? {
            names.push(entry.map_err(here)?.file_name());
        }
        names.sort_unstable();
        self.looks.retain(|name, _| names.contains(name));
        let mut seen = Vec::new();
        for name in names {
            let ours = name == OsStr::new(TAKEN) || name == OsStr::new(REFUSED);
            if ours || name.as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let path = self.folder.join(&name);
            let Some((file, look)) = look_at(&path) else {
                self.looks.remove(&name);
                continue;
            };
            let known = self.looks.entry(name.clone()).or_insert((look, now));
            if known.0 != look {
                *known = (look, now);
            }
            if now.duration_since(known.1) < self.quiet {
                continue;
            }
            match self.take(spool, &file, look) {
                Ok(Some(what)) => {
                    self.put_away(&name, &what)
                        .map_err(|error| SpoolError::Storage {
                            // Not the file, whose name may be a patient's: this is shown and logged.
                            place: self.folder.display().to_string(),
                            source: error,
                        })?;
                    seen.push(what);
                }
                // It changed while it was read.
                Ok(None) => *self.looks.entry(name).or_insert((look, now)) = (look, now),
                Err(error) => return Err(error),
            }
        }
        Ok(seen)
    }

    /// Puts a file into the queue. `None` if it turned out not to be quiet.
    fn take<S: Storage>(
        &self,
        spool: &Spool<S>,
        path: &Path,
        look: Look,
    ) -> Result<Option<Seen>, SpoolError> {
        if look.bytes > 0
            && let Err(Failure { what, remedy, .. }) = scan::open(path)
        {
            return Ok(Some(Seen::Refused(format!("{what}; {remedy}"))));
        }
        let Ok(mut file) = open_plain(path) else {
            return Ok(None);
        };
        let mut hasher = blake3::Hasher::new();
        if hasher.update_reader(&mut file).is_err() || file.rewind().is_err() {
            return Ok(None);
        }
        let incoming = Incoming {
            bytes: look.bytes,
            blake3: hasher.finalize(),
            file_name: path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            source: self.source.clone(),
            fast: self.fast,
        };
        let (id, offset) = match spool.begin(&incoming)? {
            Begin::Accepted(id) => return Ok(Some(Seen::Taken(id))),
            Begin::Refused(refusal @ Refusal::Full { .. }) => {
                return Ok(Some(Seen::Waits(refusal)));
            }
            Begin::Refused(refusal) => return Ok(Some(Seen::Refused(refusal.to_string()))),
            Begin::Receive { id, offset } => (id, offset),
        };
        let sent = send(spool, id, offset, &mut file);
        spool.pause(id);
        match sent {
            Ok(true) => Ok(Some(Seen::Taken(id))),
            Ok(false)
            | Err(SpoolError::Hash(_) | SpoolError::TooMany { .. } | SpoolError::Short { .. }) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Moves a file out of sight; one of the same name that is already there stays.
    fn put_away(&mut self, name: &OsStr, what: &Seen) -> io::Result<()> {
        let below = match what {
            Seen::Taken(_) => TAKEN,
            Seen::Refused(_) => REFUSED,
            Seen::Waits(_) => return Ok(()),
        };
        let home = self.folder.join(below);
        let mut free = name.to_owned();
        let mut number = 1;
        while home.join(&free).symlink_metadata().is_ok() {
            number += 1;
            free = format!("{number} ").into();
            free.push(name);
        }
        if let Seen::Refused(why) = what {
            let mut text = free.clone();
            text.push(".txt");
            fs::write(home.join(text), format!("{why}\n"))?;
        }
        fs::rename(self.folder.join(name), home.join(free))?;
        File::open(&home)?.sync_all()?;
        File::open(&self.folder)?.sync_all()?;
        self.looks.remove(name);
        Ok(())
    }
}

/// The file that a name in the folder stands for, and how it looks; `None` for what is left alone.
fn look_at(path: &Path) -> Option<(PathBuf, Look)> {
    let plain = |path: PathBuf| {
        let found = path.symlink_metadata().ok()?;
        let look = Look {
            bytes: found.len(),
            changed: found.modified().ok(),
        };
        found.is_file().then_some((path, look))
    };
    if path.symlink_metadata().ok()?.is_dir() {
        scan::IMAGING.iter().find_map(|name| plain(path.join(name)))
    } else {
        plain(path.to_owned())
    }
}

/// Opens a file and nothing else: no link is followed, and no pipe waited for.
fn open_plain(path: &Path) -> io::Result<File> {
    use rustix::fs::OFlags;
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::other("it is no file"))
    }
}

/// Sends the bytes from `offset` on. `false` if the file cannot be read to its end.
fn send<S: Storage>(
    spool: &Spool<S>,
    id: ScanId,
    mut offset: u64,
    file: &mut File,
) -> Result<bool, SpoolError> {
    if file.seek(io::SeekFrom::Start(offset)).is_err() {
        return Ok(false);
    }
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => offset = spool.write(id, offset, &buffer[..read])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Ok(false),
        }
    }
    spool.finish(id)?;
    Ok(true)
}
