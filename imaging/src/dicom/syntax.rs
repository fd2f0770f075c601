//! Transfer syntaxes: how a file says that its elements and pixels are written, and which of these ways are read.
//!
//! Used by the file and by the decoder of pixels. Only ways that keep every voxel, and the two that may or may not
//! ([`Syntax::may_lose`]), which the report then mentions. JPEG as in photographs is refused: its 8 or 12 bits cannot hold CT.

use super::elements::Types;

/// How the pixels of a slice are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packing {
    /// Not at all.
    Native,
    Rle,
    JpegLossless,
    JpegLs,
    Jpeg2000,
}

/// One way in which files are written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Syntax {
    pub(crate) uid: &'static str,
    pub(crate) types: Types,
    /// Everything after the first elements is deflated.
    pub(crate) deflated: bool,
    pub(crate) packing: Packing,
    /// The packing can change voxels.
    pub(crate) may_lose: bool,
}

const fn plain(uid: &'static str, types: Types, deflated: bool) -> Syntax {
    Syntax {
        uid,
        types,
        deflated,
        packing: Packing::Native,
        may_lose: false,
    }
}

const fn packed(uid: &'static str, packing: Packing, may_lose: bool) -> Syntax {
    Syntax {
        uid,
        types: Types::Explicit,
        deflated: false,
        packing,
        may_lose,
    }
}

/// DICOM PS3.5, section 10 and annex A.
static READ: [Syntax; 10] = [
    plain("1.2.840.10008.1.2", Types::Implicit, false),
    plain("1.2.840.10008.1.2.1", Types::Explicit, false),
    plain("1.2.840.10008.1.2.1.99", Types::Explicit, true),
    packed("1.2.840.10008.1.2.5", Packing::Rle, false),
    packed("1.2.840.10008.1.2.4.57", Packing::JpegLossless, false),
    packed("1.2.840.10008.1.2.4.70", Packing::JpegLossless, false),
    packed("1.2.840.10008.1.2.4.80", Packing::JpegLs, false),
    packed("1.2.840.10008.1.2.4.81", Packing::JpegLs, true),
    packed("1.2.840.10008.1.2.4.90", Packing::Jpeg2000, false),
    packed("1.2.840.10008.1.2.4.91", Packing::Jpeg2000, true),
];

/// What the most usual ones that are not read are called.
const REFUSED: [(&str, &str); 6] = [
    ("1.2.840.10008.1.2.2", "big endian"),
    ("1.2.840.10008.1.2.4.50", "JPEG with loss, 8 bits"),
    ("1.2.840.10008.1.2.4.51", "JPEG with loss, 12 bits"),
    ("1.2.840.10008.1.2.4.201", "high-throughput JPEG 2000"),
    ("1.2.840.10008.1.2.4.202", "high-throughput JPEG 2000"),
    ("1.2.840.10008.1.2.4.203", "high-throughput JPEG 2000"),
];

impl Syntax {
    /// The way with this identifier, or in a word why it is not read.
    pub(crate) fn of(uid: &str) -> Result<&'static Self, &'static str> {
        READ.iter().find(|syntax| syntax.uid == uid).ok_or_else(|| {
            REFUSED
                .iter()
                .find(|(refused, _)| *refused == uid)
                .map_or("unknown here", |(_, name)| name)
        })
    }
}
