//! Slices that come in one by one, until they are a series.
//!
//! Every object that an archive or a scanner stores on the box lies here, synced, before the sender hears that it is stored. A series goes into the
//! queue as one file once as many slices are here as the files say, or when none has come for a while. It stays here for a
//! time after that: slices that come late make the series whole again, and it goes into the queue anew.
//!
//! Names on the disk are hashes: a series lies in the folder of the hash of who sent it and of its UIDs, an object in the file of the
//! hash of its bytes. Nothing that a peer says becomes part of a path.
//!
//! ```text
//! dicom/part/N              an object that is being received; gone after a start
//! dicom/series/HASH/HASH    an object
//! dicom/series/HASH/about   who sent it, and the scan it became
//! dicom/pack                a series on its way into the queue; gone after a start
//! ```

mod part;
mod series;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::{self, File};
use std::io::{self, Seek as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nephrobox_imaging::dicom::{DicomError, glance, pack_as_they_are, sort_out};
use nephrobox_imaging::files::sync_folder;

pub use part::{Part, Refused};
use series::{About, Object, Objects, Series};

use super::{IntakeError, Put, Turn, put};
use crate::panics::caught;
use crate::spool::{Refusal, ScanId, Spool};
use crate::storage::Storage;

/// How long a series whose count of slices is in waits for one more.
const SETTLE: Duration = Duration::from_secs(2);
/// How long a series that is in the queue stays here for slices that come late.
const LATE: Duration = Duration::from_hours(1);
/// What packing adds to each object, in bytes: a block that names it, and filling up to a block.
const PACKING_BYTES: u64 = 1024;
/// Folder of objects that are being received.
const PART: &str = "part";
/// Folder of the series.
const SERIES: &str = "series";
/// The file that is being packed.
const PACK: &str = "pack";
/// Most objects of a series; the reader takes no more.
const MOST_OBJECTS: usize = nephrobox_imaging::dicom::MAX_FILES;

/// Most series at once, so that many of one object each do not fill the disk's table of files.
const MOST_SERIES: usize = 2000;

/// Most objects of all series that a box gathers at once: each has a file, and some 300 bytes in memory.
pub const MOST_IN_ALL: usize = 16 * MOST_OBJECTS;

/// What the gatherer may take, and when a series is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// A series is whole when nothing of it has come for this long.
    pub quiet: Duration,
    /// Bytes of all that lies here; an object counts as the blocks of 4 KiB that it takes.
    pub most_bytes: u64,
    /// Objects of all series together.
    pub most_objects: usize,
    /// Bytes that stay free on the disk.
    pub floor_bytes: u64,
    /// Whether slices may be skipped by the network.
    pub fast: bool,
}

/// What became of a series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gathered {
    /// It is in the queue.
    Taken {
        /// The scan.
        id: ScanId,
        /// Who sent it, by the configuration.
        peer: String,
        /// Its objects.
        objects: usize,
    },
    /// It holds no slices, for instance localisers alone; it is removed.
    NoScan {
        /// Who sent it, by the configuration.
        peer: String,
    },
    /// There is no room in the queue now; it is tried again.
    Waits(Refusal),
    /// It will never fit into the queue; it is removed.
    Refused {
        /// Who sent it, by the configuration.
        peer: String,
        /// Why.
        reason: String,
    },
}

/// The name of a series' folder.
type Key = String;

#[derive(Debug, Default)]
struct Inner {
    series: BTreeMap<Key, Series>,
    /// Bytes of all objects, as they count against the limit.
    charged: u64,
    /// Number of the next part.
    next: u64,
    /// Series whose folders could not be listed at the start. They are left as they lie, and the next start tries again.
    unlisted: BTreeMap<Key, io::ErrorKind>,
}

/// Gathers objects into series. All its calls may come from any thread.
#[derive(Debug)]
pub struct Gatherer {
    folder: PathBuf,
    settings: Settings,
    inner: Mutex<Inner>,
}

