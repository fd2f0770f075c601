//! The measures as a structured report: Enhanced SR after TID 1500, a measurement group (TID 1411) for each segment.
//!
//! Enhanced SR is the smallest class that has what the template needs, so most readers know it.

use dicom_dictionary_std::tags;
use nephrobox_shared::{
    class::Class,
    measure::Placement,
    report::{Findings, RESEARCH_USE_NOTICE, StructureAreas, TumourFindings},
};

use crate::{
    codes::{self, Code},
    content::{Content, Relation},
    error::ObjectsError,
    item::Item,
    object::{Kind, Object},
    results::{MANUFACTURER, MODEL_NAME, Results, reference},
    segment::Segment,
    segmentation::Segmentation,
};

/// A measure of a segment: what it is, how it was chosen among several, its unit, where the report has it; `None` where the segment has no such.
struct Measure {
    name: Code,
    derivation: Option<Code>,
    unit: Code,
    value: fn(&Findings, Segment) -> Option<f64>,
}

/// End of the comment on a segment that was not found.
pub(crate) const ABSENT: &str = ": none outlined.";
/// Beginning of the comment on the model's scores.
pub(crate) const OWN_TEST: &str = "The model's own test: ";

/// Every measure, in the order in which they are listed.
const MEASURES: [Measure; 5] = [
    Measure {
        name: codes::VOLUME,
        derivation: None,
        unit: codes::MILLILITRE,
        value: |findings, segment| {
            let side = findings.sides.get(segment.side);
            Some(match segment.class {
                Class::Tumour => side.tumour_volume_ml,
                Class::Background | Class::Kidney => side.kidney_volume_ml,
            })
        },
    },
    Measure {
        name: codes::AREA,
        derivation: Some(codes::MAXIMUM),
        unit: codes::SQUARE_MILLIMETRE,
        value: |findings, segment| {
            let side = findings.sides.get(segment.side);
            Some(match segment.class {
                Class::Tumour => side.tumour_largest_area_mm2,
                Class::Background | Class::Kidney => side.kidney_largest_area_mm2,
            })
        },
    },
    Measure {
        name: codes::LONG_AXIS,
        derivation: None,
        unit: codes::MILLIMETRE,
        value: |findings, segment| Some(widest(findings, segment)?.in_plane_diameter.length_mm),
    },
    Measure {
        name: codes::SHORT_AXIS,
        derivation: None,
        unit: codes::MILLIMETRE,
        value: |findings, segment| {
            Some(widest(findings, segment)?.in_plane_perpendicular.length_mm)
        },
    },
    Measure {
        name: codes::DIAMETER,
        derivation: Some(codes::MAXIMUM),
        unit: codes::MILLIMETRE,
        value: |findings, segment| {
            let tumours = tumours(findings, segment);
            tumours
                .map(|tumour| tumour.largest_diameter.length_mm)
                .reduce(f64::max)
        },
    },
];

/// The tumours of a segment; none of a kidney.
fn tumours(findings: &Findings, segment: Segment) -> impl Iterator<Item = &TumourFindings> {
    let side = Placement::from(segment.side);
    let all = findings.tumours.iter();
    all.filter(move |tumour| segment.class == Class::Tumour && tumour.placement == side)
}

/// The tumour with the largest diameter in a slice, whose perpendicular is told with it.
fn widest(findings: &Findings, segment: Segment) -> Option<&TumourFindings> {
    let length = |tumour: &TumourFindings| tumour.in_plane_diameter.length_mm;
    tumours(findings, segment).reduce(|most, next| {
        if length(next) > length(most) {
            next
        } else {
            most
        }
    })
}

