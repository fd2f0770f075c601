//! Writing small files so that they are whole or not there.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

/// Writes a file beside its place, forces it to the disk and renames it.
///
/// Whatever happens, at `path` is either what was there before or all of `bytes`.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut unfinished = tempfile::Builder::new();
    unfinished.prefix(".unfinished-");
    #[cfg(unix)]
    {
        // Like any new file, and unlike a temporary one: for everyone whom the umask lets.
        use std::os::unix::fs::PermissionsExt as _;
        unfinished.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut unfinished = unfinished.tempfile_in(folder)?;
    unfinished.write_all(bytes)?;
    unfinished.as_file().sync_all()?;
    unfinished.persist(path).map_err(|e| e.error)?;
    if cfg!(unix) {
        // The rename itself lasts through a power cut once the folder is on the disk.
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}
