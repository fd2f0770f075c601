//! Whose series it is, as one of its slices says.
//!
//! Read only when results need it, from one slice: that all slices name the same patient was checked when the series was opened. Texts come
//! from anyone; they are decoded, of bounded length, of one line, and in the form that their type has, or empty.

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use super::character_set::CharacterSet;
use super::elements::Elements;
use super::error::DicomError;
use super::image::Slice;
use super::part10::{Opened, Part10};

/// Characters of DICOM's texts: SH, LO, and the three groups of a PN with the signs between them (PS3.5, table 6.2-1).
const SHORT: usize = 16;
const LONG: usize = 64;
const NAME: usize = 3 * 64 + 2;

const WANTED: [Tag; 15] = [
    tags::SPECIFIC_CHARACTER_SET,
    tags::PATIENT_NAME,
    tags::PATIENT_ID,
    tags::ISSUER_OF_PATIENT_ID,
    tags::PATIENT_BIRTH_DATE,
    tags::PATIENT_SEX,
    tags::PATIENT_AGE,
    tags::STUDY_DATE,
    tags::STUDY_TIME,
    tags::STUDY_ID,
    tags::ACCESSION_NUMBER,
    tags::REFERRING_PHYSICIAN_NAME,
    tags::STUDY_DESCRIPTION,
    tags::TIMEZONE_OFFSET_FROM_UTC,
    tags::POSITION_REFERENCE_INDICATOR,
];

/// The patient and the study of a series. Texts are decoded, and empty where the series has none or none of the right form.
///
/// It identifies a person: it goes into results, and nowhere else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// Whose.
    pub patient: PatientIdentity,
    /// Of which study.
    pub study: StudyIdentity,
    /// Position Reference Indicator.
    pub position_reference: String,
}

/// The patient as the series names them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PatientIdentity {
    /// Patient's Name, its parts divided by `^` and its groups by `=`.
    pub name: String,
    /// Patient ID.
    pub id: String,
    /// Issuer of Patient ID.
    pub id_issuer: String,
    /// Patient's Birth Date, `YYYYMMDD`.
    pub birth_date: String,
    /// Patient's Sex: `M`, `F` or `O`.
    pub sex: String,
    /// Patient's Age, such as `063Y`.
    pub age: String,
}

/// The study that the series belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StudyIdentity {
    /// Study Date, `YYYYMMDD`.
    pub date: String,
    /// Study Time, `HHMMSS` and fractions, or less of it.
    pub time: String,
    /// Study ID.
    pub id: String,
    /// Accession Number.
    pub accession_number: String,
    /// Referring Physician's Name.
    pub referring_physician: String,
    /// Study Description.
    pub description: String,
    /// Minutes of Timezone Offset From UTC, if the series gives it; dates and times above are in that zone.
    pub utc_offset_minutes: Option<i16>,
}

impl Slice {
    /// The patient and the study that this slice names.
    pub(super) fn identity(&self) -> Result<Identity, DicomError> {
        let Opened::File(file) = Part10::open(&self.place)? else {
            return Err(DicomError::Changed { path: self.path() });
        };
        let end = file.body.end();
        let (elements, _) =
            Elements::read(file.body, end, file.syntax.types, &WANTED).map_err(|what| {
                DicomError::Damaged {
                    path: self.path(),
                    what,
                }
            })?;
        Ok(Identity::of(&elements))
    }
}

impl Identity {
    fn of(elements: &Elements) -> Self {
        let set = elements.text(tags::SPECIFIC_CHARACTER_SET);
        let set = CharacterSet::of(set.unwrap_or_default());
        let text = |tag, most| line(&set.decode(elements.bytes(tag)), most);
        let plain = |tag| elements.text(tag).unwrap_or_default();
        Self {
            patient: PatientIdentity {
                name: text(tags::PATIENT_NAME, NAME),
                id: text(tags::PATIENT_ID, LONG),
                id_issuer: text(tags::ISSUER_OF_PATIENT_ID, LONG),
                birth_date: date(plain(tags::PATIENT_BIRTH_DATE)),
                sex: one_of(plain(tags::PATIENT_SEX), &["M", "F", "O"]),
                age: age(plain(tags::PATIENT_AGE)),
            },
            study: StudyIdentity {
                date: date(plain(tags::STUDY_DATE)),
                time: time(plain(tags::STUDY_TIME)),
                id: text(tags::STUDY_ID, SHORT),
                accession_number: text(tags::ACCESSION_NUMBER, SHORT),
                referring_physician: text(tags::REFERRING_PHYSICIAN_NAME, NAME),
                description: text(tags::STUDY_DESCRIPTION, LONG),
                utc_offset_minutes: utc_offset(plain(tags::TIMEZONE_OFFSET_FROM_UTC)),
            },
            position_reference: text(tags::POSITION_REFERENCE_INDICATOR, LONG),
        }
    }
}