impl Results<'_> {
    /// The report's measures, each group referring to its segment in `segmentation`.
    ///
    /// Volume and largest area in a slice are there for every segment that has pixels, diameters for tumours; what was not found, the report's warnings and the
    /// notice are sentences. Errors: a measure that is no finite number.
    pub fn measurements(&self, segmentation: &Segmentation) -> Result<Object, ObjectsError> {
        let mut item = self.common(Kind::Measurements);
        item.text(tags::COMPLETION_FLAG, "COMPLETE")
            .text(
                tags::COMPLETION_FLAG_DESCRIPTION,
                "Made without human review",
            )
            .text(tags::VERIFICATION_FLAG, "UNVERIFIED")
            .text(tags::PRELIMINARY_FLAG, "PRELIMINARY")
            .sequence(
                tags::REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE,
                Vec::new(),
            )
            .sequence(tags::PERFORMED_PROCEDURE_CODE_SEQUENCE, Vec::new());
        self.evidence(&mut item, &segmentation.object);
        let root = self.root(segmentation)?.finish();
        for element in root.0 {
            item.0.put(element);
        }
        Object::new(Kind::Measurements, item)
    }

    /// Everything that the content refers to, by study and series.
    fn evidence(&self, item: &mut Item, segmentation: &Object) {
        let series = |uid: &str, references: Vec<Item>| {
            let mut series = Item::new();
            series
                .text(tags::SERIES_INSTANCE_UID, uid)
                .sequence(tags::REFERENCED_SOP_SEQUENCE, references);
            series
        };
        let outlines = reference(
            Kind::Segmentation.sop_class_uid(),
            segmentation.sop_instance_uid(),
        );
        let mut study = Item::new();
        study
            .text(tags::STUDY_INSTANCE_UID, &self.source.study.uid)
            .sequence(
                tags::REFERENCED_SERIES_SEQUENCE,
                vec![
                    series(&self.series_uid(Kind::Segmentation), vec![outlines]),
                    series(
                        &self.source.series_uid,
                        self.references(0..self.source.slices.len()),
                    ),
                ],
            );
        item.sequence(
            tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE,
            vec![study],
        );
    }

    fn root(&self, segmentation: &Segmentation) -> Result<Content, ObjectsError> {
        use Relation::{Contains, Context, Modifier};
        let mut root = Content::container(codes::REPORT, Some("1500"))
            .with(Modifier, Content::code(codes::LANGUAGE, codes::ENGLISH))
            .with(Context, Content::code(codes::OBSERVER_TYPE, codes::DEVICE))
            .with(Context, Content::uid(codes::DEVICE_UID, &self.device_uid()));
        let observer = format!(
            "{MODEL_NAME} with model {}, package BLAKE3 {}",
            self.model_name(),
            self.report.model.blake3
        );
        for (name, text) in [
            (codes::DEVICE_NAME, observer.as_str()),
            (codes::DEVICE_MANUFACTURER, MANUFACTURER),
            (codes::DEVICE_MODEL, MODEL_NAME),
            (codes::DEVICE_SERIAL, &self.device.serial),
        ] {
            if !text.trim().is_empty() {
                root = root.with(Context, Content::text(name, text));
            }
        }
        root = root.with(
            Modifier,
            Content::code(codes::PROCEDURE_REPORTED, codes::CT),
        );
        if !segmentation.present.is_empty() {
            let mut groups = Content::container(codes::MEASUREMENTS, None);
            for &segment in &segmentation.present {
                groups = groups.with(Contains, self.group(segment, &segmentation.object)?);
            }
            root = root.with(Contains, groups);
        }
        let mut evaluations = Content::container(codes::EVALUATIONS, None);
        for sentence in self.sentences(&segmentation.present) {
            evaluations = evaluations.with(Contains, Content::text(codes::COMMENT, &sentence));
        }
        Ok(root.with(Contains, evaluations))
    }

    /// The notice, the warnings and what was looked for and not found.
    fn sentences(&self, present: &[Segment]) -> Vec<String> {
        let warnings = self
            .report
            .warnings
            .iter()
            .map(|warning| warning.message.clone());
        let absent = Segment::ALL
            .iter()
            .filter(|segment| !present.contains(segment))
            .map(|segment| format!("{}{ABSENT}", segment.label));
        std::iter::once(RESEARCH_USE_NOTICE.to_owned())
            .chain(warnings)
            .chain(absent)
            .chain([format!("{OWN_TEST}{}", self.report.model.test_scores)])
            .collect()
    }

    fn group(&self, segment: Segment, segmentation: &Object) -> Result<Content, ObjectsError> {
        use Relation::{Contains, Context, Modifier};
        let model = &self.report.model;
        let (category, finding) = codes::property(segment.class);
        let site = Content::code(codes::FINDING_SITE, codes::KIDNEY).with(
            Modifier,
            Content::code(codes::LATERALITY, codes::side(segment.side)),
        );
        let mut outline = reference(
            Kind::Segmentation.sop_class_uid(),
            segmentation.sop_instance_uid(),
        );
        outline.number(tags::REFERENCED_SEGMENT_NUMBER, segment.number);
        let parameters = format!("package BLAKE3 {}", model.blake3);
        let mut group = Content::container(codes::GROUP, Some("1411"))
            .with(Context, Content::text(codes::TRACKING_ID, segment.label))
            .with(
                Context,
                Content::uid(codes::TRACKING_UID, &segment.tracking_uid(self)),
            )
            .with(Contains, Content::code(codes::FINDING_CATEGORY, category))
            .with(Contains, Content::code(codes::FINDING, finding))
            .with(Modifier, site)
            .with(Modifier, Content::text(codes::ALGORITHM_NAME, &model.name))
            .with(
                Modifier,
                Content::text(codes::ALGORITHM_VERSION, &model.version.to_string()),
            )
            .with(
                Modifier,
                Content::text(codes::ALGORITHM_PARAMETERS, &parameters),
            )
            .with(Contains, Content::image(codes::REFERENCED_SEGMENT, outline))
            .with(
                Contains,
                Content::uid(codes::SOURCE_SERIES, &self.source.series_uid),
            );
        let findings = &self.report.findings;
        for measure in &MEASURES {
            let Some(value) = (measure.value)(findings, segment) else {
                continue;
            };
            if !value.is_finite() {
                return Err(ObjectsError::Measure {
                    what: format!("{} of {}", measure.name.2, segment.label),
                    value,
                });
            }
            let mut number = Content::number(measure.name, value, measure.unit);
            if let Some(derivation) = measure.derivation {
                number = number.with(Modifier, Content::code(codes::DERIVATION, derivation));
            }
            // The largest area is that of one image; diameters may be of another tumour than the largest area.
            if measure.name == codes::AREA
                && let Some(image) = self.peak(segment)
            {
                number = number.with(Relation::InferredFrom, image);
            }
            group = group.with(Contains, number);
        }
        Ok(group)
    }

    /// The image in which a segment's area is largest, the one nearest the head if several are equal.
    fn peak(&self, segment: Segment) -> Option<Content> {
        let area = |areas: &StructureAreas| match segment.class {
            Class::Tumour => areas.tumour_area_mm2,
            Class::Background | Class::Kidney => areas.kidney_area_mm2,
        };
        let slices = self.report.findings.slices.iter();
        let peak = slices
            .map(|slice| (slice.slice, area(slice.areas.get(segment.side))))
            .reduce(|most, next| if next.1 > most.1 { next } else { most })?;
        let image = self.references([peak.0]).pop()?;
        Some(Content::image(codes::MEASURED_IN, image))
    }
}
