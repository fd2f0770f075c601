//! A watched folder: whoever can copy a file there can send a scan.
//!
//! A file, a case folder with `imaging.nii.gz`, or a folder with DICOM files is taken once nothing about it has changed for a while, and
//! is moved to `taken/` then; what is no scan is moved to `refused/` with a text beside it. Of a DICOM folder every CT series becomes a
//! scan, packed as one file. Names only ever are a name in these folders; links, devices and hidden names are left alone, and so
//! are folders with nothing of that in them.
//!
//! What cannot be taken or moved away, for instance since it belongs to somebody else, holds up nothing else in the folder.

mod look;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nephrobox_imaging::ScanReader;
use nephrobox_imaging::dicom::{DicomError, SeriesFiles, is_dicom, sort_out};
use nephrobox_imaging::files;
use nephrobox_shared::words;

use self::look::{Look, Thing, look_at};
use super::{IntakeError, Put, Turn, put};
use crate::failure::{Failure, sentence};
use crate::panics::caught;
use crate::scan;
use crate::spool::{Refusal, ScanId, Spool};
use crate::storage::Storage;

/// Folder of scans that are in the queue.
pub const TAKEN: &str = "taken";
/// Folder of files that are no scans.
pub const REFUSED: &str = "refused";
/// How the name of a file begins that a series is packed into. One is left behind only by a kill or a power cut, until the next start.
const PACKING: &str = ".packing-";

/// What happened to a scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It is in the queue, and its file or folder moved to `taken/`.
    Taken(ScanId),
    /// It is no scan, or one that will never fit. Its file or folder is moved to `refused/`, or to `taken/` for other series in it.
    Refused(String),
    /// There is no room now; it stays and is tried again.
    Waits(Refusal),
}

/// What came of trying to take something.
enum Tried {
    /// Every scan in it has been taken or refused.
    Done(Vec<Seen>),
    Waits(Refusal),
    /// It was not as quiet as it looked.
    Changed,
    /// There is nothing in it that could be a scan.
    Nothing,
}

/// What is known of a name in the folder.
struct Known {
    look: Look,
    /// Since when it looks like this, or was last tried.
    since: Instant,
    /// There is nothing in it as long as it looks like this.
    nothing: bool,
    /// What became of it, if it only could not be moved away.
    done: Option<Vec<Seen>>,
}

impl Known {
    fn new(look: Look, since: Instant) -> Self {
        Self {
            look,
            since,
            nothing: false,
            done: None,
        }
    }
}

/// The watched folder.
pub struct Watched {
    folder: PathBuf,
    source: String,
    quiet: Duration,
    fast: bool,
    known: BTreeMap<OsString, Known>,
}

