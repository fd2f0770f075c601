//! Header, section positions and trailer, as `docs/formats/package.md` lays them out.

use core::ops::Range;

use super::PackageError;

/// The first four bytes of every package.
pub const MAGIC: [u8; 4] = *b"NBX1";
/// Major version of the format that is written; a reader refuses newer ones.
pub const MAJOR: u16 = 2;
/// Oldest major version that is read. The sections are the same; version 2 brought operations for integers.
pub const OLDEST: u16 = 1;
/// Minor version of the format; a reader accepts newer ones.
pub const MINOR: u16 = 0;
/// Sections and tensors begin at multiples of this many bytes.
pub const ALIGNMENT: usize = 64;

/// Longest manifest, in bytes. Sixteen self-test slices of 512 x 512 pixels take less than half of it; decoded it may take twenty times as much.
pub const MAX_MANIFEST_LEN: u64 = 32 << 20;
/// Longest program, in bytes. The deepest reference network takes 20,000.
pub const MAX_PROGRAM_LEN: u64 = 1 << 20;

/// Bytes of the header, after which the manifest begins.
pub const HEADER_LEN: usize = 64;
/// Bytes of the trailer: hash and signature.
pub const TRAILER_LEN: usize = 128;
const HASH_LEN: usize = 32;

/// The package's fixed first 64 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Major version of the format.
    pub major: u16,
    /// Minor version of the format.
    pub minor: u16,
    /// Bytes of the whole file.
    pub total_len: u64,
    /// Bytes of the manifest.
    pub manifest_len: u64,
    /// Bytes of the program.
    pub program_len: u64,
    /// Bytes of the tensor table with its names.
    pub table_len: u64,
    /// Bytes of the tensors.
    pub data_len: u64,
    /// Number of tensors.
    pub tensors: u32,
}

impl Header {
    /// Reads the header of `file`, refusing another magic or an unknown major version. Nothing it says is believed yet.
    pub fn read(file: &[u8]) -> Result<Self, PackageError> {
        if !file.starts_with(&MAGIC) {
            return Err(PackageError::NotAPackage);
        }
        let short = PackageError::Length {
            expected: (HEADER_LEN + TRAILER_LEN) as u64,
            found: file.len() as u64,
        };
        let version = file.get(4..8).ok_or(short)?;
        let (major, minor) = (u16_at(version, 0), u16_at(version, 2));
        if major > MAJOR {
            return Err(PackageError::Newer { major, minor });
        }
        if major < OLDEST {
            return Err(PackageError::UnknownVersion { major, minor });
        }
        let bytes = file.get(..HEADER_LEN).ok_or(short)?;
        let header = Self {
            major,
            minor,
            total_len: u64_at(bytes, 8),
            manifest_len: u64_at(bytes, 16),
            program_len: u64_at(bytes, 24),
            table_len: u64_at(bytes, 32),
            data_len: u64_at(bytes, 40),
            tensors: u32_at(bytes, 48),
        };
        Ok(header)
    }

    /// The 64 bytes.
    #[cfg(feature = "alloc")]
    pub(super) fn bytes(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4..6].copy_from_slice(&self.major.to_le_bytes());
        bytes[6..8].copy_from_slice(&self.minor.to_le_bytes());
        let lengths = [
            self.total_len,
            self.manifest_len,
            self.program_len,
            self.table_len,
            self.data_len,
        ];
        for (slot, length) in bytes[8..48].chunks_exact_mut(8).zip(lengths) {
            slot.copy_from_slice(&length.to_le_bytes());
        }
        bytes[48..52].copy_from_slice(&self.tensors.to_le_bytes());
        bytes
    }

    /// Bytes of the header that version 2.0 does not use.
    pub(super) const UNUSED: Range<usize> = 52..HEADER_LEN;
}

/// Where each section lies. Only positions are derived; the file's length is checked against them by the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) manifest: Section,
    pub(super) program: Section,
    pub(super) table: Section,
    pub(super) data: Section,
    /// First byte of the trailer, which is also the number of hashed bytes.
    pub(super) trailer: usize,
    pub(super) total: usize,
}

