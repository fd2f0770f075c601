//! The beginning of a part 10 file (PS3.10 section 7): written before a received data set, read before one that is sent.

use std::io::{self, Read};

use dicom_object::FileMetaTableBuilder;

use crate::syntax::{IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME};
use crate::uid::{is_uid, plain};

const PREAMBLE: usize = 128;
const MAGIC: &[u8; 4] = b"DICM";
/// The greatest meta group that is read, in bytes; usual ones have two hundred.
const MAX_META: u32 = 64 << 10;

const CLASS: u16 = 0x0002;
const INSTANCE: u16 = 0x0003;
const TRANSFER_SYNTAX: u16 = 0x0010;

/// What a data set is, and how it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) class: String,
    pub(crate) instance: String,
    pub(crate) transfer_syntax: String,
}

impl Meta {
    /// Preamble, magic word and meta group, for a data set from the application entity `source`.
    pub(crate) fn to_bytes(&self, source: &str) -> io::Result<Vec<u8>> {
        let table = FileMetaTableBuilder::new()
            .media_storage_sop_class_uid(&self.class)
            .media_storage_sop_instance_uid(&self.instance)
            .transfer_syntax(&self.transfer_syntax)
            .implementation_class_uid(IMPLEMENTATION_CLASS_UID)
            .implementation_version_name(IMPLEMENTATION_VERSION_NAME)
            .source_application_entity_title(source)
            .build()
            .map_err(io::Error::other)?;
        let mut bytes = vec![0; PREAMBLE];
        bytes.extend(MAGIC);
        table.write(&mut bytes).map_err(io::Error::other)?;
        Ok(bytes)
    }

    /// Reads up to the data set.
    ///
    /// Not by `dicom_object`'s own reader, which makes room for whatever length an element names.
    ///
    /// # Errors
    /// The reader's own, or `InvalidData` with what is wrong.
    pub(crate) fn read(file: &mut impl Read) -> io::Result<Self> {
        let wrong = |what| io::Error::new(io::ErrorKind::InvalidData, what);
        let mut begin = [0; PREAMBLE + 4 + 12];
        file.read_exact(&mut begin)
            .map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => wrong("it is shorter than a DICOM file's head"),
                _ => error,
            })?;
        let (magic, length) = begin[PREAMBLE..].split_at(4);
        if magic != MAGIC {
            return Err(wrong("it is no DICOM file"));
        }
        let [2, 0, 0, 0, b'U', b'L', 4, 0, length @ ..] = length else {
            return Err(wrong("its meta group does not begin with its length"));
        };
        let length = length
            .try_into()
            .map(u32::from_le_bytes)
            .map_err(|_| wrong("its meta group does not begin with its length"))?;
        if length > MAX_META {
            return Err(wrong("its meta group is too long"));
        }
        let mut group = Vec::new();
        if file.by_ref().take(length.into()).read_to_end(&mut group)? < length as usize {
            return Err(wrong("its meta group is cut off"));
        }
        let uid = |element, what| {
            find(&group, element)
                .map(plain)
                .filter(|text| is_uid(text))
                .ok_or_else(|| wrong(what))
        };
        Ok(Self {
            class: uid(CLASS, "it does not name its SOP class")?,
            instance: uid(INSTANCE, "it does not name its SOP instance")?,
            transfer_syntax: uid(TRANSFER_SYNTAX, "it does not name its transfer syntax")?,
        })
    }
}

/// The value of an element of a group in explicit little endian.
fn find(mut group: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let (head, rest) = group.split_first_chunk::<8>()?;
        let [_, _, e0, e1, vr @ .., l0, l1] = *head;
        let (length, rest) = if matches!(&vr, b"OB" | b"OW" | b"UN" | b"SQ" | b"UT") {
            let (long, rest) = rest.split_first_chunk::<4>()?;
            (u32::from_le_bytes(*long) as usize, rest)
        } else {
            (u16::from_le_bytes([l0, l1]).into(), rest)
        };
        let (value, rest) = rest.split_at_checked(length)?;
        if u16::from_le_bytes([e0, e1]) == wanted {
            return Some(value);
        }
        group = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn meta() -> Meta {
        Meta {
            class: "1.2.840.10008.5.1.4.1.1.2".into(),
            instance: "2.25.77".into(),
            transfer_syntax: "1.2.840.10008.1.2.1".into(),
        }
    }

    #[test]
    fn a_head_that_was_written_is_read_and_the_data_set_is_next() {
        let mut file = meta().to_bytes("SCANNER").unwrap();
        file.extend(b"data set");
        let mut rest = file.as_slice();
        assert_eq!(Meta::read(&mut rest).unwrap(), meta());
        assert_eq!(rest, b"data set");
    }

    #[test]
    fn another_reader_agrees() {
        let file = meta().to_bytes("SCANNER").unwrap();
        let table = dicom_object::FileMetaTable::from_reader(&file[128..]).unwrap();
        assert_eq!(table.transfer_syntax(), "1.2.840.10008.1.2.1");
        assert_eq!(table.media_storage_sop_instance_uid(), "2.25.77");
        assert_eq!(table.source_application_entity_title(), Some("SCANNER"));
        assert_eq!(table.implementation_class_uid(), IMPLEMENTATION_CLASS_UID);
    }

    #[test]
    fn every_truncation_is_an_error() {
        let file = meta().to_bytes("SCANNER").unwrap();
        for length in 0..file.len() {
            assert!(Meta::read(&mut &file[..length]).is_err(), "{length} bytes");
        }
    }

    proptest! {
        #[test]
        fn no_damage_panics(at in 128_usize..330, byte: u8) {
            let mut file = meta().to_bytes("SCANNER").unwrap();
            let at = at.min(file.len() - 1);
            file[at] = byte;
            let _ = Meta::read(&mut file.as_slice());
        }
    }
}
