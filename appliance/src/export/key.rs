//! The secret by which exports get their names and UIDs: the same scan has the same ones each time, and nobody without the secret finds out
//! which scan it was.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;

/// Where it lies, below the state folder. Whoever removes it makes exports to come strangers to those before.
const FILE: &str = "export.key";

/// The secret of a box.
#[derive(Clone)]
pub(crate) struct Key([u8; 32]);

// Never into a log.
impl std::fmt::Debug for Key {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Key")
    }
}

impl Key {
    /// The secret in a state folder; made if it is not there, or is none.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(crate) fn of(state: &Path) -> io::Result<Self> {
        let path = state.join(FILE);
        match fs::read(&path) {
            Ok(bytes) => {
                if let Ok(bytes) = bytes.try_into() {
                    return Ok(Self(bytes));
                }
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let mut bytes = [0; 32];
        File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        // Such a file is for its owner alone.
        let mut file = tempfile::NamedTempFile::new_in(state)?;
        file.write_all(&bytes)?;
        file.as_file().sync_all()?;
        file.persist(&path)?;
        File::open(state)?.sync_all()?;
        Ok(Self(bytes))
    }

    /// The secret itself.
    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The name of what `id` names, for those who may not know that.
    pub(crate) fn name(&self, id: &str) -> String {
        let hash = blake3::keyed_hash(&self.0, id.as_bytes());
        format!("export-{}", &hash.to_hex()[..12])
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_made_once_for_its_owner_alone_and_again_when_it_is_damaged() {
        let home = tempfile::tempdir().expect("a folder");
        let name = |home: &Path| Key::of(home).expect("a disk").name("00000001-9f86d081");
        let first = name(home.path());
        assert_eq!(name(home.path()), first);
        let path = home.path().join(FILE);
        let mode = fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::write(path, "short").expect("written");
        assert_ne!(name(home.path()), first);
        assert!(!first.contains("9f86"), "{first}");
    }
}