/// A run of bytes. `Range` is not `Copy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Section {
    pub(super) fn of(self, file: &[u8]) -> &[u8] {
        file.get(self.start..self.end).unwrap_or(&[])
    }
}

impl Layout {
    /// Positions from sizes; `None` where they overflow.
    pub(super) fn new(header: &Header) -> Option<Self> {
        let manifest = section(HEADER_LEN, header.manifest_len)?;
        let program = section(aligned(manifest.end)?, header.program_len)?;
        let table = section(aligned(program.end)?, header.table_len)?;
        let data = section(aligned(table.end)?, header.data_len)?;
        let trailer = aligned(data.end)?;
        Some(Self {
            manifest,
            program,
            table,
            data,
            trailer,
            total: trailer.checked_add(TRAILER_LEN)?,
        })
    }

    /// The gaps between sections, which hold zeros.
    pub(super) fn gaps(&self) -> [Range<usize>; 4] {
        [
            self.manifest.end..self.program.start,
            self.program.end..self.table.start,
            self.table.end..self.data.start,
            self.data.end..self.trailer,
        ]
    }
}

fn section(start: usize, len: u64) -> Option<Section> {
    let end = start.checked_add(usize::try_from(len).ok()?)?;
    Some(Section { start, end })
}

/// The next multiple of [`ALIGNMENT`].
pub(super) fn aligned(position: usize) -> Option<usize> {
    position.checked_next_multiple_of(ALIGNMENT)
}

/// Who vouches for the package: an ed25519 signature over its 32-byte hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Which key signed: the first 16 bytes of the BLAKE3 hash of the 32-byte public key.
    pub key_id: [u8; 16],
    /// The signature.
    pub bytes: [u8; 64],
}

/// The last 128 bytes: hash and signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trailer {
    pub(super) hash: [u8; HASH_LEN],
    pub(super) signature: Option<Signature>,
}

impl Trailer {
    const UNSIGNED: u32 = 0;
    const ED25519: u32 = 1;

    /// Reads the trailer that begins at `start`; `None` if it is not all there.
    pub(super) fn read(file: &[u8], start: usize) -> Option<Result<Self, PackageError>> {
        let bytes: &[u8; TRAILER_LEN] = file.get(start..)?.first_chunk()?;
        let hash = array(bytes, 0);
        let kind = u32_at(bytes, 32);
        let signature = Signature {
            key_id: array(bytes, 40),
            bytes: array(bytes, 64),
        };
        let empty = signature.key_id == [0; 16] && signature.bytes == [0; 64];
        Some(match kind {
            Self::UNSIGNED | Self::ED25519 if (kind == Self::UNSIGNED) != empty => {
                Err(PackageError::Signature)
            }
            Self::UNSIGNED => Ok(Self {
                hash,
                signature: None,
            }),
            Self::ED25519 => Ok(Self {
                hash,
                signature: Some(signature),
            }),
            _ => Err(PackageError::SignatureKind { kind }),
        })
    }

    /// The 128 bytes.
    #[cfg(feature = "alloc")]
    pub(super) fn bytes(&self) -> [u8; TRAILER_LEN] {
        let mut bytes = [0; TRAILER_LEN];
        bytes[..HASH_LEN].copy_from_slice(&self.hash);
        if let Some(signature) = &self.signature {
            bytes[32..36].copy_from_slice(&Self::ED25519.to_le_bytes());
            bytes[40..56].copy_from_slice(&signature.key_id);
            bytes[64..].copy_from_slice(&signature.bytes);
        }
        bytes
    }

    /// Bytes of the trailer that version 2.0 does not use, from the trailer's start.
    pub(super) const UNUSED: [Range<usize>; 2] = [36..40, 56..64];
}

/// `N` bytes from `at`; zeros where there are fewer, which no caller asks for.
pub(super) fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .copied()
        .unwrap_or([0; N])
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array(bytes, at))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array(bytes, at))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array(bytes, at))
}
