//! Where compiled kernels and the results of timing them are kept from run to run.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use cubecl_runtime::config::cache::CacheConfig;
use cubecl_runtime::config::{CubeClRuntimeConfig, RuntimeConfig};

/// The folder that was chosen, for as long as the process lives.
static CHOSEN: Mutex<Option<PathBuf>> = Mutex::new(None);

/// Keeps compiled kernels and the choices between kernels in `folder`, for all GPUs of this process; the folder is made if it is not there.
///
/// CUDA and Vulkan find their kernels there again; drivers under `webgpu` compile anew each time, and only the choices are kept.
/// What was made on one kind of GPU is not used on another. The folder may be deleted at any time when no one uses it; two programs
/// may share it, of which one at a time writes.
///
/// # Errors
///
/// A folder that cannot be made or written; another folder than in an earlier call; a GPU that was already in use, since it reads
/// these settings when it is opened.
pub fn keep_caches_in(folder: &Path) -> Result<(), CacheError> {
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let unusable = |source| CacheError::Folder {
        folder: folder.clone(),
        source,
    };
    std::fs::create_dir_all(&folder).map_err(unusable)?;
    let mut chosen = CHOSEN.lock().unwrap_or_else(PoisonError::into_inner);
    match &*chosen {
        Some(earlier) if *earlier == folder => return Ok(()),
        Some(earlier) => {
            return Err(CacheError::Elsewhere {
                folder: earlier.clone(),
            });
        }
        None => {}
    }
    let probe = folder.join(format!(".probe-{}", std::process::id()));
    std::fs::write(&probe, [])
        .and_then(|()| std::fs::remove_file(&probe))
        .map_err(unusable)?;
    // Settings of the environment hold; files in the current folder, where a box may be started anywhere, do not.
    let mut config = CubeClRuntimeConfig::default().override_from_env();
    config.environment.path = CacheConfig::Directory(folder.clone());
    config.compilation.cache = true;
    if !CubeClRuntimeConfig::try_set(config) {
        return Err(CacheError::TooLate);
    }
    *chosen = Some(folder);
    Ok(())
}

/// Why caches are not kept where they should be.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The folder cannot be made or written.
    #[error("{}: kernels cannot be kept here ({source}); make the folder writable, or name another", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// They are already kept in another folder.
    #[error("kernels are already kept in {}; a process keeps them in one folder", folder.display())]
    Elsewhere {
        /// That folder.
        folder: PathBuf,
    },
    /// A GPU was in use before.
    #[error(
        "a GPU was in use before it was said where kernels are kept; say it when the program starts"
    )]
    TooLate,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One test, since the choice holds for the whole process.
    #[test]
    fn a_process_keeps_its_kernels_in_one_folder_that_can_be_written() {
        let home = tempfile::TempDir::new().unwrap();
        let file = home.path().join("file");
        std::fs::write(&file, "").unwrap();
        let below = keep_caches_in(&file.join("kernels")).unwrap_err();
        assert!(matches!(below, CacheError::Folder { .. }), "{below}");

        let folder = home.path().join("state/kernels");
        match keep_caches_in(&folder) {
            Ok(()) => {
                assert!(folder.is_dir());
                keep_caches_in(&folder).unwrap();
                let other = keep_caches_in(home.path()).unwrap_err();
                assert!(matches!(other, CacheError::Elsewhere { .. }), "{other}");
            }
            // Another test of this process has used a GPU.
            Err(late) => assert!(matches!(late, CacheError::TooLate), "{late}"),
        }
    }
}
