//! `nephroctl flash`: a model onto the box, and the box's verdict on it.

use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use nephrobox_imaging::files;
use nephrobox_link::message::{Object, Reply, Request};
use nephrobox_shared::package::permit::{Permit, PermitError};
use nephrobox_shared::package::{PublicKey, SignatureError};

use crate::failure::{Exit, Failure, say, told};
use crate::line::{self, Line};
use crate::package::{self, Package};
use crate::progress::Bar;
use crate::{keys, trial};

/// Shown after the options.
pub(crate) const EXAMPLES: &str = "\
Examples:
  nephroctl flash kidney-3.nbx
  nephroctl flash kidney-3.nbx --dry-run       # would the box take it?
  nephroctl flash kidney-2.nbx --permit kidney-2.permit
  nephroctl flash kidney-3.nbx --verify-key clinic.public --port /dev/ttyACM0

The package is checked here first. On the box it goes into the slot that does not run, is put on \
trial and tested with its own slices, and runs only if their label maps come out right; else the \
box keeps the model that it has, and the exit code is 8. What was interrupted goes on where it \
stopped when the same command is given again.";

/// A permit has 128 bytes; what is read beyond that is only told of.
const MOST_PERMIT_BYTES: u64 = 1 << 16;

/// Options of `nephroctl flash`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The signed model package (.nbx).
    pub package: PathBuf,
    /// A signed permit to go back a version, as `nephroctl permit` makes it.
    #[arg(long, value_name = "FILE")]
    pub permit: Option<PathBuf>,
    /// Only ask the box whether it would take the package.
    #[arg(long)]
    pub dry_run: bool,
    /// Verify first that this key signed package and permit: a public key, or a file with one. With several, one of them.
    #[arg(long, value_name = "KEY")]
    pub verify_key: Vec<String>,
    /// Leave once the package is on the box, without its verdict.
    #[arg(long, conflicts_with = "dry_run")]
    pub no_wait: bool,
    /// How to reach the box.
    #[command(flatten)]
    pub line: Line,
}

/// Installs a package.
///
/// # Errors
/// If the package is not whole or not signed, the box refuses it, or finds it bad.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    let keys = keys::public(&args.verify_key)?;
    let bytes = package::read(&args.package)?;
    let package = Package::check(&args.package, bytes.clone(), &keys)?;
    let key = package.signed.key().ok_or_else(|| {
        let error = SignatureError::Unsigned;
        told(Exit::Model, &error, args.package.display(), "").coded("signature")
    })?;
    let hash = package.loaded.hash.0;
    let object = Object::Package {
        hash,
        version: package.loaded.model.manifest().version,
        key: key.0,
        permit: match &args.permit {
            Some(path) => Some(permit(path, &hash, &keys)?),
            None => None,
        },
        dry_run: args.dry_run,
    };
    let title = package.title();
    drop(package);

    let mut client = args.line.connect()?;
    if args.dry_run {
        let request = Request::Put {
            object,
            bytes: bytes.len() as u64,
            blake3: *blake3::hash(&bytes).as_bytes(),
        };
        return match line::ask(&mut client, &request)? {
            Reply::Go { .. } => say(out, &format!("the box would take {title}\n")),
            Reply::Have { id } => say(out, &format!("the box would take {title}: slot {id}\n")),
            _ => Err(line::nonsense(
                "no word about the package",
                client.endpoint(),
            )),
        };
    }
    let mut bar = Bar::new();
    let doing = format!("flashing {title}");
    let slot = client
        .put(&object, &mut Cursor::new(bytes), &mut |progress| {
            bar.transfer(&doing, progress);
        })
        .map_err(|error| line::failed(&error, args.package.display()))?;
    if args.no_wait {
        bar.clear();
        return say(
            out,
            &format!("{title} is in slot {slot}; see `nephroctl slots` for the box's verdict\n"),
        );
    }
    let words = trial::wait(&mut client, &hash, &mut bar)?;
    bar.clear();
    say(out, &format!("{title} in slot {slot}: {words}\n"))
}

/// Reads a permit and checks what can be checked here.
fn permit(
    path: &Path,
    package: &[u8; 32],
    keys: &[PublicKey],
) -> Result<heapless::Vec<u8, 128>, Failure> {
    let unusable = |error: &dyn std::error::Error| {
        told(Exit::Input, error, path.display(), "make the permit again").coded("permit")
    };
    let bytes = files::read(path, MOST_PERMIT_BYTES).map_err(|error| unusable(&error))?;
    match Permit::open(&bytes, keys) {
        Ok(permit) if permit.package != *package => {
            return Err(unusable(&PermitError::OtherPackage));
        }
        // Without keys this is the only thing that can be wrong with a sound permit; the box has its own keys.
        Err(PermitError::Signature(SignatureError::UnknownKey { .. })) if keys.is_empty() => {}
        Ok(_) => {}
        Err(error) => return Err(unusable(&error)),
    }
    heapless::Vec::from_slice(&bytes).map_err(|_| {
        unusable(&PermitError::Length {
            found: bytes.len() as u64,
        })
    })
}
