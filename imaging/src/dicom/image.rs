//! What one file says of itself, checked: a slice of CT, a localiser, or something else.
//!
//! Used by the series. Nothing is kept of a file but what is needed to place a slice and to read its voxels: no date, and of the patient's
//! number and name only whether they are the same in all slices.

use std::path::PathBuf;

use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};

use super::MAX_SIDE;
use super::elements::{Content, Elements, Pixels, content};
use super::error::DicomError;
use super::part10::{OF_CT, Opened, Part10, printable};
use super::pixels::{Scale, Stored};
use super::syntax::{Packing, Syntax};
use crate::affine::{cross, dot};
use crate::place::Place;

/// All that is taken out of a data set to place a slice and to read it.
const WANTED: [Tag; 28] = [
    tags::PATIENT_ID,
    tags::PATIENT_NAME,
    tags::SOP_CLASS_UID,
    tags::SOP_INSTANCE_UID,
    tags::STUDY_INSTANCE_UID,
    tags::SERIES_INSTANCE_UID,
    tags::FRAME_OF_REFERENCE_UID,
    tags::MODALITY,
    tags::IMAGE_TYPE,
    tags::NUMBER_OF_FRAMES,
    tags::IMAGE_POSITION_PATIENT,
    tags::IMAGE_ORIENTATION_PATIENT,
    tags::PIXEL_SPACING,
    tags::SLICE_THICKNESS,
    tags::ROWS,
    tags::COLUMNS,
    tags::SAMPLES_PER_PIXEL,
    tags::PHOTOMETRIC_INTERPRETATION,
    tags::BITS_ALLOCATED,
    tags::BITS_STORED,
    tags::HIGH_BIT,
    tags::PIXEL_REPRESENTATION,
    tags::RESCALE_SLOPE,
    tags::RESCALE_INTERCEPT,
    tags::RESCALE_TYPE,
    tags::PIXEL_PADDING_VALUE,
    tags::PIXEL_PADDING_RANGE_LIMIT,
    tags::LOSSY_IMAGE_COMPRESSION,
];

/// A modality that is not given, or not looked for.
const UNNAMED: &str = "unnamed";

/// How far row and column directions may be from unit length and from a right angle: what six decimals of text leave, and to spare.
const NOT_QUITE: f64 = 1e-3;

/// What a file turned out to be.
pub(crate) enum Kind {
    Slice(Box<Head>),
    Localiser,
    /// Several slices of CT in one object.
    MultiFrame,
    /// Another object; its modality.
    Other(String),
}

/// The header of a slice of CT, of which nothing has been checked but that it is one.
pub(crate) struct Head {
    pub(crate) place: Place,
    syntax: &'static Syntax,
    elements: Elements,
    pixels: Pixels,
}

/// A slice of CT, in DICOM's own coordinates: millimetres, x towards the patient's left, y towards the back, z towards the head.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Slice {
    pub(crate) place: Place,
    syntax: &'static Syntax,
    pub(crate) instance: String,
    /// Study and series.
    pub(crate) series: [String; 2],
    /// Fingerprints of Patient ID and Patient's Name, to see that all slices give the same.
    pub(crate) patient: [u64; 2],
    pub(crate) frame_of_reference: String,
    pub(crate) rows: u16,
    pub(crate) cols: u16,
    /// Centre of the first pixel.
    pub(crate) position: [f64; 3],
    /// Directions in which the column index and the row index grow; of unit length, at a right angle.
    pub(crate) along: [[f64; 3]; 2],
    /// Distance between rows, and between columns.
    pub(crate) spacing: [f64; 2],
    pub(crate) thickness_mm: Option<f64>,
    pub(crate) stored: Stored,
    pub(crate) scale: Scale,
    pub(crate) may_have_lost: bool,
}