impl Watched {
    /// Watches `folder`, which is made if it is not there. `source` names it in records; a scan must be unchanged for `quiet`.
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
        for entry in fs::read_dir(folder)? {
            let name = entry?.file_name();
            if name.as_encoded_bytes().starts_with(PACKING.as_bytes()) {
                fs::remove_file(folder.join(name))?;
            }
        }
        Ok(Self {
            folder: folder.to_owned(),
            source: source.into(),
            quiet,
            fast,
            known: BTreeMap::new(),
        })
    }

    /// Looks at the folder at `now` and takes what has been quiet for long enough. Call it every second or so.
    pub fn turn<S: Storage>(&mut self, spool: &Spool<S>, now: Instant) -> Turn<Seen> {
        let mut turn = Turn::new();
        match self.names() {
            Ok(names) => {
                self.known.retain(|name, _| names.contains(name));
                for name in names {
                    let visited = self.visit(spool, &name, now, &mut turn.news);
                    turn.note(visited);
                }
            }
            Err(error) => turn.note(Err(IntakeError::unlisted(&self.folder, error))),
        }
        turn
    }

    /// What lies in the folder, but for what is the box's own or hidden.
    fn names(&self) -> io::Result<BTreeSet<OsString>> {
        let mut names = BTreeSet::new();
        for entry in fs::read_dir(&self.folder)? {
            let name = entry?.file_name();
            let ours = name == OsStr::new(TAKEN) || name == OsStr::new(REFUSED);
            if !ours && !name.as_encoded_bytes().starts_with(b".") {
                names.insert(name);
            }
        }
        Ok(names)
    }

    /// Looks at one name, and takes it if it has been quiet for long enough.
    fn visit<S: Storage>(
        &mut self,
        spool: &Spool<S>,
        name: &OsStr,
        now: Instant,
        news: &mut Vec<Seen>,
    ) -> Result<(), IntakeError> {
        let Some((thing, look)) = look_at(&self.folder.join(name)) else {
            self.known.remove(name);
            return Ok(());
        };
        let known = self.known.entry(name.to_owned());
        let known = known.or_insert_with(|| Known::new(look, now));
        if known.look != look {
            *known = Known::new(look, now);
        }
        if known.nothing || now.duration_since(known.since) < self.quiet {
            return Ok(());
        }
        if let Some(done) = known.done.clone() {
            return self.put_away(name, done);
        }
        // What brings a fault out must not do so again, in this process or the next: it is put away like what is no scan.
        let tried = caught(|| match &thing {
            Thing::Scan(file) => self.take_file(spool, file, look),
            Thing::Folder(files) => self.take_series(spool, files),
        });
        let refused = |why| Ok(Tried::Done(vec![Seen::Refused(why)]));
        let mut again = Known::new(look, now);
        match tried.unwrap_or_else(refused)? {
            Tried::Done(what) => {
                // Told even if it cannot be moved away: it is in the queue, or was refused.
                news.extend(what.iter().cloned());
                return self.put_away(name, what);
            }
            Tried::Waits(refusal) => {
                news.push(Seen::Waits(refusal));
                // A series would be packed anew every second.
                if let Thing::Scan(_) = thing {
                    return Ok(());
                }
            }
            Tried::Changed => {}
            Tried::Nothing => again.nothing = true,
        }
        self.known.insert(name.to_owned(), again);
        Ok(())
    }

    /// Puts a file into the queue.
    fn take_file<S: Storage>(
        &self,
        spool: &Spool<S>,
        path: &Path,
        look: Look,
    ) -> Result<Tried, IntakeError> {
        let refused = |why: String| Ok(Tried::Done(vec![Seen::Refused(why)]));
        if is_dicom(path) {
            return refused(
                "this is one DICOM file; put all files of the series into a folder, and the folder here".into(),
            );
        }
        if look.bytes > 0
            && let Err(Failure { told, .. }) = scan::open(path)
        {
            return refused(told.short());
        }
        // Asked before all of it is read, since a full box tries every file that waits again every second.
        if let Some(refusal @ Refusal::Full { .. }) = spool.make_room(look.bytes)? {
            return Ok(Tried::Waits(refusal));
        }
        let Ok(mut file) = open_plain(path) else {
            return Ok(Tried::Changed);
        };
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Ok(
            match put(spool, &mut file, &name, &self.source, self.fast)? {
                Put::Taken(id) => Tried::Done(vec![Seen::Taken(id)]),
                Put::Refused(refusal @ Refusal::Full { .. }) => Tried::Waits(refusal),
                Put::Refused(refusal) => return refused(refusal.to_string()),
                Put::Changed => Tried::Changed,
            },
        )
    }

    /// Puts every CT series among the files of a folder into the queue.
    fn take_series<S: Storage>(
        &self,
        spool: &Spool<S>,
        files: &[PathBuf],
    ) -> Result<Tried, IntakeError> {
        // Other files are left out here already: archives among them are not opened, as they are not in any folder.
        let images: Vec<_> = files
            .iter()
            .filter(|path| is_dicom(path))
            .cloned()
            .collect();
        if images.is_empty() {
            return Ok(Tried::Nothing);
        }
        let sorted = match sort_out(&images) {
            Ok(sorted) => sorted,
            Err(error) => return Ok(Tried::Done(vec![Seen::Refused(sentence(&error))])),
        };
        let mut seen = Vec::with_capacity(sorted.len());
        let mut trouble = None;
        for series in &sorted {
            match self.take_one(spool, series) {
                Ok(Tried::Done(what)) => seen.extend(what),
                Ok(other) => return Ok(other),
                // Those behind it go into the queue all the same, and are told of when all have.
                Err(error) => {
                    trouble.get_or_insert(error);
                }
            }
        }
        trouble.map_or(Ok(Tried::Done(seen)), Err)
    }

    /// Packs a series and puts it into the queue.
    fn take_one<S: Storage>(
        &self,
        spool: &Spool<S>,
        series: &SeriesFiles,
    ) -> Result<Tried, IntakeError> {
        let refused = |why: String| {
            let (slices, first) = (series.count(), series.first());
            let first = first.strip_prefix(&self.folder).unwrap_or(first).display();
            let why = format!("{slices} slices like {first}: {why}");
            Ok(Tried::Done(vec![Seen::Refused(why)]))
        };
        if let Err(error) = ScanReader::open_sorted(series) {
            return refused(sentence(&error));
        }
        let here = |error| IntakeError::unpacked(&self.folder, error);
        let mut packed = tempfile::Builder::new()
            .prefix(PACKING)
            .tempfile_in(&self.folder)
            .map_err(here)?;
        let slices = match series.pack(packed.as_file_mut()) {
            Ok(packed) => packed.slices,
            Err(DicomError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Ok(Tried::Changed);
            }
            Err(DicomError::NotPacked { source, .. } | DicomError::Io { source, .. }) => {
                return Err(here(source));
            }
            Err(_) => return Ok(Tried::Changed),
        };
        let name = format!("DICOM series of {slices} slices");
        Ok(
            match put(spool, packed.as_file_mut(), &name, &self.source, self.fast)? {
                Put::Taken(id) => Tried::Done(vec![Seen::Taken(id)]),
                Put::Refused(refusal @ Refusal::Full { .. }) => Tried::Waits(refusal),
                Put::Refused(refusal) => return refused(refusal.to_string()),
                Put::Changed => Tried::Changed,
            },
        )
    }

    /// Moves a file or folder out of sight, or remembers what became of it, so that it is neither taken nor told of again.
    fn put_away(&mut self, name: &OsStr, what: Vec<Seen>) -> Result<(), IntakeError> {
        let Err(error) = self.move_away(name, &what) else {
            self.known.remove(name);
            return Ok(());
        };
        if let Some(known) = self.known.get_mut(name) {
            known.done = Some(what);
        }
        Err(IntakeError::stays(&self.folder, error))
    }

    /// Moves a file or folder out of sight; one of the same name that is already there stays. What was refused of it stands in a text.
    fn move_away(&self, name: &OsStr, what: &[Seen]) -> io::Result<()> {
        let refused = self.folder.join(REFUSED);
        let taken = what.iter().any(|seen| matches!(seen, Seen::Taken(_)));
        let home = if taken {
            self.folder.join(TAKEN)
        } else {
            refused.clone()
        };
        let free = free_name(&home, name);
        let mut reasons = String::new();
        for seen in what {
            if let Seen::Refused(why) = seen {
                // It may quote names of files, which are for somebody's terminal now.
                reasons += &words::line(why);
                reasons.push('\n');
            }
        }
        let mut told = None;
        if !reasons.is_empty() {
            let mut text = if taken { name.to_owned() } else { free.clone() };
            text.push(".txt");
            let text = refused.join(free_name(&refused, &text));
            files::write(&text, reasons.as_bytes())?;
            told = Some(text);
        }
        if let Err(error) = fs::rename(self.folder.join(name), home.join(free)) {
            // It stays where it is, and every turn would add another text.
            if let Some(text) = told {
                let _ = fs::remove_file(text);
            }
            return Err(error);
        }
        files::sync_folder(&home)?;
        files::sync_folder(&self.folder)
    }
}

/// The name itself, or with a number before it if it is taken in `home`.
fn free_name(home: &Path, name: &OsStr) -> OsString {
    let mut free = name.to_owned();
    let mut number = 1;
    while home.join(&free).symlink_metadata().is_ok() {
        number += 1;
        free = format!("{number} ").into();
        free.push(name);
    }
    free
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
