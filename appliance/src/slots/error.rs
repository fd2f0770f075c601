//! What can go wrong with the slots, and why a package is not taken.

use std::io;
use std::path::PathBuf;

use nephrobox_engine::package::{MAX_FILE_BYTES, ModelError};
use nephrobox_shared::package::permit::PermitError;
use nephrobox_shared::package::{KeyId, MAJOR, OLDEST, PackageError, SignatureError};

use super::Letter;

/// Why the slots could not do what they were asked. The model in use is untouched by all of these.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SlotsError {
    /// The disk refused; the same call may be made again.
    #[error(
        "{place}: the disk of the model slots refuses: {source}; check the disk and its free space"
    )]
    Storage {
        /// File in the slots' folder.
        place: String,
        /// What the disk says.
        source: io::Error,
    },
    /// Nothing is being received.
    #[error("no package is being received; announce it first")]
    NoReception,
    /// Bytes came out of order.
    #[error("bytes from {found} on came where {expected} is next; go on from there")]
    Order {
        /// Offset at which to go on.
        expected: u64,
        /// Offset that was given.
        found: u64,
    },
    /// More bytes than announced.
    #[error("more than the {announced} bytes that were announced; announce the package again")]
    TooMany {
        /// Bytes that were announced.
        announced: u64,
    },
    /// Bytes are missing at the end.
    #[error("{received} of {announced} bytes are here; send the rest")]
    Short {
        /// Bytes that are here.
        received: u64,
        /// Bytes that were announced.
        announced: u64,
    },
    /// The package is whole and is not taken; its bytes are gone.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// There is nothing to go back to.
    #[error("there is no model to go back to: {why}; flash the wanted package with a permit")]
    NoWayBack {
        /// What the other slot holds.
        why: String,
    },
    /// A trial or the check of a package is going on.
    #[error("slot {0} is being checked; wait for the verdict")]
    Busy(Letter),
    /// The file to install cannot be read.
    #[error("{}: cannot be read ({source}); name a model package (.nbx)", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file to install is no package.
    #[error("{}: {source}", path.display())]
    NotAPackage {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: PackageError,
    },
}

impl SlotsError {
    /// Puts the place beside what the disk says.
    pub(super) fn at(place: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let place = place.into();
        move |source| Self::Storage { place, source }
    }
}

/// Why a package is not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// There is nothing in it, or it would never fit.
    #[error(
        "the package has {0} bytes and this box takes 1 to {MAX_FILE_BYTES}; check which file it is"
    )]
    Size(u64),
    /// There is no room.
    #[error(
        "{needed} bytes are needed and {free} are free; fetch results from the box and flash again"
    )]
    Room {
        /// Bytes of the package and what the box needs besides.
        needed: u64,
        /// Bytes that can be had.
        free: u64,
    },
    /// The format is another.
    #[error(
        "the package has format version {0} and this box reads {OLDEST} to {MAJOR}; update the box, or export the model again with its release"
    )]
    Format(u16),
    /// It is not signed by a key that this box trusts.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// Its key is retired.
    #[error(
        "key {0} is retired and installs nothing any more; have the package signed by a key in use"
    )]
    Retired(KeyId),
    /// The version is not higher than that in use.
    #[error(
        "the package has version {offered} and the box runs version {running}; flash a higher version, or add a permit to go back"
    )]
    Version {
        /// Version of the package.
        offered: u64,
        /// Version in use.
        running: u64,
    },
    /// The permit does not open this step.
    #[error(transparent)]
    Permit(#[from] PermitError),
    /// The slot it would go to is in use by a trial.
    #[error("slot {0} is being checked; wait for the verdict and flash again")]
    Busy(Letter),
    /// The bytes are not those that were announced.
    #[error("the bytes do not have the announced hash; send the package again")]
    Hash,
    /// The package is not the one that was announced.
    #[error("the package's {0} is not what was announced; update the program that sends it")]
    Announced(&'static str),
    /// It is damaged, or its model cannot run here.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// It has no self-test.
    #[error(
        "the package has no self-test; export it with one, or set model.allow_without_self_test"
    )]
    NoSelfTest,
}