impl Gatherer {
    /// Opens the folder, which is made if it is not there, and takes up what lies there.
    ///
    /// # Errors
    /// When the disk refuses. A series that it does not give back keeps neither the others nor the box from starting.
    pub fn open(folder: &Path, settings: Settings) -> io::Result<Self> {
        for gone in [folder.join(PART), folder.join(PACK)] {
            remove(&gone)?;
        }
        for below in [PART, SERIES] {
            fs::create_dir_all(folder.join(below))?;
        }
        let mut inner = Inner::default();
        let now = Instant::now();
        for entry in fs::read_dir(folder.join(SERIES))? {
            let entry = entry?;
            let Ok(key) = entry.file_name().into_string() else {
                continue;
            };
            match Series::load(&entry.path(), now) {
                Ok(Some(series)) => {
                    inner.charged += series.charge();
                    inner.series.insert(key, series);
                }
                // The power went between the folder and the first object in it.
                Ok(None) => remove(&entry.path())?,
                Err(error) => {
                    inner.unlisted.insert(key, error.kind());
                }
            }
        }
        Ok(Self {
            folder: folder.to_owned(),
            settings,
            inner: Mutex::new(inner),
        })
    }

    /// A place for an object that begins to come in.
    ///
    /// # Errors
    /// [`Refused::NoRoom`], and a disk that refuses.
    pub fn begin(&self) -> Result<Part, Refused> {
        let mut inner = self.lock();
        self.make_room(&mut inner)?;
        inner.next += 1;
        let path = self.folder.join(PART).join(inner.next.to_string());
        drop(inner);
        Ok(Part::create(path)?)
    }

