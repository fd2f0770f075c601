//! Files that are whole or not there.
//!
//! What is written goes into a hidden neighbour first ([`UNFINISHED`]), is forced to the disk and then renamed; whatever happens, at the path is
//! either what was there before or all of the new contents. Every program of the house writes its single files through here.
//!
//! Small files that are read whole, such as keys and configurations, come in through [`read`]: a name may stand for a pipe, on which a
//! program would wait for ever, or for a device that never ends.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read as _, Write as _};
use std::path::Path;

use tempfile::NamedTempFile;

/// How the name of a file begins that is still being written. One is left behind only by a kill or a power cut.
pub const UNFINISHED: &str = ".unfinished-";

/// Where the contents go; seeking is allowed.
pub type Sink<'a> = BufWriter<&'a mut File>;

/// Writes `bytes` to `path`, over what is there.
///
/// # Errors
/// Whatever the disk says.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_with(path, |error| error, |out| out.write_all(bytes))
}

/// Who may read a new file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    /// Everyone whom the umask lets.
    Everyone,
    /// Its owner alone; on systems with Unix permissions.
    Owner,
}

impl Readers {
    /// An unfinished file, which has these readers from its first byte on.
    fn unfinished(self, folder: &Path) -> io::Result<NamedTempFile> {
        let mut unfinished = tempfile::Builder::new();
        unfinished.prefix(UNFINISHED);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = match self {
                Self::Everyone => 0o666,
                Self::Owner => 0o600,
            };
            unfinished.permissions(std::fs::Permissions::from_mode(mode));
        }
        unfinished.tempfile_in(folder).map_err(nameless)
    }
}

/// Writes `bytes` to `path`, where nothing may be yet.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] if something is there, which is left as it is; else whatever the disk says.
pub fn write_new(path: &Path, bytes: &[u8], readers: Readers) -> io::Result<()> {
    let folder = folder_of(path);
    let mut unfinished = readers.unfinished(folder)?;
    unfinished.write_all(bytes)?;
    unfinished.as_file().sync_all()?;
    unfinished
        .persist_noclobber(path)
        .map_err(|error| error.error)?;
    sync_folder(folder)
}

/// Writes to `path` what `fill` puts into the sink.
///
/// # Errors
/// What `fill` says, or what the disk says, as `failed` puts it.
pub fn write_with<E>(
    path: &Path,
    failed: impl Fn(io::Error) -> E,
    fill: impl FnOnce(&mut Sink<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let folder = folder_of(path);
    let mut unfinished = Readers::Everyone.unfinished(folder).map_err(&failed)?;
    let mut out = BufWriter::with_capacity(1 << 18, unfinished.as_file_mut());
    fill(&mut out)?;
    out.flush().map_err(&failed)?;
    drop(out);
    unfinished.as_file().sync_all().map_err(&failed)?;
    unfinished
        .persist(path)
        .map_err(|error| failed(error.error))?;
    sync_folder(folder).map_err(failed)
}

/// A temporary file's error without that file's name, which nobody has heard of.
#[must_use]
pub fn nameless(error: io::Error) -> io::Error {
    match error.to_string().split_once(" at path ") {
        Some((told, _)) => io::Error::new(error.kind(), told.to_owned()),
        None => error,
    }
}

/// Opens a file, and nothing that only looks like one: a pipe, a device or a folder is refused before it is opened.
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`] for what is no file, else whatever the system says.
pub fn open(path: &Path) -> io::Result<File> {
    let kind = fs::metadata(path)?.file_type();
    if kind.is_file() {
        return File::open(path);
    }
    let what = if kind.is_dir() {
        "a folder"
    } else {
        "a pipe or a device"
    };
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("it is no file but {what}"),
    ))
}

/// The contents of a file of at most `most` bytes.
///
/// # Errors
/// Those of [`open`], [`io::ErrorKind::FileTooLarge`] for a longer file, else whatever the system says.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    let bytes = file.metadata()?.len();
    let mut contents = Vec::new();
    if bytes <= most {
        contents.try_reserve_exact(usize::try_from(bytes).unwrap_or(usize::MAX))?;
        // It may be growing.
        file.take(most + 1).read_to_end(&mut contents)?;
    }
    let bytes = bytes.max(contents.len() as u64);
    if bytes > most {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it has {bytes} bytes, and at most {most} are read"),
        ));
    }
    Ok(contents)
}

/// The folder that a file lies in.
#[must_use]
pub fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Makes what was renamed into a folder last through a power cut.
///
/// # Errors
/// Whatever the disk says.
#[cfg(unix)]
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Other systems cannot open a folder as a file; their rename is as durable as they make it.
///
/// # Errors
/// None.
#[cfg(not(unix))]
pub fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows RQ-52.
    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index.json");
        write(&path, b"old").unwrap();
        let error = write_with(
            &path,
            |error| error.to_string(),
            |out| {
                out.write_all(b"half of the new").unwrap();
                Err("broken".to_owned())
            },
        );
        assert_eq!(error, Err("broken".to_owned()));
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        write(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
    }

    #[test]
    fn a_new_file_replaces_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        write_new(&path, b"first", Readers::Owner).unwrap();
        let error = write_new(&path, b"second", Readers::Owner).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"first");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_cannot_be_written_is_told_without_the_name_of_a_temporary_file() {
        let folder = tempfile::tempdir().unwrap();
        let error = write(&folder.path().join("nowhere/key"), b"").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(!error.to_string().contains(UNFINISHED), "{error}");
    }

    #[test]
    fn only_files_are_read_and_only_so_much() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        fs::write(&path, b"12345").unwrap();
        assert_eq!(read(&path, 5).unwrap(), b"12345");
        let kind = |path: &Path, most| read(path, most).unwrap_err().kind();
        assert_eq!(kind(&path, 4), io::ErrorKind::FileTooLarge);
        assert_eq!(kind(folder.path(), 4), io::ErrorKind::InvalidInput);
        assert_eq!(
            kind(&folder.path().join("nowhere"), 4),
            io::ErrorKind::NotFound
        );
        #[cfg(unix)]
        for device in ["/dev/zero", "/dev/null"] {
            assert_eq!(kind(Path::new(device), 4), io::ErrorKind::InvalidInput);
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_file_is_readable_by_whom_the_umask_lets() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let (ours, plain) = (folder.path().join("ours"), folder.path().join("plain"));
        write(&ours, b"").unwrap();
        fs::write(&plain, b"").unwrap();
        let mode = |path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&ours), mode(&plain));
        let secret = folder.path().join("secret");
        write_new(&secret, b"", Readers::Owner).unwrap();
        assert_eq!(mode(&secret) & 0o777, 0o600);
    }
}
