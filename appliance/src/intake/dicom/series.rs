//! What is known of a series while it is gathered.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use nephrobox_imaging::dicom::{Glance, glance};
use nephrobox_imaging::files::sync_folder;
use serde::{Deserialize, Serialize};

use super::{LATE, SETTLE};

/// The file that says who sent a series and what became of it.
const ABOUT: &str = "about";

/// Bytes that a disk gives to a file at a time.
const BLOCK: u64 = 4096;

/// What has to survive beside the objects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct About {
    /// Who sends it, by the configuration.
    pub(super) peer: String,
    /// The scan that it became, until more of it comes.
    pub(super) scan: Option<String>,
}

impl About {
    /// Reads it; `None` if it is not there.
    pub(super) fn load(folder: &Path) -> io::Result<Option<Self>> {
        match fs::read(folder.join(ABOUT)) {
            // It was renamed into place whole, so nothing but another program damages it; what lies beside it is worth more.
            Ok(about) => Ok(Some(serde_json::from_slice(&about).unwrap_or_default())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes it beside and puts it in place.
    pub(super) fn save(&self, folder: &Path) -> io::Result<()> {
        let beside = folder.join("about.new");
        let mut file = File::create(&beside)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.sync_all()?;
        fs::rename(&beside, folder.join(ABOUT))?;
        sync_folder(folder)
    }
}

/// One object, as far as it says how many there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Object {
    pub(super) bytes: u64,
    instance: String,
    acquisition: Option<(i64, u32)>,
    of_series: Option<u32>,
    /// It was accepted, and cannot be read any more.
    pub(super) damaged: bool,
}

impl Object {
    pub(super) fn new(bytes: u64, glance: &Glance) -> Self {
        Self {
            bytes,
            instance: glance.instance.clone(),
            acquisition: glance.acquisition,
            of_series: glance.of_series,
            damaged: false,
        }
    }

    /// One that lies in its series' folder. Its sender has been told that it is stored, so it belongs to the series whatever the disk has
    /// done to it since: what cannot be read any more has its name and its length, and says nothing of how many there are.
    fn load(path: &Path, name: &str) -> Self {
        let bytes = path.symlink_metadata().map_or(0, |found| found.len());
        match glance(path) {
            Ok(Some(glance)) => Self::new(bytes, &glance),
            Ok(None) | Err(_) => Self {
                bytes,
                instance: name.to_owned(),
                acquisition: None,
                of_series: None,
                damaged: true,
            },
        }
    }

    /// Bytes that count against the limit: those of whole blocks, since a small file takes one as well.
    pub(super) fn charge(&self) -> u64 {
        self.bytes.max(1).next_multiple_of(BLOCK)
    }
}

/// Whether a file is called as objects are, by the hash of its bytes. What has another name is not the box's and is left alone.
fn is_object(name: &str) -> bool {
    name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Objects by the hash of their bytes, which is their file's name.
pub(super) type Objects = BTreeMap<String, Object>;

/// A series.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) about: About,
    pub(super) objects: Objects,
    /// When the last object came.
    pub(super) last: Instant,
    /// Since when it is in the queue.
    pub(super) taken: Option<Instant>,
    /// Something of it has come again since then.
    pub(super) again: bool,
}

impl Series {
    pub(super) fn new(peer: &str, now: Instant) -> Self {
        Self {
            about: About {
                peer: peer.to_owned(),
                scan: None,
            },
            objects: Objects::new(),
            last: now,
            taken: None,
            again: false,
        }
    }

    /// Reads a series back from its folder; `None` if nothing in it was accepted.
    ///
    /// # Errors
    /// When the folder cannot be listed. A file in it that cannot be read is none.
    pub(super) fn load(folder: &Path, now: Instant) -> io::Result<Option<Self>> {
        let about = match About::load(folder) {
            Ok(None) => return Ok(None),
            Ok(Some(about)) => about,
            // What lies beside it is worth more, as where it is damaged.
            Err(_) => About::default(),
        };
        let mut series = Self {
            taken: about.scan.is_some().then_some(now),
            about,
            ..Self::new("", now)
        };
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            if is_object(&name) {
                let object = Object::load(&entry.path(), &name);
                series.objects.insert(name, object);
            }
        }
        Ok((!series.objects.is_empty()).then_some(series))
    }

    /// Forgets that it is in the queue, so that it goes there again. Noted on the disk first: if that refuses, whoever asked is told so, and asks
    /// again.
    pub(super) fn reopen(&mut self, folder: &Path) -> io::Result<()> {
        if self.taken.is_none() {
            return Ok(());
        }
        let about = About {
            scan: None,
            ..self.about.clone()
        };
        about.save(folder)?;
        (self.about, self.taken) = (about, None);
        Ok(())
    }

    /// Bytes of its objects that count against the limit.
    pub(super) fn charge(&self) -> u64 {
        self.objects.values().map(Object::charge).sum()
    }

    /// Whether it can go into the queue at `now`.
    pub(super) fn is_whole(&self, now: Instant, quiet: Duration) -> bool {
        if self.taken.is_some() || self.objects.is_empty() {
            return false;
        }
        let silence = now.saturating_duration_since(self.last);
        // Counting takes a while, and is not worth it while slices come.
        silence >= quiet || silence >= SETTLE && self.has_its_count()
    }

    /// Whether nothing more is to be waited for at `now`: it has been in the queue for long enough, or a disk that refused left a name and nothing
    /// in it.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        let since = if self.objects.is_empty() {
            Some(self.last)
        } else {
            self.taken
        };
        since.is_some_and(|since| now.saturating_duration_since(since) >= LATE)
    }

    /// Whether as many slices are here as the files say. Files that do not say so never have their count.
    ///
    /// Images in Acquisition counts one acquisition, and a series may have several; of one of which nothing has come yet, nothing is
    /// known. A series that is taken too early for that is taken again when the rest comes.
    fn has_its_count(&self) -> bool {
        // A copy with other bytes counts once.
        let mut instances = BTreeMap::new();
        for object in self.objects.values() {
            instances.insert(object.instance.as_str(), object);
        }
        let of_series = instances.values().map(|object| object.of_series);
        if let Some(Some(count)) = of_series.max() {
            return instances.len() >= count as usize;
        }
        let mut acquisitions = BTreeMap::new();
        for object in instances.values() {
            let Some((number, count)) = object.acquisition else {
                return false;
            };
            let (here, all) = acquisitions.entry(number).or_insert((0, 0));
            *here += 1;
            *all = count.max(*all);
        }
        let complete = |&(here, all): &(u32, u32)| here >= all;
        !acquisitions.is_empty() && acquisitions.values().all(complete)
    }
}
