//! Results copied into a folder, for instance one that a file server shares.

use std::io;

use super::{Delivery, Destination, Results};
use crate::spool::ScanId;
use crate::storage::Storage;

/// A folder that gets one folder of results for each scan, called by the box's id of it.
#[derive(Debug)]
pub struct FolderDestination<S> {
    name: String,
    target: S,
}

impl<S: Storage> FolderDestination<S> {
    /// A destination by the name that the configuration gives it, and the folder.
    pub fn new(name: impl Into<String>, target: S) -> Self {
        Self {
            name: name.into(),
            target,
        }
    }
}

impl<S: Storage> Destination for FolderDestination<S> {
    fn name(&self) -> &str {
        &self.name
    }

    /// Writes beside, syncs, renames. A folder that is already there under this id is from a delivery that was cut before it
    /// could be noted, and is replaced.
    fn deliver(&self, id: ScanId, results: &Results<'_>) -> io::Result<Delivery> {
        let target = &self.target;
        let (place, beside, before) = (
            id.to_string(),
            format!(".{id}.partial"),
            format!(".{id}.before"),
        );
        target.remove(&beside)?;
        target.make_folder(&beside)?;
        for name in results.names()? {
            let file = format!("{beside}/{name}");
            target.append(&file, &[])?;
            results.read(&name, &mut |bytes| target.append(&file, bytes))?;
            target.sync(&file)?;
        }
        target.sync_folder(&beside)?;
        target.remove(&before)?;
        if target.list("")?.contains(&place) {
            target.rename(&place, &before)?;
        }
        target.rename(&beside, &place)?;
        target.sync_folder("")?;
        target.remove(&before)?;
        Ok(Delivery::Confirmed)
    }
}
