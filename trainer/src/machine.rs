//! What this process holds of the machine, and how much disk there is. How much memory is free is told by `train::host`.

use std::path::{Path, PathBuf};

use crate::train::host;

/// Memory in bytes; 0 where the system does not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// What this process holds.
    pub process: u64,
    /// What the machine has.
    pub total: u64,
}

impl Memory {
    /// As it is at this moment.
    pub fn now() -> Self {
        // Linux counts both in kB.
        let bytes = |path: &str, key| host::value(Path::new(path), key).map_or(0, |kb| kb * 1024);
        Self {
            process: bytes("/proc/self/status", "VmRSS:"),
            total: bytes("/proc/meminfo", "MemTotal:"),
        }
    }
}

/// Bytes free where `path` is or would be made; `None` if the system does not tell.
pub fn free_disk(path: &Path) -> Option<u64> {
    fs4::available_space(existing(path)?).ok()
}

/// The path itself, or its closest parent that is there.
pub fn existing(path: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    path.ancestors().find(|p| p.exists()).map(Path::to_owned)
}

/// A number of bytes as people read it.
pub fn gigabytes(bytes: u64) -> String {
    match bytes {
        0..1_000_000_000 => format!("{:.0} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_holds_memory_and_less_than_there_is() {
        let memory = Memory::now();
        assert!(memory.process > 1_000_000 && memory.process < memory.total);
    }

    #[test]
    fn a_folder_that_is_not_there_yet_has_the_space_of_its_parent() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a/b");
        assert_eq!(existing(&deep).unwrap(), folder.path());
        assert!(free_disk(&deep).is_some_and(|bytes| bytes > 0));
    }

    #[test]
    fn sizes_are_said_in_the_unit_that_suits() {
        assert_eq!(gigabytes(12_345_678), "12 MB");
        assert_eq!(gigabytes(1_234_567_890), "1.2 GB");
    }
}