/// Reads a file's header; `None` if it is no DICOM file.
pub(crate) fn look(place: &Place) -> Result<Option<Kind>, DicomError> {
    let file = match Part10::open(place)? {
        Opened::NotDicom => return Ok(None),
        Opened::Unread => return Ok(Some(Kind::Other(UNNAMED.to_owned()))),
        Opened::File(file) => file,
    };
    let end = file.body.end();
    let (elements, pixels) = Elements::read(file.body, end, file.syntax.types, &WANTED)
        .map_err(|what| damaged(place, what))?;
    let modality = elements.text(tags::MODALITY).map(printable);
    let class = elements
        .text(tags::SOP_CLASS_UID)
        .map_or(file.class, printable);
    if class != uids::CT_IMAGE_STORAGE && OF_CT.contains(&class.as_str()) {
        return Ok(Some(Kind::MultiFrame));
    }
    match modality {
        Some(modality) if modality == "CT" && class == uids::CT_IMAGE_STORAGE => {}
        Some(modality) if modality == "CT" => {
            return Ok(Some(Kind::Other("CT that is no slice".to_owned())));
        }
        other => {
            return Ok(Some(Kind::Other(
                other.unwrap_or_else(|| UNNAMED.to_owned()),
            )));
        }
    }
    let localiser = elements
        .text(tags::IMAGE_TYPE)
        .is_some_and(|kinds| kinds.split('\\').any(|kind| kind.trim() == "LOCALIZER"));
    if localiser {
        return Ok(Some(Kind::Localiser));
    }
    if let Some([frames]) = elements.numbers::<1>(tags::NUMBER_OF_FRAMES)
        && frames != 1.0
    {
        return Ok(Some(Kind::MultiFrame));
    }
    Ok(Some(Kind::Slice(Box::new(Head {
        place: place.clone(),
        syntax: file.syntax,
        elements,
        pixels,
    }))))
}

impl Head {
    /// Study and series.
    pub(crate) fn series(&self) -> Result<[String; 2], DicomError> {
        Ok([
            self.uid(tags::STUDY_INSTANCE_UID, "Study Instance UID")?,
            self.uid(tags::SERIES_INSTANCE_UID, "Series Instance UID")?,
        ])
    }

    pub(crate) fn instance(&self) -> Result<String, DicomError> {
        self.uid(tags::SOP_INSTANCE_UID, "SOP Instance UID")
    }

    fn uid(&self, tag: Tag, name: &'static str) -> Result<String, DicomError> {
        let uid = self.elements.text(tag).map(printable);
        uid.filter(|uid| !uid.is_empty())
            .ok_or_else(|| DicomError::Missing {
                path: self.place.label().to_owned(),
                name,
            })
    }
}

impl Slice {
    /// Checks a slice's header.
    pub(crate) fn new(head: &Head) -> Result<Self, DicomError> {
        let Head {
            place,
            syntax,
            elements,
            pixels,
        } = head;
        let path = place.label();
        let missing = |name| DicomError::Missing {
            path: path.to_owned(),
            name,
        };
        let wrong = |what| DicomError::Pixels {
            path: path.to_owned(),
            what,
        };
        let short = |tag, name| elements.short(tag).ok_or_else(|| missing(name));
        let (rows, cols) = (short(tags::ROWS, "Rows")?, short(tags::COLUMNS, "Columns")?);
        if ![rows, cols]
            .iter()
            .all(|&side| (1..=MAX_SIDE).contains(&usize::from(side)))
        {
            return Err(DicomError::Size {
                path: path.to_owned(),
                rows,
                cols,
            });
        }
        if short(tags::SAMPLES_PER_PIXEL, "Samples per Pixel")? != 1
            || elements.text(tags::PHOTOMETRIC_INTERPRETATION) != Some("MONOCHROME2")
        {
            return Err(wrong(
                "its pixels are not shades of grey (MONOCHROME2)".to_owned(),
            ));
        }
        let stored = Stored::new(
            short(tags::BITS_ALLOCATED, "Bits Allocated")?,
            short(tags::BITS_STORED, "Bits Stored")?,
            short(tags::HIGH_BIT, "High Bit")?,
            short(tags::PIXEL_REPRESENTATION, "Pixel Representation")?,
        )
        .map_err(wrong)?;
        if let Some(unit) = elements.text(tags::RESCALE_TYPE)
            && unit != "HU"
        {
            return Err(wrong(format!(
                "its pixels are in {} and not in HU",
                printable(unit)
            )));
        }
        let [slope] = elements
            .numbers::<1>(tags::RESCALE_SLOPE)
            .filter(|[slope]| *slope != 0.0)
            .ok_or_else(|| missing("Rescale Slope"))?;
        let [intercept] = elements
            .numbers::<1>(tags::RESCALE_INTERCEPT)
            .ok_or_else(|| missing("Rescale Intercept"))?;
        let padding = elements.short(tags::PIXEL_PADDING_VALUE).map(|first| {
            let last = elements
                .short(tags::PIXEL_PADDING_RANGE_LIMIT)
                .unwrap_or(first);
            (stored.value(first), stored.value(last))
        });
        let slice = Self {
            place: place.clone(),
            syntax,
            instance: head.instance()?,
            series: head.series()?,
            patient: [tags::PATIENT_ID, tags::PATIENT_NAME].map(|tag| elements.fingerprint(tag)),
            frame_of_reference: elements
                .text(tags::FRAME_OF_REFERENCE_UID)
                .map(printable)
                .unwrap_or_default(),
            rows,
            cols,
            position: elements
                .numbers(tags::IMAGE_POSITION_PATIENT)
                .ok_or_else(|| missing("Image Position (Patient)"))?,
            along: elements
                .numbers(tags::IMAGE_ORIENTATION_PATIENT)
                .and_then(directions)
                .ok_or_else(|| missing("Image Orientation (Patient)"))?,
            spacing: elements
                .numbers(tags::PIXEL_SPACING)
                .filter(|spacing: &[f64; 2]| spacing.iter().all(|&mm| mm > 0.0))
                .ok_or_else(|| missing("Pixel Spacing"))?,
            thickness_mm: elements
                .numbers::<1>(tags::SLICE_THICKNESS)
                .map(|[mm]| mm)
                .filter(|&mm| mm > 0.0),
            stored,
            scale: Scale::new(slope, intercept, padding),
            may_have_lost: match elements.text(tags::LOSSY_IMAGE_COMPRESSION) {
                Some("01") => true,
                Some("00") => false,
                _ => syntax.may_lose,
            },
        };
        slice.check_pixels(pixels)?;
        Ok(slice)
    }

