//! The four segments, one for each structure and side, with numbers that never change.

use dicom_core::{PrimitiveValue, dicom_value};
use dicom_dictionary_std::tags;
use nephrobox_shared::{
    class::Class,
    measure::{Side, SidedRun},
};

use crate::{codes, item::Item, results::Results, uid};

/// One structure on one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Segment {
    /// Its Segment Number, from 1.
    pub number: u16,
    /// Kidney or tumour.
    pub class: Class,
    /// The patient's side.
    pub side: Side,
    /// Its Segment Label.
    pub label: &'static str,
}

impl Segment {
    /// All of them; number `n` stands at `n - 1`.
    pub const ALL: [Self; 4] = [
        Self::new(1, Class::Kidney, Side::Right, "Right kidney"),
        Self::new(2, Class::Kidney, Side::Left, "Left kidney"),
        Self::new(3, Class::Tumour, Side::Right, "Right kidney tumour"),
        Self::new(4, Class::Tumour, Side::Left, "Left kidney tumour"),
    ];

    const fn new(number: u16, class: Class, side: Side, label: &'static str) -> Self {
        Self {
            number,
            class,
            side,
            label,
        }
    }

    pub(crate) fn holds(self, sided: &SidedRun) -> bool {
        self.class == sided.run.class && self.side == sided.side
    }

    /// Names the structure in this series in all objects.
    pub(crate) fn tracking_uid(self, results: &Results<'_>) -> String {
        uid::derived(&["tracking", &results.source.series_uid, self.label])
    }

    /// Its item of the Segment Sequence.
    pub(crate) fn item(self, results: &Results<'_>) -> Item {
        let model = &results.report.model;
        let (category, kind) = codes::property(self.class);
        let side = codes::side(self.side);
        let mut algorithm = Item::new();
        algorithm
            .code(
                tags::ALGORITHM_FAMILY_CODE_SEQUENCE,
                codes::ARTIFICIAL_INTELLIGENCE,
            )
            .free(tags::ALGORITHM_NAME, &model.name)
            .text(tags::ALGORITHM_VERSION, model.version.to_string())
            .free(
                tags::ALGORITHM_PARAMETERS,
                &format!("package BLAKE3 {}", model.blake3),
            )
            .text(tags::ALGORITHM_SOURCE, crate::results::MANUFACTURER);
        let mut item = Item::new();
        item.number(tags::SEGMENT_NUMBER, self.number)
            .text(tags::SEGMENT_LABEL, self.label)
            .free(tags::SEGMENT_DESCRIPTION, &results.statement())
            .text(tags::SEGMENT_ALGORITHM_TYPE, "AUTOMATIC")
            .free(tags::SEGMENT_ALGORITHM_NAME, &results.model_name())
            .sequence(
                tags::SEGMENTATION_ALGORITHM_IDENTIFICATION_SEQUENCE,
                vec![algorithm],
            )
            .code(tags::SEGMENTED_PROPERTY_CATEGORY_CODE_SEQUENCE, category)
            .text(tags::TRACKING_ID, self.label)
            .text(tags::TRACKING_UID, self.tracking_uid(results));
        let [l, a, b] = cie_lab(self.class.colour());
        item.value(
            tags::RECOMMENDED_DISPLAY_CIE_LAB_VALUE,
            dicom_value!(U16, [l, a, b]),
        );
        let mut property: Item = kind.into();
        property.code(tags::SEGMENTED_PROPERTY_TYPE_MODIFIER_CODE_SEQUENCE, side);
        item.sequence(tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE, vec![property]);
        if self.class == Class::Tumour {
            let mut region: Item = codes::KIDNEY.into();
            region.code(tags::ANATOMIC_REGION_MODIFIER_SEQUENCE, side);
            item.sequence(tags::ANATOMIC_REGION_SEQUENCE, vec![region]);
        }
        item
    }
}

/// A colour as PS3.3 C.10.7.1.1 codes it: CIE 1976 lightness and two opponent axes under D50, 16 bits each.
fn cie_lab(srgb: [u8; 3]) -> [u16; 3] {
    let [r, g, b] = srgb.map(|value| {
        let value = f64::from(value) / 255.0;
        if value <= 0.040_45 {
            value / 12.92
        } else {
            ((value + 0.055) / 1.055).powf(2.4)
        }
    });
    // sRGB to XYZ under D50 (Bradford), each divided by the white point.
    let x = (0.436_075 * r + 0.385_065 * g + 0.143_080 * b) / 0.964_22;
    let y = 0.222_504 * r + 0.716_879 * g + 0.060_617 * b;
    let z = (0.013_932 * r + 0.097_105 * g + 0.714_173 * b) / 0.825_21;
    let [x, y, z] = [x, y, z].map(|t| {
        if t > 216.0 / 24_389.0 {
            t.cbrt()
        } else {
            (24_389.0 / 27.0 * t + 16.0) / 116.0
        }
    });
    let code = |value: f64, least: f64, span: f64| {
        ((value - least) / span * 65_535.0)
            .round()
            .clamp(0.0, 65_535.0) as u16
    };
    [
        code(116.0 * y - 16.0, 0.0, 100.0),
        code(500.0 * (x - y), -128.0, 255.0),
        code(200.0 * (y - z), -128.0, 255.0),
    ]
}

/// Which frames a segmentation holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EmptyFrames {
    /// A frame for each slice in which a segment has pixels. If there is none at all, each segment gets one empty frame, because the
    /// standard asks for at least one.
    #[default]
    LeftOut,
    /// A frame of every segment for every slice, for readers that expect whole volumes.
    Kept,
}

/// A dimension's unsigned values.
pub(crate) fn indices(values: [u32; 2]) -> PrimitiveValue {
    PrimitiveValue::U32(values.as_slice().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_and_black_are_the_ends_of_lightness() {
        // 128 of 255 is neutral.
        assert_eq!(cie_lab([0, 0, 0]), [0, 32_896, 32_896]);
        let [l, a, b] = cie_lab([255, 255, 255]);
        assert!(
            l >= 65_530 && a.abs_diff(32_896) < 10 && b.abs_diff(32_896) < 10,
            "{l} {a} {b}"
        );
    }

    #[test]
    fn segment_numbers_are_positions() {
        for (index, segment) in Segment::ALL.iter().enumerate() {
            assert_eq!(usize::from(segment.number), index + 1);
        }
    }
}
