//! The few elements of a data set that a slice needs, picked out while it streams past.
//!
//! Used by the slice's header and its voxels. Lengths in a file are claims: a value is read only if it is one of those asked for and
//! short, everything else is skipped, and nesting costs no stack. So memory stays within a few kilobytes, and within the limit
//! that the caller sets for pixels, whatever the file says.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher as _};
use std::io::{Read, Seek};
use std::panic::{AssertUnwindSafe, catch_unwind};

use dicom_core::Tag;
use dicom_core::header::{DataElementHeader, HasLength as _};
use dicom_dictionary_std::tags;
use dicom_parser::StatefulDecode;
use dicom_parser::dataset::LazyDataToken;
use dicom_parser::dataset::lazy_read::LazyDataSetReader;
use dicom_transfer_syntax_registry::entries::{
    EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN,
};

/// Longest value kept; the longest that a slice needs has six decimal numbers of 16 characters.
const LONGEST: u32 = 1024;

/// Whether elements name their type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Types {
    Explicit,
    Implicit,
}

/// Short values by their tags, at the top level of a data set.
#[derive(Debug, Default)]
pub(crate) struct Elements {
    values: BTreeMap<Tag, Vec<u8>>,
}

/// What follows the header of a slice.
#[derive(Debug)]
pub(crate) enum Pixels {
    /// Nothing.
    None,
    /// So many bytes as they are, of which the file holds the second number.
    Native { promised: u64, held: u64 },
    /// Fragments of a compressed image.
    Encapsulated,
}

/// The bytes of one image.
#[derive(Debug)]
pub(crate) enum Content {
    Native(Vec<u8>),
    /// All fragments, one after the other, without the offset table.
    Encapsulated(Vec<u8>),
}

impl Elements {
    /// Reads the elements in `wanted` up to the pixels, which are not read. `len` is the source's whole length.
    ///
    /// Errors say in a few words how the data set is damaged.
    pub(crate) fn read(
        source: impl Read + Seek,
        len: u64,
        types: Types,
        wanted: &[Tag],
    ) -> Result<(Self, Pixels), String> {
        let mut found = Self::default();
        let mut pixels = Pixels::None;
        walk(source, types, &mut |at| {
            match at {
                At::Value(header, decoder) if header.tag == tags::PIXEL_DATA => {
                    pixels = Pixels::Native {
                        promised: u64::from(header.len.0),
                        held: len.saturating_sub(decoder.position()),
                    };
                    return Ok(Go::Stop);
                }
                At::Value(header, decoder)
                    if wanted.contains(&header.tag) && header.len.0 <= LONGEST =>
                {
                    let mut value = Vec::new();
                    take(decoder, header.len.0, &mut value)?;
                    found.values.insert(header.tag, value);
                }
                At::Value(header, decoder) => skip(decoder, header.len.0)?,
                At::Pixels => {
                    pixels = Pixels::Encapsulated;
                    return Ok(Go::Stop);
                }
                At::Fragment(..) => {}
            }
            Ok(Go::On)
        })?;
        Ok((found, pixels))
    }

    /// The text of an element without its padding; `None` if it is absent or empty.
    pub(crate) fn text(&self, tag: Tag) -> Option<&str> {
        let value = self.values.get(&tag)?;
        let text = std::str::from_utf8(value).ok()?.trim_matches([' ', '\0']);
        (!text.is_empty()).then_some(text)
    }

    /// The bytes of an element without its padding; none if it is absent.
    pub(crate) fn bytes(&self, tag: Tag) -> &[u8] {
        let value = self.values.get(&tag).map(Vec::as_slice);
        let padding = |&byte: &u8| byte == b' ' || byte == 0;
        let value = value.unwrap_or_default();
        let from = value
            .iter()
            .position(|byte| !padding(byte))
            .unwrap_or(value.len());
        let rest = &value[from..];
        let to = rest
            .iter()
            .rposition(|byte| !padding(byte))
            .map_or(0, |last| last + 1);
        &rest[..to]
    }

    /// A number that is the same for two elements if their bytes are, and hardly ever otherwise.
    pub(crate) fn fingerprint(&self, tag: Tag) -> u64 {
        let mut hasher = DefaultHasher::new();
        hasher.write(self.bytes(tag));
        hasher.finish()
    }

    /// `N` decimal numbers; `None` if the element is absent, or holds another count or something else.
    pub(crate) fn numbers<const N: usize>(&self, tag: Tag) -> Option<[f64; N]> {
        let mut numbers = [0.0; N];
        let mut parts = self.text(tag)?.split('\\');
        for number in &mut numbers {
            *number = parts.next()?.trim().parse().ok()?;
            if !f64::is_finite(*number) {
                return None;
            }
        }
        parts.next().is_none().then_some(numbers)
    }

    /// One unsigned 16-bit number.
    pub(crate) fn short(&self, tag: Tag) -> Option<u16> {
        let value = self.values.get(&tag)?;
        Some(u16::from_le_bytes(value.as_slice().try_into().ok()?))
    }
}

/// Reads the pixels of a data set, at most `limit` bytes.
pub(crate) fn content(
    source: impl Read + Seek,
    types: Types,
    limit: usize,
) -> Result<Content, String> {
    let mut content = None;
    let too_large = || Err(format!("its pixels take more than {limit} bytes"));
    walk(source, types, &mut |at| {
        match at {
            At::Value(header, decoder) if header.tag == tags::PIXEL_DATA => {
                if header.len.0 as usize > limit {
                    return too_large();
                }
                let mut bytes = Vec::new();
                take(decoder, header.len.0, &mut bytes)?;
                content = Some(Content::Native(bytes));
                return Ok(Go::Stop);
            }
            At::Value(header, decoder) => skip(decoder, header.len.0)?,
            At::Pixels => content = Some(Content::Encapsulated(Vec::new())),
            At::Fragment(index, len, decoder) => {
                match &mut content {
                    // The first is the offset table, which one image does not need.
                    Some(Content::Encapsulated(bytes)) if index > 0 => {
                        if bytes.len() + len as usize > limit {
                            return too_large();
                        }
                        take(decoder, len, bytes)?;
                    }
                    _ => skip(decoder, len)?,
                }
            }
        }
        Ok(Go::On)
    })?;
    content.ok_or_else(|| "it holds no pixels".to_owned())
}

