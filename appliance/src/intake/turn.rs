//! What a look at what came in brings: news, and what failed.

use std::io;
use std::path::Path;

use crate::spool::SpoolError;

/// What a look at what came in brought. One thing that fails holds up no other, so that there may be both.
#[derive(Debug)]
#[must_use]
pub struct Turn<T> {
    /// What happened, in order.
    pub news: Vec<T>,
    /// The first thing that failed. Nothing is lost by it, and the next turn tries again.
    pub trouble: Option<IntakeError>,
}

impl<T> Turn<T> {
    pub(super) fn new() -> Self {
        Self {
            news: Vec::new(),
            trouble: None,
        }
    }

    /// Notes what failed, unless something has before.
    pub(super) fn note(&mut self, done: Result<(), IntakeError>) {
        if let Err(error) = done {
            self.trouble.get_or_insert(error);
        }
    }

    /// The news of a turn in which nothing failed.
    ///
    /// # Errors
    /// The first thing that failed.
    pub fn whole(self) -> Result<Vec<T>, IntakeError> {
        match self.trouble {
            None => Ok(self.news),
            Some(error) => Err(error),
        }
    }
}

/// Why something that came in stays where it is. Only the folder is named: what lies in it may be called like a patient, and this is shown
/// and logged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IntakeError {
    /// The queue cannot take it.
    #[error(transparent)]
    Queue(#[from] SpoolError),
    /// The watched folder cannot be listed.
    #[error(
        "{folder}: the watched folder cannot be read ({source}); see that it is there and that the box may read it"
    )]
    Unlisted {
        /// The watched folder.
        folder: String,
        /// What the disk says.
        source: io::Error,
    },
    /// Something in the watched folder cannot be read, or there is no room to pack it.
    #[error(
        "{folder}: a series in the watched folder cannot be read or packed ({source}); see that the box may read and write all of it and that it has room"
    )]
    Unpacked {
        /// The watched folder.
        folder: String,
        /// What the disk says.
        source: io::Error,
    },
    /// What was taken or refused cannot be moved out of the way.
    #[error(
        "{folder}: what was taken or refused cannot be moved out of the watched folder ({source}); let the user of the box write that folder and all that lies in it"
    )]
    Stays {
        /// The watched folder.
        folder: String,
        /// What the disk says.
        source: io::Error,
    },
    /// A series that came over the network cannot be read, packed or removed.
    #[error(
        "{folder}: a series that came over the network stays there ({source}); check the disk and its free space, and send the series again"
    )]
    Gathered {
        /// The folder of gathered series.
        folder: String,
        /// What the disk says.
        source: io::Error,
    },
}

impl IntakeError {
    pub(super) fn unlisted(folder: &Path, source: io::Error) -> Self {
        Self::Unlisted {
            folder: folder.display().to_string(),
            source,
        }
    }

    pub(super) fn unpacked(folder: &Path, source: io::Error) -> Self {
        Self::Unpacked {
            folder: folder.display().to_string(),
            source,
        }
    }

    pub(super) fn stays(folder: &Path, source: io::Error) -> Self {
        Self::Stays {
            folder: folder.display().to_string(),
            source,
        }
    }

    pub(super) fn gathered(folder: &Path, source: io::Error) -> Self {
        Self::Gathered {
            folder: folder.display().to_string(),
            source,
        }
    }
}
