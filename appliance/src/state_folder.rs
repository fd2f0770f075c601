//! Where commands that run once, `segment` and `bench`, keep what speeds up the next one and can always be made again. The folder of a box that
//! runs is `box.state`, whose kernels have the same name.

use std::path::{Path, PathBuf};

use crate::failure::{Exit, Failure, told};

/// Below the state folder: kernels compiled for a GPU, and which of them were fastest.
pub const KERNELS: &str = "kernels";

/// The folder that was named, made and tried; else the user's cache folder, which is made when it is needed; `None` if there is none.
///
/// # Errors
/// A named folder that cannot be made or written.
pub fn folder(named: Option<&Path>) -> Result<Option<PathBuf>, Failure> {
    let Some(folder) = named else {
        return Ok(usual());
    };
    let made = std::fs::create_dir_all(folder);
    made.and_then(|()| tempfile::tempfile_in(folder).map(drop))
        .map_err(|error| {
            told(
                Exit::Output,
                &error,
                folder.display(),
                "name a state folder that can be written, with --state or NEPHROBOX_STATE",
            )
        })?;
    Ok(Some(folder.to_owned()))
}

/// `$XDG_CACHE_HOME/nephrobox`, or `~/.cache/nephrobox`.
fn usual() -> Option<PathBuf> {
    let named = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    // The XDG specification: a path that is not absolute is to be ignored.
    let caches = named
        .filter(|path| path.is_absolute())
        .or_else(|| std::env::home_dir().map(|home| home.join(".cache")))?;
    Some(caches.join("nephrobox"))
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_named_folder_is_made() {
        let home = TempDir::new().expect("a folder");
        let named = home.path().join("var/state");
        assert_eq!(folder(Some(&named)), Ok(Some(named.clone())));
        assert_eq!(std::fs::read_dir(&named).expect("made").count(), 0);
    }

    #[test]
    fn one_that_cannot_be_made_is_refused() {
        let home = TempDir::new().expect("a folder");
        let file = home.path().join("file");
        std::fs::write(&file, "").expect("written");
        let failure = folder(Some(&file.join("state"))).expect_err("below a file");
        assert_eq!(failure.exit, Exit::Output);
        assert!(failure.told.remedy.contains("--state"), "{failure}");
    }
}