/// A place in a data set at the top level.
enum At<'a> {
    /// A value that must be read or skipped.
    Value(DataElementHeader, &'a mut dyn Decode),
    /// The start of a compressed image.
    Pixels,
    /// A fragment of it, counted from 0, that must be read or skipped. Empty ones are counted and not shown.
    Fragment(usize, u32, &'a mut dyn Decode),
}

#[derive(PartialEq)]
enum Go {
    On,
    Stop,
}

/// What is asked of a decoder, as an object.
trait Decode {
    fn position(&self) -> u64;
    fn take(&mut self, len: u32, out: &mut Vec<u8>) -> Result<(), String>;
    fn skip(&mut self, len: u32) -> Result<(), String>;
}

impl<D: StatefulDecode> Decode for D {
    fn position(&self) -> u64 {
        StatefulDecode::position(self)
    }

    fn take(&mut self, len: u32, out: &mut Vec<u8>) -> Result<(), String> {
        let before = out.len();
        self.read_to_vec(len, out)
            .map_err(|error| error.to_string())?;
        if out.len() - before == len as usize {
            Ok(())
        } else {
            Err("it ends within a value".to_owned())
        }
    }

    fn skip(&mut self, len: u32) -> Result<(), String> {
        self.skip_bytes(len).map_err(|error| error.to_string())
    }
}

fn take(decoder: &mut dyn Decode, len: u32, out: &mut Vec<u8>) -> Result<(), String> {
    decoder.take(len, out)
}

fn skip(decoder: &mut dyn Decode, len: u32) -> Result<(), String> {
    decoder.skip(len)
}

/// What an end must belong to.
#[derive(Clone, Copy, PartialEq)]
enum Open {
    Sequence,
    /// A compressed image.
    Image,
    Item,
}

/// Shows `visit` the values of the top level until it stops or the data set ends.
fn walk(
    source: impl Read + Seek,
    types: Types,
    visit: &mut dyn FnMut(At<'_>) -> Result<Go, String>,
) -> Result<(), String> {
    let guarded = AssertUnwindSafe(|| walk_unguarded(source, types, visit));
    // The parser is another house's; should a file that it never met make it panic, that file alone is refused.
    catch_unwind(guarded).unwrap_or_else(|_| Err("its elements make no sense".to_owned()))
}

/// The parser's words for what it cannot read, within a sentence.
fn unread(error: &dyn std::error::Error) -> String {
    format!("its elements cannot be read ({error})")
}

fn walk_unguarded(
    source: impl Read + Seek,
    types: Types,
    visit: &mut dyn FnMut(At<'_>) -> Result<Go, String>,
) -> Result<(), String> {
    let syntax = match types {
        Types::Explicit => EXPLICIT_VR_LITTLE_ENDIAN.erased(),
        Types::Implicit => IMPLICIT_VR_LITTLE_ENDIAN.erased(),
    };
    let mut reader =
        LazyDataSetReader::new_with_ts(source, &syntax).map_err(|error| unread(&error))?;
    let mut open: Vec<Open> = Vec::new();
    // Begun in the image at the top level.
    let mut items = 0_usize;
    while let Some(token) = reader.advance() {
        let token = token.map_err(|error| unread(&error))?;
        let go = match token {
            LazyDataToken::ElementHeader(_) => Go::On,
            LazyDataToken::SequenceStart { .. } => {
                open.push(Open::Sequence);
                Go::On
            }
            LazyDataToken::PixelSequenceStart => {
                open.push(Open::Image);
                if open.len() == 1 {
                    visit(At::Pixels)?
                } else {
                    Go::On
                }
            }
            LazyDataToken::ItemStart { .. } => {
                items = if open == [Open::Image] { items + 1 } else { 0 };
                open.push(Open::Item);
                Go::On
            }
            LazyDataToken::ItemEnd => match open.pop() {
                Some(Open::Item) => Go::On,
                _ => return Err("an item ends that did not begin".to_owned()),
            },
            LazyDataToken::SequenceEnd => match open.pop() {
                Some(Open::Image) if open.is_empty() => Go::Stop,
                Some(Open::Sequence | Open::Image) => Go::On,
                _ => return Err("a sequence ends that did not begin".to_owned()),
            },
            LazyDataToken::LazyValue { header, decoder } => {
                if header.length().is_undefined() {
                    return Err(format!("element {} has no length", header.tag));
                }
                if open.is_empty() {
                    visit(At::Value(header, decoder))?
                } else {
                    skip(decoder, header.len.0)?;
                    Go::On
                }
            }
            LazyDataToken::LazyItemValue { len, decoder } => {
                if open == [Open::Image, Open::Item] {
                    visit(At::Fragment(items - 1, len, decoder))?
                } else {
                    skip(decoder, len)?;
                    Go::On
                }
            }
            _ => return Err("an element of an unknown kind".to_owned()),
        };
        if go == Go::Stop {
            return Ok(());
        }
    }
    if open.is_empty() {
        Ok(())
    } else {
        Err("it ends within a sequence".to_owned())
    }
}
