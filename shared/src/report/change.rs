//! What became different since an earlier scan of the same patient.

use alloc::string::String;

use serde::{Deserialize, Serialize};

use super::{Report, SideFindings, Subject};
use crate::{measure::Sides, moment::days_since_1970};

/// RECIST 1.1 counts no growth of a sum of diameters below this, for the sake of small sums, in which a millimetre of measurement weighs
/// much (Eisenhauer et al., Eur J Cancer 2009;45:228, section 4.3.1). Of volumes it says nothing.
pub const RECIST_LEAST_MM: f64 = 5.0;

/// The difference to the last earlier study of the same patient that is known.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Change {
    /// The earlier scan's id on the box; empty if it came from elsewhere.
    pub scan: String,
    /// Its Study Date, `YYYYMMDD`.
    pub study_date: String,
    /// Days from its study to this one.
    pub days: Option<i64>,
    /// Whether the same package in the same arithmetic outlined both; otherwise part of the difference may be the models'.
    pub same_model: bool,
    /// Each side of the patient.
    pub sides: Sides<SideChange>,
}

/// What changed on one side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SideChange {
    /// Of the kidney without its tumour.
    pub kidney_volume: VolumeChange,
    /// Of the tumour.
    pub tumour_volume: VolumeChange,
    /// Of the tumour's largest diameter in a slice; `None` unless both scans have a tumour there.
    pub tumour_in_plane_diameter: Option<DiameterChange>,
}

/// A volume then and now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct VolumeChange {
    /// In the earlier scan.
    pub earlier_ml: f64,
    /// In this one.
    pub later_ml: f64,
    /// Later minus earlier.
    pub difference_ml: f64,
    /// The difference in percent of the earlier; `None` if there was none.
    pub difference_percent: Option<f64>,
}

/// A diameter then and now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DiameterChange {
    /// In the earlier scan.
    pub earlier_mm: f64,
    /// In this one.
    pub later_mm: f64,
    /// Later minus earlier.
    pub difference_mm: f64,
    /// The difference in percent of the earlier.
    pub difference_percent: Option<f64>,
}

impl Change {
    /// What changed from `earlier` to `later`, if both are of the same patient, by id and issuer and by the birth date if both name it, and
    /// of two studies of which `later`'s is the later one. `None` otherwise: two series of one study are no change, and without names
    /// and dates nobody knows.
    ///
    /// The scan's id is left empty; a report does not know it.
    pub fn between(earlier: &Report, later: &Report) -> Option<Self> {
        let (before, now) = (earlier.subject.as_ref()?, later.subject.as_ref()?);
        if !before.is_same_patient(now) || !before.is_earlier_study(now) {
            return None;
        }
        let days = days_since_1970(&now.study_date).zip(days_since_1970(&before.study_date));
        let arithmetic = |report: &Report| {
            report
                .engine
                .as_ref()
                .map(|engine| engine.arithmetic.clone())
        };
        Some(Self {
            scan: String::new(),
            study_date: before.study_date.clone(),
            days: days.map(|(now, before)| now - before),
            same_model: earlier.model.blake3 == later.model.blake3
                && arithmetic(earlier) == arithmetic(later),
            sides: Sides::from_fn(|side| {
                SideChange::new(
                    earlier.findings.sides.get(side),
                    later.findings.sides.get(side),
                )
            }),
        })
    }
}

impl Subject {
    /// Whether both name the same patient: the same id from the same issuer, and the same birth date unless one has none.
    pub fn is_same_patient(&self, other: &Self) -> bool {
        let same = |a: &str, b: &str| a.trim() == b.trim();
        let unknown = |date: &str| date.trim().is_empty();
        !self.patient_id.trim().is_empty()
            && same(&self.patient_id, &other.patient_id)
            && same(&self.patient_id_issuer, &other.patient_id_issuer)
            && (unknown(&self.birth_date)
                || unknown(&other.birth_date)
                || same(&self.birth_date, &other.birth_date))
    }

    /// Whether this study is another one than `other`'s and began before it; false if a date is missing or none of the calendar. Studies of
    /// one day are told apart by their times; of one that names no time nobody knows whether it came first.
    pub fn is_earlier_study(&self, other: &Self) -> bool {
        let same = |a: &str, b: &str| !a.is_empty() && a == b;
        if same(&self.study_uid, &other.study_uid) || same(&self.series_uid, &other.series_uid) {
            return false;
        }
        let moment = |subject: &Self| {
            days_since_1970(&subject.study_date).map(|days| (days, subject.study_time.clone()))
        };
        moment(self)
            .zip(moment(other))
            .is_some_and(|(this, other)| this < other && (this.0 < other.0 || !this.1.is_empty()))
    }
}