    /// The pixels are there, packed as the file says, and if they are not packed there are as many as there should be.
    fn check_pixels(&self, pixels: &Pixels) -> Result<(), DicomError> {
        let expected = self.native_len() as u64;
        match *pixels {
            Pixels::None => Err(DicomError::Missing {
                path: self.path(),
                name: "Pixel Data",
            }),
            Pixels::Native { promised, held } if self.syntax.packing == Packing::Native => {
                // An odd number of bytes is made even.
                if promised != expected && promised != expected + expected % 2 {
                    Err(damaged(
                        &self.place,
                        format!("its pixels take {promised} bytes and should take {expected}"),
                    ))
                } else if held < expected {
                    Err(damaged(
                        &self.place,
                        format!("it holds {held} of its pixels' {expected} bytes"),
                    ))
                } else {
                    Ok(())
                }
            }
            Pixels::Encapsulated if self.syntax.packing != Packing::Native => Ok(()),
            _ => Err(damaged(
                &self.place,
                "its pixels are not packed as it says".to_owned(),
            )),
        }
    }

    /// What messages call it.
    pub(crate) fn path(&self) -> PathBuf {
        self.place.label().to_owned()
    }

    pub(crate) fn pixels(&self) -> usize {
        usize::from(self.rows) * usize::from(self.cols)
    }

    fn native_len(&self) -> usize {
        self.pixels() * self.stored.bytes()
    }

    /// The right-handed normal of the slice.
    pub(crate) fn normal(&self) -> [f64; 3] {
        let [a, b] = self.along;
        cross(a, b)
    }

    /// Reads the slice's HU into `out`, one for each pixel, row by row.
    ///
    /// Errors: a file that changed since it was looked at, or whose pixels cannot be unpacked.
    pub(crate) fn read(&self, out: &mut [i16]) -> Result<(), DicomError> {
        let changed = || DicomError::Changed { path: self.path() };
        match look(&self.place)? {
            Some(Kind::Slice(now)) if Self::new(&now)? == *self => {}
            _ => return Err(changed()),
        }
        let Opened::File(file) = Part10::open(&self.place)? else {
            return Err(changed());
        };
        // What is packed badly can be a little larger than what is not packed.
        let limit = 2 * self.native_len() + (1 << 16);
        let content = content(file.body, self.syntax.types, limit)
            .map_err(|what| damaged(&self.place, what))?;
        let bytes = match &content {
            Content::Native(bytes) | Content::Encapsulated(bytes) => bytes,
        };
        let stored = super::unpack::unpack(self.syntax.packing, bytes, self)
            .map_err(|what| damaged(&self.place, what))?;
        if stored.len() != out.len() {
            return Err(changed());
        }
        for (hu, raw) in out.iter_mut().zip(stored) {
            *hu = self.scale.hu(self.stored.value(raw));
        }
        Ok(())
    }
}

fn damaged(place: &Place, what: String) -> DicomError {
    DicomError::Damaged {
        path: place.label().to_owned(),
        what,
    }
}

/// Unit directions of columns and rows, if the six numbers are such but for rounding.
fn directions([a, b, c, d, e, f]: [f64; 6]) -> Option<[[f64; 3]; 2]> {
    let (first, second) = ([a, b, c], [d, e, f]);
    let lengths = [first, second].map(|v| dot(v, v).sqrt());
    let sound = lengths
        .iter()
        .all(|length| (length - 1.0).abs() <= NOT_QUITE)
        && dot(first, second).abs() <= NOT_QUITE;
    sound.then(|| {
        [
            first.map(|x| x / lengths[0]),
            second.map(|x| x / lengths[1]),
        ]
    })
}
