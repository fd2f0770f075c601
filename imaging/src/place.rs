//! Where the bytes of one image lie: a file of its own, or a stretch of a tar.
//!
//! Used by the readers of DICOM series, so that a packed series is read where it lies and nothing is unpacked to the disk.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file, or a file within an uncompressed tar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// What messages call it.
    label: PathBuf,
    within: Option<Within>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Within {
    /// Shared, because a tar has thousands of files.
    archive: Arc<Path>,
    start: u64,
    len: u64,
}

impl Place {
    /// A whole file.
    pub(crate) fn file(path: PathBuf) -> Self {
        Self {
            label: path,
            within: None,
        }
    }

    /// The `number`-th file in an archive, `len` bytes from `start` on. Messages give the folder of the archive once, if at all.
    pub(crate) fn within(archive: &Arc<Path>, number: usize, start: u64, len: u64) -> Self {
        let name = archive.file_name().unwrap_or_default();
        Self {
            label: Path::new(name).join(format!("file {number}")),
            within: Some(Within {
                archive: Arc::clone(archive),
                start,
                len,
            }),
        }
    }

    /// What to call it in a message: the file's path, or the archive's name with the number of the file in it.
    pub fn label(&self) -> &Path {
        &self.label
    }

    /// Its bytes, read from the first to the last.
    ///
    /// # Errors
    /// Whatever the operating system says.
    pub fn open(&self) -> io::Result<impl Read + use<>> {
        self.window()
    }

    /// Its bytes, with the position at the first. A folder, a pipe or a device is an empty file: opening a pipe would keep us waiting.
    pub(crate) fn window(&self) -> io::Result<Window> {
        let path = match &self.within {
            Some(within) => &*within.archive,
            None => &self.label,
        };
        let metadata = fs::metadata(path)?;
        if !metadata.is_file() {
            return Ok(Window {
                file: None,
                start: 0,
                len: 0,
                at: 0,
            });
        }
        let mut file = File::open(path)?;
        let (start, len) = match &self.within {
            Some(within) => (within.start, within.len),
            None => (0, metadata.len()),
        };
        file.seek(SeekFrom::Start(start))?;
        Ok(Window {
            file: Some(file),
            start,
            len,
            at: 0,
        })
    }
}

/// A stretch of a file that looks like a file.
#[derive(Debug)]
pub(crate) struct Window {
    file: Option<File>,
    start: u64,
    len: u64,
    at: u64,
}

impl Window {
    /// Bytes from the first to the last, as far as was known when it was opened.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }
}

impl Read for Window {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let Some(file) = &mut self.file else {
            return Ok(0);
        };
        let rest = self.len.saturating_sub(self.at).min(out.len() as u64);
        let count = file.read(&mut out[..rest as usize])?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Window {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.len.checked_add_signed(by),
        };
        // A file cannot be longer than a signed number says, and neither can what is before it.
        let at = at.filter(|at| i64::try_from(*at).is_ok());
        let whole = at.and_then(|at| self.start.checked_add(at));
        let (Some(at), Some(whole)) = (at, whole) else {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        };
        if let Some(file) = &mut self.file {
            file.seek(SeekFrom::Start(whole))?;
        }
        self.at = at;
        Ok(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_ends_where_it_should_and_is_sought_from_its_own_start() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("archive");
        fs::write(&path, b"before0123456789behind").unwrap();
        let place = Place::within(&Arc::from(path.as_path()), 3, 6, 10);
        assert_eq!(place.label(), Path::new("archive/file 3"));
        let mut window = place.window().unwrap();
        let mut text = String::new();
        window.read_to_string(&mut text).unwrap();
        assert_eq!((text.as_str(), window.len()), ("0123456789", 10));
        for (to, rest) in [
            (SeekFrom::Start(7), "789"),
            (SeekFrom::End(-2), "89"),
            (SeekFrom::Current(-4), "6789"),
            (SeekFrom::Start(1 << 40), ""),
        ] {
            window.seek(to).unwrap();
            text.clear();
            window.read_to_string(&mut text).unwrap();
            assert_eq!(text, rest, "{to:?}");
        }
        for nowhere in [SeekFrom::Start(u64::MAX), SeekFrom::End(-11)] {
            assert!(window.seek(nowhere).is_err(), "{nowhere:?}");
        }
    }

    #[test]
    fn a_folder_is_an_empty_file() {
        let home = tempfile::tempdir().unwrap();
        let mut window = Place::file(home.path().to_owned()).window().unwrap();
        assert_eq!(window.read(&mut [0; 4]).unwrap(), 0);
    }
}
