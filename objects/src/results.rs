//! What all objects of one scan share: whose they are, what they are of, what made them.

use std::time::Duration;

use dicom_core::PrimitiveValue;
use dicom_dictionary_std::tags;
use nephrobox_shared::{
    moment::rfc3339,
    report::{RESEARCH_USE_NOTICE, Report},
};

use crate::{
    codes,
    error::ObjectsError,
    item::Item,
    object::Kind,
    source::{Layout, Source},
    uid,
};

/// The box that the objects come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Device {
    /// Its serial number.
    pub serial: String,
    /// Its name in the house; may be empty.
    pub station: String,
    /// Its zone, for series that do not name theirs: minutes east of UTC.
    pub utc_offset_minutes: i16,
}

/// One scan's results, ready to become objects.
///
/// Everything that goes into an object comes from here and from the arguments of the method that makes it; the same inputs give the same bytes
/// and the same UIDs.
#[derive(Clone, Debug)]
pub struct Results<'a> {
    pub(crate) source: &'a Source,
    pub(crate) report: &'a Report,
    pub(crate) device: &'a Device,
    pub(crate) layout: Layout,
    date: String,
    time: String,
}

impl<'a> Results<'a> {
    /// Brings a scan's source, report and maker together and checks the source.
    ///
    /// `made` is when the results were made, since 1970 in UTC. Keep it with the report: it goes into the objects, so objects made again with
    /// another time are others.
    pub fn new(
        source: &'a Source,
        report: &'a Report,
        device: &'a Device,
        made: Duration,
    ) -> Result<Self, ObjectsError> {
        let layout = source.layout()?;
        let minutes = source
            .study
            .utc_offset_minutes
            .unwrap_or(device.utc_offset_minutes);
        let shift = Duration::from_secs(60 * u64::from(minutes.unsigned_abs()));
        let local = if minutes < 0 {
            made.saturating_sub(shift)
        } else {
            made.saturating_add(shift)
        };
        // Years beyond 9999 have no DICOM date.
        let text = rfc3339(local.min(Duration::from_secs(253_402_300_799)));
        let digits = |part: &str| part.chars().filter(|&c| c != '-' && c != ':').collect();
        let (date, time) = text.trim_end_matches('Z').split_at(10);
        Ok(Self {
            source,
            report,
            device,
            layout,
            date: digits(date),
            time: digits(&time[1..]),
        })
    }

    /// "name version 3".
    pub(crate) fn model_name(&self) -> String {
        format!(
            "{} version {}",
            self.report.model.name, self.report.model.version
        )
    }

    /// The notice and what outlined the scan, for fields that hold a paragraph.
    pub(crate) fn statement(&self) -> String {
        format!(
            "{RESEARCH_USE_NOTICE} Outlined by the model {}, package BLAKE3 {}, with {} {}.",
            self.model_name(),
            self.report.model.blake3,
            self.report.program.name,
            self.report.program.version,
        )
    }

    /// The UID of this box as an observer.
    pub(crate) fn device_uid(&self) -> String {
        uid::derived(&["device", &self.device.serial])
    }

    /// The series that a kind of object gets: one for each source series, model package and kind.
    pub(crate) fn series_uid(&self, kind: Kind) -> String {
        uid::derived(&[
            "series",
            &self.source.series_uid,
            &self.report.model.blake3,
            kind.modality(),
        ])
    }

    /// The modules that every object has: patient, study, series, equipment, SOP common but for the SOP Instance UID.
    pub(crate) fn common(&self, kind: Kind) -> Item {
        let mut item = Item::new();
        item.text(tags::SPECIFIC_CHARACTER_SET, "ISO_IR 192")
            .text(tags::SOP_CLASS_UID, kind.sop_class_uid())
            .text(tags::INSTANCE_CREATION_DATE, &self.date)
            .text(tags::INSTANCE_CREATION_TIME, &self.time)
            .text(tags::CONTENT_DATE, &self.date)
            .text(tags::CONTENT_TIME, &self.time)
            .text(tags::INSTANCE_NUMBER, "1");
        self.patient_and_study(&mut item);
        item.text(tags::MODALITY, kind.modality())
            .text(tags::SERIES_INSTANCE_UID, self.series_uid(kind))
            .text(tags::SERIES_NUMBER, kind.series_number())
            .text(tags::SERIES_DATE, &self.date)
            .text(tags::SERIES_TIME, &self.time)
            .free(tags::SERIES_DESCRIPTION, kind.series_description());
        self.equipment(&mut item);
        item
    }

