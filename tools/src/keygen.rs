//! `nephroctl keygen`: a new pair of keys to sign packages with.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use nephrobox_imaging::files::{self, Readers};
use nephrobox_shared::package::SecretKey;
use zeroize::Zeroizing;

use crate::failure::{Exit, Failure, say, told, unwritable};

/// Shown after the options.
pub(crate) const EXAMPLES: &str = "\
Examples:
  nephroctl keygen clinic              # makes clinic.secret and clinic.public
  nephroctl keygen keys/2027 >> nephrobox.toml

Whoever has the secret key can make models that boxes trust: keep it off the boxes, and a copy in \
a safe. What is printed goes into the configuration of the boxes. To change keys, list the old and \
the new one, flash a model signed by the new one, and take the old one out.";

/// Options of `nephroctl keygen`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Where the keys go: NAME.secret, which only you can read, and NAME.public. Neither may be there.
    pub name: PathBuf,
}

/// Makes a pair of keys and prints the public one as the box's configuration takes it.
///
/// # Errors
/// If one of the files is there already or cannot be written.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    let (secret_file, public_file) = (named(&args.name, ".secret"), named(&args.name, ".public"));
    if public_file.exists() {
        return Err(taken(&public_file));
    }
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *seed).map_err(|error| {
        let remedy = "try again once the system has random numbers";
        told(
            Exit::Internal,
            &error,
            "the system's random numbers",
            remedy,
        )
    })?;
    let secret = SecretKey::from_seed(&seed);
    let public = secret.public();

    let mut line = Zeroizing::new([b'\n'; nephrobox_shared::package::KEY_TEXT_LEN + 1]);
    let text = secret.text();
    line[..text.as_bytes().len()].copy_from_slice(text.as_bytes());
    write(&secret_file, &*line, Readers::Owner)?;
    write(
        &public_file,
        format!("{public}\n").as_bytes(),
        Readers::Everyone,
    )
    .inspect_err(|_| {
        // Half a pair would be in the way of the next try. It was made a moment ago and has signed nothing.
        let _ = std::fs::remove_file(&secret_file);
    })?;
    let words = format!(
        "# Key {}; the secret half is in {}.\n[model]\ntrusted_keys = [{{ key = \"{public}\" }}]\n",
        public.id(),
        secret_file.display()
    );
    say(out, &words)
}

/// `name` with `ending` behind whatever it ends with.
fn named(name: &Path, ending: &str) -> PathBuf {
    let mut whole = OsString::from(name);
    whole.push(ending);
    whole.into()
}

fn write(path: &Path, bytes: &[u8], readers: Readers) -> Result<(), Failure> {
    files::write_new(path, bytes, readers).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => taken(path),
        _ => unwritable(path, &error),
    })
}

fn taken(path: &Path) -> Failure {
    Failure::new(
        Exit::Output,
        "the file is there already, and keys are never overwritten",
        path.display(),
        "choose another name",
    )
}
