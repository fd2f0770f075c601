//! A DICOM file as DICOM PS3.10 has it: a preamble, a few elements about the file, and the data set behind them.
//!
//! Used by the slice's header and its voxels. Sizes are bounded here: the first elements by [`MOST_META`], what is inflated by
//! [`MOST_INFLATED`].

use std::io::{self, BufReader, Cursor, Read, Seek, SeekFrom};

use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};
use flate2::read::DeflateDecoder;

use super::MAX_SIDE;
use super::elements::{Elements, Types};
use super::error::DicomError;
use super::syntax::Syntax;
use crate::place::{Place, Window};

/// Preamble, magic, and the element that says how long the others about the file are.
const HEAD: usize = 144;

/// Most bytes of elements about the file; usual are 200.
const MOST_META: u32 = 1 << 16;

/// Most bytes of a deflated data set: the largest image and as much again for everything else.
const MOST_INFLATED: u64 = 4 * (MAX_SIDE * MAX_SIDE) as u64;

/// Kinds of objects that hold slices of CT.
pub(crate) const OF_CT: [&str; 3] = [
    uids::CT_IMAGE_STORAGE,
    uids::ENHANCED_CT_IMAGE_STORAGE,
    uids::LEGACY_CONVERTED_ENHANCED_CT_IMAGE_STORAGE,
];

const ABOUT_THE_FILE: [Tag; 2] = [tags::TRANSFER_SYNTAX_UID, tags::MEDIA_STORAGE_SOP_CLASS_UID];

/// What a file turned out to be.
pub(crate) enum Opened {
    /// No DICOM file.
    NotDicom,
    /// An object that is written in a way that is not read, and that does not claim to be CT.
    Unread,
    File(Part10),
}

/// A file whose first elements have been read.
pub(crate) struct Part10 {
    pub(crate) syntax: &'static Syntax,
    /// The kind of object that the file says it holds.
    pub(crate) class: String,
    pub(crate) body: Body,
}

/// The data set, with the position at its start.
pub(crate) enum Body {
    Plain(BufReader<Window>),
    Inflated(Cursor<Vec<u8>>),
}

impl Part10 {
    /// Opens a file.
    pub(crate) fn open(place: &Place) -> Result<Opened, DicomError> {
        let path = place.label();
        let io_error = |source| DicomError::Io {
            path: path.to_owned(),
            source,
        };
        let damaged = |what: String| DicomError::Damaged {
            path: path.to_owned(),
            what,
        };
        let mut file = place.window().map_err(io_error)?;
        let mut head = [0; HEAD];
        match file.read_exact(&mut head) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Ok(Opened::NotDicom);
            }
            Err(error) => return Err(io_error(error)),
        }
        if head[128..132] != *b"DICM" {
            return Ok(Opened::NotDicom);
        }
        let (group_length, length) = head[132..].split_at(8);
        if *group_length != [2, 0, 0, 0, b'U', b'L', 4, 0] {
            return Err(damaged("it does not begin with a length".to_owned()));
        }
        let length = u32::from_le_bytes([length[0], length[1], length[2], length[3]]);
        if length > MOST_META {
            return Err(damaged(format!("its first elements take {length} bytes")));
        }
        let mut meta = vec![0; length as usize];
        file.read_exact(&mut meta)
            .map_err(|_| damaged("it ends within its first elements".to_owned()))?;
        let (about, _) = Elements::read(
            Cursor::new(&meta),
            u64::from(length),
            Types::Explicit,
            &ABOUT_THE_FILE,
        )
        .map_err(damaged)?;
        let class = about
            .text(tags::MEDIA_STORAGE_SOP_CLASS_UID)
            .map(printable)
            .unwrap_or_default();
        let uid = about.text(tags::TRANSFER_SYNTAX_UID).unwrap_or_default();
        let syntax = match Syntax::of(uid) {
            Ok(syntax) => syntax,
            // Discs hold pictures and films beside the series.
            Err(_) if !class.is_empty() && !OF_CT.contains(&class.as_str()) => {
                return Ok(Opened::Unread);
            }
            Err(name) => {
                return Err(DicomError::TransferSyntax {
                    path: path.to_owned(),
                    uid: printable(uid),
                    name,
                });
            }
        };
        let body = if syntax.deflated {
            let mut inflated = Vec::new();
            DeflateDecoder::new(BufReader::new(file))
                .take(MOST_INFLATED + 1)
                .read_to_end(&mut inflated)
                .map_err(|error| damaged(format!("its deflated part is damaged ({error})")))?;
            if inflated.len() as u64 > MOST_INFLATED {
                return Err(damaged(format!(
                    "it inflates to more than {MOST_INFLATED} bytes"
                )));
            }
            Body::Inflated(Cursor::new(inflated))
        } else {
            Body::Plain(BufReader::new(file))
        };
        Ok(Opened::File(Self {
            syntax,
            class,
            body,
        }))
    }
}

impl Body {
    /// Its last byte's position and one.
    pub(crate) fn end(&self) -> u64 {
        match self {
            Self::Plain(file) => file.get_ref().len(),
            Self::Inflated(bytes) => bytes.get_ref().len() as u64,
        }
    }
}

impl Read for Body {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(file) => file.read(out),
            Self::Inflated(bytes) => bytes.read(out),
        }
    }
}

impl Seek for Body {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match self {
            Self::Plain(file) => file.seek(to),
            Self::Inflated(bytes) => bytes.seek(to),
        }
    }
}

/// A short code out of a file, safe to print: letters, digits, dots and underlines, at most 64.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_'))
        .take(64)
        .collect()
}
