//! An object that is being received.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;

/// Why an object is not taken.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The disk, or what may lie on it, is full.
    #[error("the box has no room for it now; send it again later")]
    NoRoom,
    /// It does not say where it belongs.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// Its series has too many objects.
    #[error("its series has more objects than the box takes")]
    TooMany,
    /// The disk refused.
    #[error("the box cannot store it: {0}")]
    Disk(#[from] io::Error),
}

/// The object's file, removed unless it is taken.
#[derive(Debug)]
pub struct Part {
    path: PathBuf,
    file: File,
    hasher: blake3::Hasher,
    bytes: u64,
}

impl Part {
    pub(super) fn create(path: PathBuf) -> io::Result<Self> {
        let file = File::create_new(&path)?;
        Ok(Self {
            path,
            file,
            hasher: blake3::Hasher::new(),
            bytes: 0,
        })
    }

    /// Syncs the file, and returns where it lies, the name that follows from its bytes, and how many they are.
    pub(super) fn close(mut self) -> io::Result<(Closed, String, u64)> {
        self.file.sync_all()?;
        let hash = self.hasher.finalize().to_hex()[..32].to_owned();
        let bytes = self.bytes;
        Ok((Closed(std::mem::take(&mut self.path)), hash, bytes))
    }
}

impl Write for Part {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.path.as_os_str().is_empty() {
            // A start removes what is left.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A file that is removed, unless it has another name by then.
#[derive(Debug)]
pub(super) struct Closed(PathBuf);

impl std::ops::Deref for Closed {
    type Target = std::path::Path;

    fn deref(&self) -> &std::path::Path {
        &self.0
    }
}

impl AsRef<std::path::Path> for Closed {
    fn as_ref(&self) -> &std::path::Path {
        &self.0
    }
}

impl Drop for Closed {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