    /// Takes an object that is whole. When this returns it survives a power cut.
    ///
    /// The same object again, byte for byte, is taken and changes nothing, but that it takes the place of the one that is here: so a
    /// series that the disk has damaged is whole again once it is sent again. If the queue would take the scan anew that the series became, for
    /// instance since it came in silent mode, so is the series.
    ///
    /// # Errors
    /// An object that cannot be read or belongs to no series, one too many of its series, a disk that refuses.
    pub fn take(&self, part: Part, peer: &str) -> Result<(), Refused> {
        let (path, hash, bytes) = part.close()?;
        let unreadable = |error: &DicomError| Refused::Unreadable(error.to_string());
        let glance = glance(&path)
            .map_err(|error| unreadable(&error))?
            .ok_or_else(|| Refused::Unreadable("it is no DICOM object".into()))?;
        let key = key(peer, &glance.study, &glance.series);
        let object = Object::new(bytes, &glance);
        let folder = self.folder.join(SERIES).join(&key);

        let mut inner = self.lock();
        // What lies there is unknown, and would go with the folder once this is in the queue.
        if let Some(&kind) = inner.unlisted.get(&key) {
            return Err(Refused::Disk(kind.into()));
        }
        self.make_room(&mut inner)?;
        let now = Instant::now();
        let Inner {
            series, charged, ..
        } = &mut *inner;
        let known = series.len();
        let series = match series.entry(key) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(_) if known >= MOST_SERIES => return Err(Refused::NoRoom),
            Entry::Vacant(new) => {
                fs::create_dir_all(&folder)?;
                let series = Series::new(peer, now);
                series.about.save(&folder)?;
                sync_folder(&self.folder.join(SERIES))?;
                new.insert(series)
            }
        };
        series.last = now;
        let here = series.objects.get(&hash);
        // One that could not be read at the start is none: with it the series is another than the one that went into the queue.
        let copy = here == Some(&object);
        if here.is_none() && series.objects.len() >= MOST_OBJECTS {
            return Err(Refused::TooMany);
        }
        // Before the object: a series that grew is not the scan that it became.
        series.again |= copy && series.taken.is_some();
        if !copy {
            series.reopen(&folder)?;
        }
        fs::rename(&path, folder.join(&hash))?;
        sync_folder(&folder)?;
        *charged += object.charge();
        if let Some(before) = series.objects.insert(hash, object) {
            *charged -= before.charge();
        }
        Ok(())
    }

    /// Puts what is whole at `now` into the queue, and forgets what has been there for long enough. Call it about every second.
    pub fn turn<S: Storage>(&self, spool: &Spool<S>, now: Instant) -> Turn<Gathered> {
        let mut turn = Turn::new();
        // First: what is to be a scan anew is not over.
        for key in self.keys(|series| series.again) {
            turn.note(self.take_anew(spool, &key));
        }
        for key in self.keys(|series| series.is_over(now)) {
            let removed = self.remove(&key, |series| series.is_over(now));
            turn.note(removed.map(|_| ()).map_err(|error| self.here(error)));
        }
        for key in self.keys(|series| series.is_whole(now, self.settings.quiet)) {
            let handed = self.hand_over(spool, &key, &mut turn.news);
            turn.note(handed);
            if let Some(Gathered::Waits(_)) = turn.news.last() {
                break; // the others come after it
            }
        }
        let unlisted = self.lock().unlisted.values().next().copied();
        if let Some(kind) = unlisted {
            turn.note(Err(self.here(kind.into())));
        }
        turn
    }

    /// Series that are not in the queue yet, and the objects of all of them.
    pub fn arriving(&self) -> (u64, u64) {
        let inner = self.lock();
        let open = inner
            .series
            .values()
            .filter(|series| series.taken.is_none() && !series.objects.is_empty());
        open.fold((0, 0), |(series, objects), one| {
            (series + 1, objects + one.objects.len() as u64)
        })
    }

    /// Removes the slices that a scan was made of, if they are still here.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn forget(&self, scan: ScanId) -> io::Result<()> {
        let scan = scan.to_string();
        let became = |series: &Series| series.about.scan.as_deref() == Some(scan.as_str());
        let keys = self.keys(became);
        keys.iter()
            .try_for_each(|key| self.remove(key, became).map(|_| ()))
    }

    fn keys(&self, is: impl Fn(&Series) -> bool) -> Vec<Key> {
        let inner = self.lock();
        let found = inner.series.iter().filter(|(_, series)| is(series));
        found.map(|(key, _)| key.clone()).collect()
    }

    /// Packs a series, puts it into the queue and tells so.
    fn hand_over<S: Storage>(
        &self,
        spool: &Spool<S>,
        key: &str,
        news: &mut Vec<Gathered>,
    ) -> Result<(), IntakeError> {
        let (peer, objects) = match self.lock().series.get(key) {
            Some(series) => (series.about.peer.clone(), series.objects.clone()),
            None => return Ok(()),
        };
        // Asked first, since packing costs.
        if let Some(refusal @ Refusal::Full { .. }) = spool.make_room(packed_bytes(&objects))? {
            news.push(Gathered::Waits(refusal));
            return Ok(());
        }
        let folder = self.folder.join(SERIES).join(key);
        let paths: Vec<_> = objects.keys().map(|name| folder.join(name)).collect();
        let pack = self.folder.join(PACK);
        let mut file = File::options()
            .create(true)
            .truncate(true)
            .read(true)
            .write(true)
            .open(&pack)
            .map_err(|error| self.here(error))?;
        // What the disk has damaged may look like something that is left out, and was accepted as a slice.
        let sound = !objects.values().any(|object| object.damaged);
        // What cannot be sorted out goes into the queue as it is: its error report says why to whoever asks for the result.
        let packed = caught(|| match sort_out(&paths).as_deref() {
            Err(DicomError::NoCt { .. }) if sound => Ok(None),
            Ok([series]) if sound => series.pack(&mut file).map(|packed| Some(packed.bytes)),
            _ => pack_as_they_are(&paths, &mut file).map(Some),
        });
        let packed = if let Ok(packed) = packed {
            packed
        } else {
            // So does what brings out a fault, which must not do so again in the next turn or process.
            let begun = file.rewind().and_then(|()| file.set_len(0));
            begun.map_err(|error| self.here(error))?;
            pack_as_they_are(&paths, &mut file).map(Some)
        };
        let packed = packed.map_err(|error| self.here(of_disk(error)))?;
        if packed.is_none() {
            let removed = self.remove(key, |series| series.objects == objects);
            if removed.map_err(|error| self.here(error))? {
                news.push(Gathered::NoScan { peer });
            }
            return Ok(());
        }
        let put = put(
            spool,
            &mut file,
            &format!("DICOM series of {} slices", objects.len()),
            &source(&peer),
            self.settings.fast,
        );
        drop(file);
        remove(&pack).map_err(|error| self.here(error))?;
        match put? {
            Put::Taken(id) => {
                // Told even if it cannot be noted here: it is in the queue.
                news.push(Gathered::Taken {
                    id,
                    peer,
                    objects: objects.len(),
                });
                self.taken(key, &objects, id)
                    .map_err(|error| self.here(error))?;
            }
            Put::Refused(refusal @ Refusal::Full { .. }) => news.push(Gathered::Waits(refusal)),
            Put::Refused(refusal) => {
                let removed = self.remove(key, |series| series.objects == objects);
                if removed.map_err(|error| self.here(error))? {
                    let reason = refusal.to_string();
                    news.push(Gathered::Refused { peer, reason });
                }
            }
            // Only a fault of the disk changes a file that nobody else has.
            Put::Changed => {
                let changed = io::Error::other("it reads otherwise than it was written");
                return Err(self.here(changed));
            }
        }
        Ok(())
    }

    /// Lets a series in the queue, of which something has come again, become a scan again, if the queue takes the one anew that it became.
    fn take_anew<S: Storage>(&self, spool: &Spool<S>, key: &str) -> Result<(), IntakeError> {
        let scan = match self.lock().series.get(key) {
            Some(series) => series.about.scan.clone(),
            None => return Ok(()),
        };
        let anew = match scan.and_then(|scan| scan.parse().ok()) {
            Some(id) => spool.is_taken_anew(id)?,
            None => false,
        };
        let mut inner = self.lock();
        let Some(series) = inner.series.get_mut(key) else {
            return Ok(());
        };
        if anew {
            let reopened = series.reopen(&self.folder.join(SERIES).join(key));
            reopened.map_err(|error| self.here(error))?;
        }
        series.again = false;
        Ok(())
    }

    /// Notes that a series with these objects is in the queue, unless more of it has come meanwhile.
    fn taken(&self, key: &str, objects: &Objects, id: ScanId) -> io::Result<()> {
        let mut inner = self.lock();
        let Some(series) = inner.series.get_mut(key) else {
            return Ok(());
        };
        if series.objects != *objects {
            return Ok(());
        }
        series.about.scan = Some(id.to_string());
        series.taken = Some(Instant::now());
        series.about.save(&self.folder.join(SERIES).join(key))
    }

    /// Removes a series that still is so, and says whether it has: what has come to it meanwhile was accepted, and must not go with it.
    fn remove(&self, key: &str, is: impl Fn(&Series) -> bool) -> io::Result<bool> {
        let mut inner = self.lock();
        let still = inner.series.get(key).is_some_and(is);
        if still {
            self.remove_from(&mut inner, key)?;
        }
        Ok(still)
    }

    fn remove_from(&self, inner: &mut Inner, key: &str) -> io::Result<()> {
        remove(&self.folder.join(SERIES).join(key))?;
        sync_folder(&self.folder.join(SERIES))?;
        if let Some(series) = inner.series.remove(key) {
            inner.charged -= series.charge();
        }
        Ok(())
    }

    /// Sees to it that one more object fits. A series that is in the queue waits here only for slices that come late, and gives way to what
    /// is not, the longest there first.
    fn make_room(&self, inner: &mut Inner) -> Result<(), Refused> {
        loop {
            let disk = rustix::fs::statvfs(&self.folder).map_err(io::Error::from)?;
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            let Settings {
                most_bytes,
                most_objects,
                floor_bytes,
                ..
            } = self.settings;
            let series = inner.series.values();
            let objects: usize = series.map(|series| series.objects.len()).sum();
            let fits = inner.charged < most_bytes && objects < most_objects && free > floor_bytes;
            if fits && inner.series.len() < MOST_SERIES {
                return Ok(());
            }
            let in_queue = inner.series.iter();
            let in_queue = in_queue.filter_map(|(key, series)| Some((series.taken?, key)));
            let Some(key) = in_queue.min().map(|(_, key)| key.clone()) else {
                // With too many series, those that are known still get their objects.
                return if fits { Ok(()) } else { Err(Refused::NoRoom) };
            };
            self.remove_from(inner, &key)?;
        }
    }

    fn here(&self, source: io::Error) -> IntakeError {
        IntakeError::gathered(&self.folder, source)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The same as [`Gatherer::forget`] in the folder of a box that does not run.
///
/// # Errors
/// When the disk refuses.
pub fn forget(folder: &Path, scan: ScanId) -> io::Result<()> {
    let folder = folder.join(SERIES);
    if !folder.is_dir() {
        return Ok(());
    }
    let scan = scan.to_string();
    for entry in fs::read_dir(&folder)? {
        let path = entry?.path();
        let about = About::load(&path)?;
        if about.is_some_and(|about| about.scan.as_deref() == Some(scan.as_str())) {
            remove(&path)?;
            sync_folder(&folder)?;
        }
    }
    Ok(())
}

/// Bytes of a series once it is packed, about.
fn packed_bytes(objects: &Objects) -> u64 {
    let bytes: u64 = objects.values().map(|object| object.bytes).sum();
    bytes + (objects.len() as u64 + 1) * PACKING_BYTES
}

/// What the disk says, without the advice that is for whoever named a file.
fn of_disk(error: DicomError) -> io::Error {
    match error {
        DicomError::Io { source, .. } | DicomError::NotPacked { source, .. } => source,
        error => io::Error::other(error),
    }
}

/// A sender's name in records and the audit log.
pub fn source(peer: &str) -> String {
    format!("dicom {peer}")
}

/// Whether a record's source is a sender of DICOM.
pub fn is_source(source: &str) -> bool {
    source.starts_with("dicom ")
}

/// Folders of the same series from two senders differ: neither can put slices into what the other sends.
fn key(peer: &str, study: &str, series: &str) -> Key {
    let mut hasher = blake3::Hasher::new_derive_key("nephrobox 2026 gathered series");
    for part in [peer, study, series] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().to_hex()[..32].to_owned()
}

/// Removes a file, or a folder with everything in it; fine if it is not there.
fn remove(path: &Path) -> io::Result<()> {
    let removed = match path.symlink_metadata() {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_to_which_something_has_come_meanwhile_is_not_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = Settings {
            quiet: SETTLE,
            most_bytes: u64::MAX,
            most_objects: MOST_IN_ALL,
            floor_bytes: 0,
            fast: false,
        };
        let gatherer = Gatherer::open(folder.path(), settings).expect("a disk");
        let lies = folder.path().join(SERIES).join("key");
        fs::create_dir(&lies).expect("a folder");
        let series = Series::new("CT1", Instant::now());
        gatherer.lock().series.insert("key".into(), series);
        // It was looked at when it had an object; it is not the same any more.
        let another = |series: &Series| !series.objects.is_empty();
        assert!(!gatherer.remove("key", another).expect("a disk"));
        assert!(lies.is_dir() && gatherer.lock().series.contains_key("key"));
        let same = |series: &Series| series.objects.is_empty();
        assert!(gatherer.remove("key", same).expect("a disk"));
        assert!(!lies.exists() && gatherer.lock().series.is_empty());
    }
}
