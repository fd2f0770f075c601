//! Keys as they are named on the command line: secret ones by their file, public ones by file or text.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use nephrobox_imaging::files;
use nephrobox_shared::package::{KEY_TEXT_LEN, PublicKey, SecretKey};
use zeroize::Zeroizing;

use crate::failure::{Exit, Failure, told};

/// Room for a key's line with some blanks around it; a longer file is no key.
const ROOM: usize = 2 * KEY_TEXT_LEN;

/// Reads a secret key from its file, which only its owner may be able to read.
///
/// # Errors
/// If the file cannot be read, others can read it too, or it is no secret key.
pub fn secret(path: &Path) -> Result<SecretKey, Failure> {
    let file = files::open(path).map_err(|error| unreadable(path, &error))?;
    private(path, &file)?;
    parse(path, file)
}

/// Takes public keys as the command line gives them: each the key's text, or a file that holds it.
///
/// # Errors
/// If a file cannot be read, or a text is no public key.
pub fn public(given: &[String]) -> Result<Vec<PublicKey>, Failure> {
    given
        .iter()
        .map(|given| {
            // A file of that name would have to be written as ./nephrobox-...
            if given.starts_with("nephrobox-") {
                return given.parse().map_err(|error| {
                    told(Exit::Input, &error, "the key on the command line", "").coded("key")
                });
            }
            let path = Path::new(given);
            let file = files::open(path).map_err(|error| unreadable(path, &error))?;
            parse(path, file)
        })
        .collect()
}

/// Reads a key's line without leaving it in memory.
fn parse<K>(path: &Path, mut file: File) -> Result<K, Failure>
where
    K: std::str::FromStr<Err = nephrobox_shared::package::KeyError>,
{
    let mut text = Zeroizing::new([0; ROOM]);
    let mut len = 0;
    while len < ROOM {
        match file.read(&mut text[len..]) {
            Ok(0) => break,
            Ok(read) => len += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(unreadable(path, &error)),
        }
    }
    // What is no text, or too long, is parsed as the empty text and refused with the same words.
    let text = match std::str::from_utf8(&text[..len]) {
        Ok(text) if len < ROOM => text,
        _ => "",
    };
    text.parse()
        .map_err(|error: K::Err| told(Exit::Input, &error, path.display(), "").coded("key"))
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    told(
        Exit::Input,
        error,
        path.display(),
        "check the path of the key",
    )
    .coded("key")
}

/// Refuses a secret that others can read, as ssh does: it may be known already.
#[cfg(unix)]
fn private(path: &Path, file: &File) -> Result<(), Failure> {
    use std::os::unix::fs::PermissionsExt as _;
    let metadata = file.metadata().map_err(|error| unreadable(path, &error))?;
    let others = metadata.permissions().mode() & 0o077;
    if others == 0 {
        return Ok(());
    }
    let (path, remedy) = (
        path.display(),
        format!(
            "run `chmod 600 {}`, and make a new key if somebody may have copied it",
            path.display()
        ),
    );
    Err(Failure::new(Exit::Input, "others can read the secret key", path, remedy).coded("key"))
}

/// Other systems keep rights in other ways, which are not looked at.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "it can fail on Unix")]
fn private(_: &Path, _: &File) -> Result<(), Failure> {
    Ok(())
}