/// The first value of a text, in one line of at most `most` characters.
fn line(text: &str, most: usize) -> String {
    let first = text.split('\\').next().unwrap_or_default();
    let kept: String = first.chars().filter(|c| !c.is_control()).collect();
    let cut: String = kept.trim().chars().take(most).collect();
    cut.trim_end().to_owned()
}

/// Digits of a date, with the dots of DICOM's predecessor left out.
fn date(text: &str) -> String {
    let digits: String = text.trim().chars().filter(|&c| c != '.').collect();
    let sound = digits.len() == 8 && digits.bytes().all(|byte| byte.is_ascii_digit());
    let part = |range| {
        digits
            .get(range)
            .and_then(|part: &str| part.parse::<u8>().ok())
    };
    let possible = sound
        && part(4..6).is_some_and(|month| (1..=12).contains(&month))
        && part(6..8).is_some_and(|day| (1..=31).contains(&day));
    if possible { digits } else { String::new() }
}

/// A time of the day, with the colons of DICOM's predecessor left out.
fn time(text: &str) -> String {
    let time: String = text.trim().chars().filter(|&c| c != ':').collect();
    let (whole, fraction) = time.split_once('.').unwrap_or((&time, "0"));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let limits = ["24", "60", "61"];
    let within = whole
        .as_bytes()
        .chunks(2)
        .zip(limits)
        .all(|(part, limit)| part < limit.as_bytes());
    let sound = matches!(whole.len(), 2 | 4 | 6)
        && (whole.len() == 6 || whole.len() == time.len())
        && (1..=6).contains(&fraction.len())
        && digits(whole)
        && digits(fraction)
        && within;
    if sound { time } else { String::new() }
}

/// Three digits and the unit.
fn age(text: &str) -> String {
    let text = text.trim();
    match text.as_bytes() {
        [a, b, c, b'D' | b'W' | b'M' | b'Y']
            if [a, b, c].iter().all(|byte| byte.is_ascii_digit()) =>
        {
            text.to_owned()
        }
        _ => String::new(),
    }
}

fn one_of(text: &str, words: &[&str]) -> String {
    let word = words.iter().find(|word| **word == text.trim());
    word.map(|&word| word.to_owned()).unwrap_or_default()
}

/// Minutes of `+HHMM` or `-HHMM`, from -12 to +14 hours.
fn utc_offset(text: &str) -> Option<i16> {
    let (sign, digits) = match text.trim().split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: i16 = digits.parse().ok()?;
    let minutes = sign * (number / 100 * 60 + number % 100);
    (number % 100 < 60 && (-720..=840).contains(&minutes)).then_some(minutes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_one_short_line() {
        assert_eq!(line(" A\tB\r\nC\u{1B}  ", 64), "ABC");
        assert_eq!(line("first\\second", 64), "first");
        assert_eq!(line("äöü ß", 4), "äöü");
        assert_eq!(line("", 64), "");
    }

    #[test]
    fn dates_times_and_ages_are_such_or_nothing() {
        assert_eq!(date("19640229"), "19640229");
        assert_eq!(date("1964.02.29"), "19640229");
        for wrong in ["", "1964", "19641301", "19640200", "1964022x", "1964-02-29"] {
            assert_eq!(date(wrong), "", "{wrong}");
        }
        for right in ["07", "0730", "073059", "235960", "073059.123456"] {
            assert_eq!(time(right), right);
        }
        assert_eq!(time("07:30:59"), "073059");
        for wrong in [
            "",
            "7",
            "2400",
            "0760",
            "0730.5",
            "073059.",
            "073059.1234567",
            "aa",
        ] {
            assert_eq!(time(wrong), "", "{wrong}");
        }
        assert_eq!(
            (age("063Y"), age("63Y"), age("0x3Y")),
            ("063Y".into(), String::new(), String::new())
        );
        assert_eq!(
            (one_of("F ", &["M", "F"]), one_of("X", &["M", "F"])),
            ("F".into(), String::new())
        );
    }

    #[test]
    fn time_zones_are_within_a_day() {
        assert_eq!(utc_offset("+0530"), Some(330));
        assert_eq!(utc_offset("-0800"), Some(-480));
        for wrong in ["", "0530", "+1500", "+0560", "+05:30", "-1201", "+é30"] {
            assert_eq!(utc_offset(wrong), None, "{wrong}");
        }
    }
}
