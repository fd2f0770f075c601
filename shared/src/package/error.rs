//! Every way a package can be wrong.

use core::fmt;

use super::layout::{MAJOR, MINOR, OLDEST};

/// Why a package is refused. Each sentence says what is wrong and, where the reader can help it, what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PackageError {
    /// The file does not begin with the magic bytes, or is too short to.
    NotAPackage,
    /// The format's major version is newer than this program.
    Newer {
        /// Major version in the file.
        major: u16,
        /// Minor version in the file.
        minor: u16,
    },
    /// The format's major version was never issued.
    UnknownVersion {
        /// Major version in the file.
        major: u16,
        /// Minor version in the file.
        minor: u16,
    },
    /// The file is shorter or longer than its header says.
    Length {
        /// Bytes the header asks for.
        expected: u64,
        /// Bytes there are.
        found: u64,
    },
    /// The sizes in the header contradict each other.
    Sections,
    /// A section is longer than any that was ever needed.
    TooLong {
        /// Which section.
        section: &'static str,
        /// Bytes it has.
        bytes: u64,
        /// Bytes it may have.
        limit: u64,
    },
    /// The bytes are not those that were hashed when the package was written.
    Hash,
    /// Bytes that must be 0 in this version are not.
    NotZero {
        /// Position of the first such byte.
        offset: usize,
    },
    /// The signature is of a kind this program does not know.
    SignatureKind {
        /// The kind's number.
        kind: u32,
    },
    /// The signature field contradicts its kind: unsigned but not empty, or signed but empty.
    Signature,
    /// There are more tensors than [`MAX_TENSORS`](super::MAX_TENSORS).
    TooManyTensors {
        /// How many.
        tensors: usize,
    },
    /// A tensor's entry in the table, or a tensor to be written, is wrong.
    Tensor {
        /// Position in the table.
        index: usize,
        /// What is wrong.
        problem: TensorProblem,
    },
    /// The manifest's bytes are not a manifest.
    ManifestEncoding,
    /// A value in the manifest makes no sense.
    Manifest {
        /// Which field.
        field: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
}

/// What is wrong with a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TensorProblem {
    /// The name lies outside the table, is empty, too long or not UTF-8.
    Name,
    /// The number format is unknown.
    Dtype(u8),
    /// It has no axis, more than four, an axis of length 0, or too many elements to count.
    Shape,
    /// Shape and data disagree.
    Length {
        /// Bytes the shape asks for.
        expected: u64,
        /// Bytes there are.
        found: u64,
    },
    /// The data lie outside their section, are not aligned, or overlap with those before.
    Range,
    /// Scales are there for another number format than i8, are not one for each index of the first axis, or are not
    /// finite numbers above 0.
    Scales,
}

impl fmt::Display for PackageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NotAPackage => {
                f.write_str("this is no model package, since it does not begin with \"NBX1\"; name a file that ends in .nbx")
            }
            Self::Newer { major, minor } => write!(
                f,
                "the package has format version {major}.{minor} and this program reads up to {MAJOR}.x; update this \
                 program, or export the model again with the release that runs here"
            ),
            Self::UnknownVersion { major, minor } => write!(
                f,
                "the package has format version {major}.{minor}, which does not exist; this program reads {OLDEST}.0 \
                 to {MAJOR}.{MINOR}; export the model again"
            ),
            Self::Length { expected, found } => {
                let how = if found < expected {
                    "cut off"
                } else {
                    "followed by other bytes"
                };
                write!(
                    f,
                    "the package is {how}: it has {found} bytes and its header says {expected}; copy it again"
                )
            }
            Self::Sections => f.write_str(
                "the sizes in the package's header contradict each other; copy or export it again",
            ),
            Self::TooLong {
                section,
                bytes,
                limit,
            } => write!(
                f,
                "the package's {section} has {bytes} bytes and at most {limit} are possible; export the model again"
            ),
            Self::Hash => f.write_str(
                "the package is damaged: its hash does not match its bytes; copy it again",
            ),
            Self::NotZero { offset } => write!(
                f,
                "byte {offset} of the package must be 0 in this format version; export the model again"
            ),
            Self::SignatureKind { kind } => write!(
                f,
                "the package is signed in a way (kind {kind}) that this program does not know; update this program"
            ),
            Self::Signature => f.write_str(
                "the package's signature field contradicts itself; sign or export the model again",
            ),
            Self::TooManyTensors { tensors } => write!(
                f,
                "the package has {tensors} tensors and at most {} are possible; export the model again",
                super::MAX_TENSORS
            ),
            Self::Tensor { index, problem } => {
                write!(
                    f,
                    "tensor {index} of the package is unusable: {problem}; export the model again"
                )
            }
            Self::ManifestEncoding => {
                f.write_str("the package's manifest cannot be decoded; export the model again")
            }
            Self::Manifest { field, problem } => {
                write!(
                    f,
                    "{field} in the package's manifest {problem}; export the model again"
                )
            }
        }
    }
}

impl fmt::Display for TensorProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Name => f.write_str("its name is missing, too long or not UTF-8"),
            Self::Dtype(code) => write!(f, "its number format {code} is unknown"),
            Self::Shape => f.write_str("its shape is not one to four axes of at least 1"),
            Self::Length { expected, found } => {
                write!(f, "its shape asks for {expected} bytes and it has {found}")
            }
            Self::Range => {
                f.write_str("its data lie outside their section, are not aligned to 64 bytes, or overlap others")
            }
            Self::Scales => f.write_str("its scales are not one finite positive number for each output channel"),
        }
    }
}

impl core::error::Error for PackageError {}