impl SideChange {
    fn new(earlier: &SideFindings, later: &SideFindings) -> Self {
        let diameters = earlier
            .tumour_in_plane_diameter_mm
            .zip(later.tumour_in_plane_diameter_mm);
        Self {
            kidney_volume: VolumeChange::new(earlier.kidney_volume_ml, later.kidney_volume_ml),
            tumour_volume: VolumeChange::new(earlier.tumour_volume_ml, later.tumour_volume_ml),
            tumour_in_plane_diameter: diameters
                .map(|(earlier, later)| DiameterChange::new(earlier, later)),
        }
    }
}

impl VolumeChange {
    /// From both volumes.
    pub fn new(earlier_ml: f64, later_ml: f64) -> Self {
        Self {
            earlier_ml,
            later_ml,
            difference_ml: later_ml - earlier_ml,
            difference_percent: percent(earlier_ml, later_ml),
        }
    }
}

impl DiameterChange {
    /// From both diameters.
    pub fn new(earlier_mm: f64, later_mm: f64) -> Self {
        Self {
            earlier_mm,
            later_mm,
            difference_mm: later_mm - earlier_mm,
            difference_percent: percent(earlier_mm, later_mm),
        }
    }

    /// Whether the difference is smaller than [`RECIST_LEAST_MM`], so that measuring alone can make it.
    pub fn is_small(&self) -> bool {
        self.difference_mm.abs() < RECIST_LEAST_MM
    }
}

fn percent(earlier: f64, later: f64) -> Option<f64> {
    (earlier > 0.0).then(|| 100.0 * (later - earlier) / earlier)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(id: &str, issuer: &str, born: &str, date: &str, study: &str) -> Subject {
        Subject {
            patient_id: id.into(),
            patient_id_issuer: issuer.into(),
            birth_date: born.into(),
            study_date: date.into(),
            study_uid: study.into(),
            ..Subject::default()
        }
    }

    /// Shows RQ-13.
    #[test]
    fn a_patient_is_the_same_by_id_issuer_and_birth_date() {
        let patient = |id, issuer, born| subject(id, issuer, born, "20260301", "1.2");
        let one = patient("7", "A", "19560704");
        for same in [
            patient("7", "A", "19560704"),
            patient("7", "A", ""),
            patient(" 7 ", "A", "19560704"),
        ] {
            assert!(
                one.is_same_patient(&same) && same.is_same_patient(&one),
                "{same:?}"
            );
        }
        for other in [
            patient("8", "A", "19560704"),
            patient("7", "B", "19560704"),
            patient("7", "", "19560704"),
            patient("7", "A", "19560705"),
        ] {
            assert!(
                !one.is_same_patient(&other) && !other.is_same_patient(&one),
                "{other:?}"
            );
        }
        let nobody = patient(" ", "", "");
        assert!(
            !nobody.is_same_patient(&nobody),
            "without an id nobody is the same"
        );
    }

    /// Shows RQ-13.
    #[test]
    fn a_study_is_earlier_by_the_calendar_and_only_if_it_is_another() {
        let study = |date, uid| subject("7", "", "", date, uid);
        assert!(study("20251231", "1.1").is_earlier_study(&study("20260101", "1.2")));
        assert!(!study("20260101", "1.1").is_earlier_study(&study("20251231", "1.2")));
        assert!(
            !study("20251231", "1.1").is_earlier_study(&study("20260101", "1.1")),
            "one study"
        );
        assert!(
            !study("20251301", "1.1").is_earlier_study(&study("20260101", "1.2")),
            "no date"
        );
        assert!(!study("", "1.1").is_earlier_study(&study("20260101", "1.2")));
        let at = |time: &str, uid| Subject {
            study_time: time.into(),
            ..study("20260101", uid)
        };
        assert!(at("0830", "1.1").is_earlier_study(&at("101500", "1.2")));
        assert!(
            !at("0830", "1.1").is_earlier_study(&at("0830", "1.2")),
            "neither comes first"
        );
        assert!(
            !at("", "1.1").is_earlier_study(&at("0830", "1.2")),
            "nobody knows"
        );
    }

    #[test]
    fn a_volume_that_was_not_there_grows_by_no_percentage() {
        let new = VolumeChange::new(0.0, 4.0);
        assert_eq!((new.difference_ml, new.difference_percent), (4.0, None));
        let less = VolumeChange::new(8.0, 6.0);
        assert_eq!(
            (less.difference_ml, less.difference_percent),
            (-2.0, Some(-25.0))
        );
    }

    #[test]
    fn a_diameter_is_small_below_five_millimetres() {
        assert!(DiameterChange::new(20.0, 24.9).is_small());
        assert!(DiameterChange::new(20.0, 15.1).is_small());
        assert!(!DiameterChange::new(20.0, 25.0).is_small());
    }
}
