//! Writes a CT series of a phantom, as a scanner would or with one thing wrong.

#![allow(dead_code)] // other crates' tests use a part

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use dicom_core::value::{PixelFragmentSequence, PrimitiveValue};
use dicom_core::{DataElement, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use dicom_transfer_syntax_registry::entries::EXPLICIT_VR_LITTLE_ENDIAN;
use flate2::Compression;
use flate2::write::DeflateEncoder;

use super::support::Order;

pub(crate) const SHAPE: [usize; 3] = [6, 5, 4];
pub(crate) const SPACING: [f64; 3] = [2.5, 0.75, 0.8125];
/// Of the canonical first voxel, in NIfTI's coordinates.
pub(crate) const ORIGIN: [f64; 3] = [181.5, 190.25, 35.0];

/// Every voxel has its own value, from air upwards, so that no flip or swap can go unnoticed.
pub(crate) fn hu([s, r, c]: [usize; 3]) -> i16 {
    ((s * SHAPE[1] + r) * SHAPE[2] + c) as i16 * 9 - 1000
}

/// How images of a patient lie: which way their columns, rows and slices run through the canonical volume.
pub(crate) const fn order(reversed: [bool; 3]) -> Order {
    Order {
        axes: [2, 1, 0],
        reversed,
    }
}

/// Columns to the patient's left, rows to the back, slices to the feet.
pub(crate) const SUPINE: Order = order([false, false, false]);

/// One slice before it is written.
#[derive(Clone)]
pub(crate) struct SliceFile {
    pub(crate) object: InMemDicomObject,
    pub(crate) syntax: &'static str,
}

/// A series as a scanner makes it: 12 unsigned bits, HU from -1024.
pub(crate) fn series(order: Order) -> Vec<SliceFile> {
    of(order, SHAPE, SPACING, ORIGIN, &|at| hu(at))
}

/// The same with another volume.
pub(crate) fn of(
    order: Order,
    shape: [usize; 3],
    spacing: [f64; 3],
    origin: [f64; 3],
    hu: &dyn Fn([usize; 3]) -> i16,
) -> Vec<SliceFile> {
    let affine = order.affine(shape, spacing, origin);
    let signs = [-1.0, -1.0, 1.0];
    let column = |axis: usize| [0, 1, 2].map(|world| affine[world][axis] * signs[world]);
    let length = |v: [f64; 3]| v.iter().map(|x| x * x).sum::<f64>().sqrt();
    let unit = |v: [f64; 3]| v.map(|x| x / length(v));
    let [cols, rows, slices] = order.file_shape(shape);
    let raw: Vec<i16> = order.indices(shape).map(hu).collect();
    (0..slices)
        .map(|k| {
            let position = [0, 1, 2].map(|world| column(3)[world] + k as f64 * column(2)[world]);
            let mut object = InMemDicomObject::new_empty();
            for (tag, vr, text) in [
                (
                    tags::SOP_CLASS_UID,
                    VR::UI,
                    uids::CT_IMAGE_STORAGE.to_owned(),
                ),
                (tags::SOP_INSTANCE_UID, VR::UI, format!("2.25.77.{}", k + 1)),
                (tags::STUDY_INSTANCE_UID, VR::UI, "2.25.1".to_owned()),
                (tags::SERIES_INSTANCE_UID, VR::UI, "2.25.2".to_owned()),
                (tags::FRAME_OF_REFERENCE_UID, VR::UI, "2.25.3".to_owned()),
                (tags::MODALITY, VR::CS, "CT".to_owned()),
                (
                    tags::IMAGE_TYPE,
                    VR::CS,
                    "ORIGINAL\\PRIMARY\\AXIAL".to_owned(),
                ),
                (tags::PATIENT_NAME, VR::PN, "Nobody^At^All".to_owned()),
                (tags::PATIENT_POSITION, VR::CS, "HFS".to_owned()),
                (tags::IMAGE_POSITION_PATIENT, VR::DS, decimals(&position)),
                (
                    tags::IMAGE_ORIENTATION_PATIENT,
                    VR::DS,
                    decimals(&[unit(column(0)), unit(column(1))].concat()),
                ),
                (
                    tags::PIXEL_SPACING,
                    VR::DS,
                    decimals(&[length(column(1)), length(column(0))]),
                ),
                (tags::SLICE_THICKNESS, VR::DS, decimals(&[spacing[0]])),
                (
                    tags::PHOTOMETRIC_INTERPRETATION,
                    VR::CS,
                    "MONOCHROME2".to_owned(),
                ),
                (tags::RESCALE_SLOPE, VR::DS, "1".to_owned()),
                (tags::RESCALE_INTERCEPT, VR::DS, "-1024".to_owned()),
                (tags::RESCALE_TYPE, VR::LO, "HU".to_owned()),
            ] {
                object.put_str(tag, vr, &text);
            }
            let mut file = SliceFile {
                object,
                syntax: uids::EXPLICIT_VR_LITTLE_ENDIAN,
            };
            file.short(tags::ROWS, rows as u16);
            file.short(tags::COLUMNS, cols as u16);
            file.short(tags::SAMPLES_PER_PIXEL, 1);
            file.bits(16, 12, false);
            let slice = &raw[k * rows * cols..][..rows * cols];
            file.pixels(
                &slice
                    .iter()
                    .map(|hu| (hu + 1024) as u16)
                    .collect::<Vec<_>>(),
            );
            file
        })
        .collect()
}

/// Numbers as DICOM writes them, at most 16 characters each.
fn decimals(numbers: &[f64]) -> String {
    let numbers: Vec<String> = numbers.iter().map(|x| format!("{x:.6}")).collect();
    numbers.join("\\")
}

impl SliceFile {
    pub(crate) fn text(&mut self, tag: Tag, vr: VR, text: &str) {
        self.object.put_str(tag, vr, text);
    }

    pub(crate) fn short(&mut self, tag: Tag, value: u16) {
        self.object
            .put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
    }

    pub(crate) fn bits(&mut self, allocated: u16, stored: u16, signed: bool) {
        self.short(tags::BITS_ALLOCATED, allocated);
        self.short(tags::BITS_STORED, stored);
        self.short(tags::HIGH_BIT, stored - 1);
        self.short(tags::PIXEL_REPRESENTATION, u16::from(signed));
    }

    /// Replaces the pixels by numbers as they are stored.
    pub(crate) fn pixels(&mut self, stored: &[u16]) {
        let bytes: Vec<u8> = stored.iter().flat_map(|raw| raw.to_le_bytes()).collect();
        self.bytes(bytes);
    }

    pub(crate) fn bytes(&mut self, bytes: Vec<u8>) {
        self.object.put(DataElement::new(
            tags::PIXEL_DATA,
            VR::OW,
            PrimitiveValue::from(bytes),
        ));
    }

    /// Replaces the pixels by a packed image in two fragments.
    pub(crate) fn packed(&mut self, syntax: &'static str, mut image: Vec<u8>) {
        self.syntax = syntax;
        if image.len() % 2 == 1 {
            image.push(0);
        }
        let second = image.split_off(image.len() / 4 * 2);
        self.object.put(DataElement::new(
            tags::PIXEL_DATA,
            VR::OB,
            PixelFragmentSequence::new(vec![], vec![image, second]),
        ));
    }

    /// The pixels as they lie in the data set.
    pub(crate) fn raw(&self) -> Vec<u8> {
        let pixels = self.object.element(tags::PIXEL_DATA).unwrap();
        pixels.to_bytes().unwrap().into_owned()
    }

    /// Moves the slice, in DICOM's coordinates.
    pub(crate) fn shift(&mut self, by: [f64; 3]) {
        let position = self.object.element(tags::IMAGE_POSITION_PATIENT).unwrap();
        let position = position.to_str().unwrap();
        let numbers = position.split('\\').map(|x| x.parse::<f64>().unwrap());
        let moved: Vec<f64> = numbers.zip(by).map(|(x, by)| x + by).collect();
        self.text(tags::IMAGE_POSITION_PATIENT, VR::DS, &decimals(&moved));
    }

    /// The whole file.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let class = uids::CT_IMAGE_STORAGE;
        let meta = FileMetaTableBuilder::new()
            .transfer_syntax(self.syntax)
            .media_storage_sop_class_uid(class)
            .media_storage_sop_instance_uid("2.25.77");
        let mut file = Vec::new();
        if self.syntax == uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN {
            file.extend([0; 128]);
            file.extend(b"DICM");
            meta.build().unwrap().write(&mut file).unwrap();
            let mut data_set = Vec::new();
            self.object
                .write_dataset_with_ts(&mut data_set, &EXPLICIT_VR_LITTLE_ENDIAN.erased())
                .unwrap();
            let mut deflate = DeflateEncoder::new(file, Compression::fast());
            deflate.write_all(&data_set).unwrap();
            return deflate.finish().unwrap();
        }
        let object = self.object.clone().with_meta(meta).unwrap();
        object.write_all(&mut file).unwrap();
        file
    }
}

/// Writes files named by `name`, which is given each slice's place in the stack.
pub(crate) fn save(
    folder: &Path,
    slices: &[SliceFile],
    name: impl Fn(usize) -> String,
) -> Vec<PathBuf> {
    let paths = slices.iter().enumerate().map(|(k, slice)| {
        let path = folder.join(name(k));
        fs::write(&path, slice.encode()).unwrap();
        path
    });
    paths.collect()
}

/// Names that sort as the stack runs.
pub(crate) fn in_order(k: usize) -> String {
    format!("slice-{k:03}.dcm")
}
