//! One box for one state folder.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::failure::{Exit, Failure, told};

/// The file that is locked. It stays; only the lock on it means something.
const LOCK: &str = "lock";

/// How long the lock is waited for: a box that was killed has it until the system has cleared away the last of it.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two tries.
const AGAIN: Duration = Duration::from_millis(50);

/// Makes the state folder and takes it for this process. The lock ends with the returned file, and with the process however that ends.
///
/// # Errors
/// The folder cannot be made or written, or another box uses it.
pub(super) fn take(state: &Path) -> Result<File, Failure> {
    let unwritable = |error: &io::Error| {
        told(
            Exit::Output,
            error,
            state.display(),
            "give the user of nephrobox the right to write there, or change box.state in the configuration",
        )
    };
    std::fs::create_dir_all(state).map_err(|error| unwritable(&error))?;
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(state.join(LOCK))
        .map_err(|error| unwritable(&error))?;
    let until = Instant::now() + PATIENCE;
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(Errno::WOULDBLOCK) if Instant::now() < until => std::thread::sleep(AGAIN),
            Err(Errno::WOULDBLOCK) => {
                return Err(Failure::new(
                    Exit::Service,
                    "another nephrobox runs on this state folder",
                    state.display(),
                    "stop that one (systemctl stop nephrobox), or give this one another box.state",
                ));
            }
            Err(error) => return Err(unwritable(&error.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_box_on_the_same_folder_is_refused_until_the_first_is_gone() {
        let home = tempfile::tempdir().expect("a folder");
        let state = home.path().join("var/state");
        let first = take(&state).expect("free");
        let failure = take(&state).expect_err("taken");
        assert_eq!(failure.exit, Exit::Service);
        assert!(failure.told.what.contains("another nephrobox"), "{failure}");
        drop(first);
        take(&state).expect("free again");
    }
}
