//! DICOM SEG: PS3.3 A.51 and C.8.20, binary, on the pixel grid of the source images.

use dicom_dictionary_std::tags;
use nephrobox_shared::measure::{LabelMap, SidedRun, sided_runs};

use crate::{
    codes,
    error::ObjectsError,
    item::Item,
    object::{Kind, Object},
    results::{Results, bytes, reference, with_purpose},
    segment::{EmptyFrames, Segment, indices},
    uid,
};

/// Most bytes of a value whose length stands before it; one more even length means "undefined".
pub(crate) const LONGEST_VALUE: u64 = 0xffff_fffc;

/// A segmentation and which of its segments have pixels.
#[derive(Clone, Debug)]
pub struct Segmentation {
    /// The object.
    pub object: Object,
    /// The segments with at least one pixel.
    pub present: Vec<Segment>,
}

/// One frame: a segment in a slice.
#[derive(Clone, Copy)]
struct Frame {
    segment: Segment,
    slice: usize,
}

impl Results<'_> {
    /// The outlines of a label map: kidney and tumour of each side as four segments, in the geometry of the source images.
    ///
    /// The sides are those of the report, from its midline. Errors: a label map of another size, or with a slice never set.
    pub fn segmentation(
        &self,
        map: &LabelMap,
        empty: EmptyFrames,
    ) -> Result<Segmentation, ObjectsError> {
        let (rows, cols) = self.layout.canonical();
        let expected = [self.source.slices.len(), rows, cols];
        let found = [map.slices(), map.rows(), map.cols()];
        if found != expected {
            return Err(ObjectsError::Size { expected, found });
        }
        let runs = sided_runs(map, self.report.findings.midline_column)?;
        let present: Vec<Segment> = Segment::ALL
            .into_iter()
            .filter(|segment| runs.iter().any(|run| segment.holds(run)))
            .collect();
        let frames = frames(&runs, map.slices(), empty);
        let pixels = self.pixels(&runs, &frames)?;

        let mut item = self.common(Kind::Segmentation);
        self.image(&mut item, frames.len());
        item.sequence(
            tags::SEGMENT_SEQUENCE,
            Segment::ALL
                .iter()
                .map(|segment| segment.item(self))
                .collect(),
        );
        self.dimensions(&mut item, &frames);
        self.referenced_series(&mut item);
        item.value(tags::PIXEL_DATA, bytes(pixels));
        Ok(Segmentation {
            object: Object::new(Kind::Segmentation, item)?,
            present,
        })
    }

    /// Bits in the order of frames, rows and columns, the first in the lowest bit of the first byte; frames do not begin on bytes.
    fn pixels(&self, runs: &[SidedRun], frames: &[Frame]) -> Result<Vec<u8>, ObjectsError> {
        let (rows, cols) = (usize::from(self.source.rows), usize::from(self.source.cols));
        let size = (rows as u64 * cols as u64)
            .saturating_mul(frames.len() as u64)
            .div_ceil(8);
        if size > LONGEST_VALUE {
            return Err(ObjectsError::TooLarge {
                what: Kind::Segmentation.name(),
                bytes: size,
                limit: LONGEST_VALUE,
            });
        }
        let mut bits = vec![0_u8; size as usize];
        for (index, frame) in frames.iter().enumerate() {
            let first = runs.partition_point(|run| run.slice < frame.slice);
            let end = runs.partition_point(|run| run.slice <= frame.slice);
            for sided in runs[first..end]
                .iter()
                .filter(|run| frame.segment.holds(run))
            {
                for col in sided.run.start..sided.run.end {
                    let (row, col) = self
                        .layout
                        .place(usize::from(sided.run.row), usize::from(col));
                    let bit = (index * rows + row) * cols + col;
                    bits[bit / 8] |= 1 << (bit % 8);
                }
            }
        }
        Ok(bits)
    }

    /// General image, image pixel, segmentation image.
    fn image(&self, item: &mut Item, frames: usize) {
        let source = self.source;
        item.text(tags::FRAME_OF_REFERENCE_UID, &source.frame_of_reference_uid)
            .text(
                tags::POSITION_REFERENCE_INDICATOR,
                &source.position_reference,
            )
            .text(tags::IMAGE_TYPE, "DERIVED\\PRIMARY")
            .text(tags::CONTENT_LABEL, "KIDNEY_TUMOUR")
            .free(
                tags::CONTENT_DESCRIPTION,
                "For research use only: kidneys and kidney tumours by side",
            )
            .text(tags::CONTENT_CREATOR_NAME, "Nephrobox^^^^")
            .text(tags::NUMBER_OF_FRAMES, frames.to_string())
            .number(tags::SAMPLES_PER_PIXEL, 1)
            .text(tags::PHOTOMETRIC_INTERPRETATION, "MONOCHROME2")
            .number(tags::ROWS, source.rows)
            .number(tags::COLUMNS, source.cols)
            .number(tags::BITS_ALLOCATED, 1)
            .number(tags::BITS_STORED, 1)
            .number(tags::HIGH_BIT, 0)
            .number(tags::PIXEL_REPRESENTATION, 0)
            .text(tags::LOSSY_IMAGE_COMPRESSION, "00")
            .text(tags::SEGMENTATION_TYPE, "BINARY")
            .text(tags::SEGMENTS_OVERLAP, "NO");
    }

    /// Multi-frame dimension and functional groups. The dimensions are segment and place.
    fn dimensions(&self, item: &mut Item, frames: &[Frame]) {
        let organization = uid::derived(&["dimensions", &self.source.series_uid]);
        let mut organizations = Item::new();
        organizations.text(tags::DIMENSION_ORGANIZATION_UID, &organization);
        let dimensions = [
            (
                tags::REFERENCED_SEGMENT_NUMBER,
                tags::SEGMENT_IDENTIFICATION_SEQUENCE,
                "Segment",
            ),
            (
                tags::IMAGE_POSITION_PATIENT,
                tags::PLANE_POSITION_SEQUENCE,
                "Position",
            ),
        ];
        let dimensions = dimensions.map(|(pointer, group, label)| {
            let mut item = Item::new();
            item.text(tags::DIMENSION_ORGANIZATION_UID, &organization)
                .value(tags::DIMENSION_INDEX_POINTER, pointer.into())
                .value(tags::FUNCTIONAL_GROUP_POINTER, group.into())
                .text(tags::DIMENSION_DESCRIPTION_LABEL, label);
            item
        });
        item.sequence(tags::DIMENSION_ORGANIZATION_SEQUENCE, vec![organizations])
            .sequence(tags::DIMENSION_INDEX_SEQUENCE, dimensions.into());

        // Positions are numbered among those that have frames, from the head.
        let mut places: Vec<usize> = frames.iter().map(|frame| frame.slice).collect();
        places.sort_unstable();
        places.dedup();
        let groups = frames.iter().map(|frame| {
            let place = places.partition_point(|&slice| slice < frame.slice) + 1;
            self.frame(*frame, place as u32)
        });
        let groups = groups.collect();
        item.sequence(
            tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE,
            vec![self.shared_groups()],
        )
        .sequence(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, groups);
    }

    fn shared_groups(&self) -> Item {
        let source = self.source;
        let spacing = source.slice_spacing_mm();
        let thickness = source.slice_thickness_mm.or(spacing);
        let mut measures = Item::new();
        measures.decimals(tags::PIXEL_SPACING, &source.pixel_spacing_mm);
        // With one slice and no thickness in the series, the thickness is unknown but must be there.
        measures.decimals(tags::SLICE_THICKNESS, &[thickness.unwrap_or(1.0)]);
        if let Some(spacing) = spacing {
            measures.decimals(tags::SPACING_BETWEEN_SLICES, &[spacing]);
        }
        let mut orientation = Item::new();
        orientation.decimals(tags::IMAGE_ORIENTATION_PATIENT, &source.orientation);
        let mut shared = Item::new();
        shared
            .sequence(tags::PIXEL_MEASURES_SEQUENCE, vec![measures])
            .sequence(tags::PLANE_ORIENTATION_SEQUENCE, vec![orientation]);
        shared
    }

    fn frame(&self, frame: Frame, place: u32) -> Item {
        let source = self.source;
        let slice = &source.slices[frame.slice];
        let mut content = Item::new();
        content.value(
            tags::DIMENSION_INDEX_VALUES,
            indices([u32::from(frame.segment.number), place]),
        );
        let mut position = Item::new();
        position.decimals(tags::IMAGE_POSITION_PATIENT, &slice.position_mm);
        let mut number = Item::new();
        number.number(tags::REFERENCED_SEGMENT_NUMBER, frame.segment.number);
        let mut image = with_purpose(
            reference(&source.sop_class_uid, &slice.sop_instance_uid),
            codes::SOURCE_IMAGE,
        );
        image.text(tags::SPATIAL_LOCATIONS_PRESERVED, "YES");
        let mut derivation = Item::new();
        derivation
            .code(tags::DERIVATION_CODE_SEQUENCE, codes::SEGMENTATION)
            .sequence(tags::SOURCE_IMAGE_SEQUENCE, vec![image]);
        let mut group = Item::new();
        group
            .sequence(tags::FRAME_CONTENT_SEQUENCE, vec![content])
            .sequence(tags::PLANE_POSITION_SEQUENCE, vec![position])
            .sequence(tags::SEGMENT_IDENTIFICATION_SEQUENCE, vec![number])
            .sequence(tags::DERIVATION_IMAGE_SEQUENCE, vec![derivation]);
        group
    }

    /// Common instance reference: the whole source series, so that a reader finds it without looking at every frame.
    pub(crate) fn referenced_series(&self, item: &mut Item) {
        let mut series = Item::new();
        series
            .text(tags::SERIES_INSTANCE_UID, &self.source.series_uid)
            .sequence(
                tags::REFERENCED_INSTANCE_SEQUENCE,
                self.references(0..self.source.slices.len()),
            );
        item.sequence(tags::REFERENCED_SERIES_SEQUENCE, vec![series]);
    }
}

/// The frames in order of segment and slice.
fn frames(runs: &[SidedRun], slices: usize, empty: EmptyFrames) -> Vec<Frame> {
    let of = |segment: Segment| -> Vec<usize> {
        match empty {
            EmptyFrames::Kept => (0..slices).collect(),
            EmptyFrames::LeftOut if runs.is_empty() => vec![0],
            EmptyFrames::LeftOut => {
                let held = runs.iter().filter(|run| segment.holds(run));
                let mut held: Vec<usize> = held.map(|run| run.slice).collect();
                held.dedup();
                held
            }
        }
    };
    Segment::ALL
        .into_iter()
        .flat_map(|segment| {
            of(segment)
                .into_iter()
                .map(move |slice| Frame { segment, slice })
        })
        .collect()
}