    fn patient_and_study(&self, item: &mut Item) {
        let (patient, study) = (&self.source.patient, &self.source.study);
        // These must be there, if only empty; what the series says is taken over as it stands.
        for (tag, text) in [
            (tags::PATIENT_NAME, &patient.name),
            (tags::PATIENT_ID, &patient.id),
            (tags::PATIENT_BIRTH_DATE, &patient.birth_date),
            (tags::PATIENT_SEX, &patient.sex),
            (tags::STUDY_INSTANCE_UID, &study.uid),
            (tags::STUDY_DATE, &study.date),
            (tags::STUDY_TIME, &study.time),
            (tags::STUDY_ID, &study.id),
            (tags::ACCESSION_NUMBER, &study.accession_number),
            (tags::REFERRING_PHYSICIAN_NAME, &study.referring_physician),
        ] {
            item.text(tag, text);
        }
        for (tag, text) in [
            (tags::ISSUER_OF_PATIENT_ID, &patient.id_issuer),
            (tags::PATIENT_AGE, &patient.age),
            (tags::STUDY_DESCRIPTION, &study.description),
        ] {
            if !text.is_empty() {
                item.text(tag, text);
            }
        }
        if let Some(minutes) = study.utc_offset_minutes {
            let sign = if minutes < 0 { '-' } else { '+' };
            let size = minutes.unsigned_abs();
            let offset = format!("{sign}{:02}{:02}", size / 60, size % 60);
            item.text(tags::TIMEZONE_OFFSET_FROM_UTC, offset);
        }
    }

    fn equipment(&self, item: &mut Item) {
        self.maker(item);
        let mut contributor = Item::new();
        contributor
            .code(
                tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE,
                codes::PROCESSING_EQUIPMENT,
            )
            .free(tags::CONTRIBUTION_DESCRIPTION, &self.statement());
        self.maker(&mut contributor);
        item.sequence(tags::CONTRIBUTING_EQUIPMENT_SEQUENCE, vec![contributor]);
    }

    fn maker(&self, item: &mut Item) {
        let program = &self.report.program;
        // Two values of at most 64 characters each.
        let short = |text: String| -> String {
            let kept = text.chars().filter(|c| !c.is_control() && *c != '\\');
            kept.take(64).collect()
        };
        let versions = [
            short(format!("{} {}", program.name, program.version)),
            short(format!("model {}", self.model_name())),
        ];
        let serial = if self.device.serial.trim().is_empty() {
            "unknown"
        } else {
            &self.device.serial
        };
        item.text(tags::MANUFACTURER, MANUFACTURER)
            .text(tags::MANUFACTURER_MODEL_NAME, MODEL_NAME)
            .free(tags::DEVICE_SERIAL_NUMBER, serial)
            .text(tags::SOFTWARE_VERSIONS, versions.join("\\"))
            .optional(tags::STATION_NAME, &self.device.station);
    }

    /// References to source slices, for the sequences that list instances.
    pub(crate) fn references(&self, slices: impl IntoIterator<Item = usize>) -> Vec<Item> {
        slices
            .into_iter()
            .filter_map(|slice| self.source.slices.get(slice))
            .map(|slice| reference(&self.source.sop_class_uid, &slice.sop_instance_uid))
            .collect()
    }
}

/// Who makes the box.
pub(crate) const MANUFACTURER: &str = "Nephrobox project";
/// What the box is called.
pub(crate) const MODEL_NAME: &str = "Nephrobox";

/// A reference to one instance.
pub(crate) fn reference(sop_class_uid: &str, sop_instance_uid: &str) -> Item {
    let mut item = Item::new();
    item.text(tags::REFERENCED_SOP_CLASS_UID, sop_class_uid)
        .text(tags::REFERENCED_SOP_INSTANCE_UID, sop_instance_uid);
    item
}

/// A reference to one instance with what it is for.
pub(crate) fn with_purpose(mut item: Item, purpose: codes::Code) -> Item {
    item.code(tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE, purpose);
    item
}

/// Bytes of a value that must be of even length.
pub(crate) fn bytes(mut bytes: Vec<u8>) -> PrimitiveValue {
    if !bytes.len().is_multiple_of(2) {
        bytes.push(0);
    }
    PrimitiveValue::from(bytes)
}
