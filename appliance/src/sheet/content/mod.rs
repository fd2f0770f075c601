//! What the page says, once for the text and for the drawing.
//!
//! Everything is words and cells here; where they stand and how many of them fit is for who sets the page. Texts that came with a scan or
//! a model are made harmless: no control characters reach a terminal or a drawing.

mod details;
mod numbers;

use nephrobox_shared::moment;
use nephrobox_shared::report::{Report, Severity, Subject};

/// The page's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// What the page is.
    pub title: &'static str,
    /// That it is for research use only.
    pub notice: String,
    /// The program and its version.
    pub program: String,
    /// That there are warnings, in one line; `None` without any.
    pub headline: Option<String>,
    /// Whether one of them is serious.
    pub serious: bool,
    /// Whose scan it is.
    pub subject: Section,
    /// The warnings, the most serious first, one for each kind.
    pub flags: Vec<Flag>,
    /// Volumes and areas of each side.
    pub results: Table,
    /// Each tumour's sizes and parts of the score; without rows there is none.
    pub tumours: Table,
    /// What became different since the last scan; `None` if there is none to compare with.
    pub change: Option<Table>,
    /// Scan, model and files.
    pub details: [Section; 3],
}

/// Names with their words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// What the entries are about.
    pub title: &'static str,
    /// Each name with its words.
    pub entries: Vec<Entry>,
}

/// A name with its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name, at most eleven characters.
    pub name: &'static str,
    /// The words.
    pub words: String,
    /// What matters less than the words; often empty.
    pub detail: String,
    /// Lines of text that they deserve.
    pub lines: usize,
}

/// A warning on the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flag {
    /// How much it matters.
    pub severity: Severity,
    /// What it says, and how many more of its kind there are.
    pub words: String,
}

/// Rows of numbers under one title.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// What it is about.
    pub title: String,
    /// Names of the columns; the first is the rows' own and may be empty.
    pub columns: Vec<String>,
    /// As many cells as there are columns. All but the first are numbers, and stand at the right ends of their columns.
    pub rows: Vec<Vec<String>>,
    /// What a reader must know of them.
    pub notes: Vec<String>,
}

impl Content {
    /// The words for a report.
    #[must_use]
    pub fn of(report: &Report) -> Self {
        let serious = |severity| severity == Severity::Serious;
        Self {
            title: "Kidney and kidney tumour report",
            notice: clean(&report.notice),
            program: clean(&format!(
                "{} {}",
                report.program.name, report.program.version
            )),
            headline: headline(report),
            serious: report
                .warnings
                .iter()
                .any(|warning| serious(warning.severity)),
            subject: subject(report.subject.as_ref()),
            flags: flags(report),
            results: numbers::results(report),
            tumours: numbers::tumours(report),
            change: report.change.as_ref().map(numbers::change),
            details: [
                details::scan(report),
                details::model(report),
                details::files(report),
            ],
        }
    }
}

impl Entry {
    fn new(name: &'static str, words: impl AsRef<str>, lines: usize) -> Self {
        Self {
            name,
            words: clean(words.as_ref()),
            detail: String::new(),
            lines,
        }
    }

    /// One line of words, or that there are none, with a detail.
    fn detailed(name: &'static str, words: &str, detail: &str) -> Self {
        let words = if words.trim().is_empty() {
            "not given"
        } else {
            words.trim()
        };
        Self {
            detail: clean(detail.trim()),
            ..Self::new(name, words, 1)
        }
    }

    /// The words and the detail in one.
    #[must_use]
    pub fn all(&self) -> String {
        let parts = [self.words.as_str(), &self.detail];
        let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        parts.join(", ")
    }
}

/// For instance `FLAGGED: 2 serious, 1 caution`.
fn headline(report: &Report) -> Option<String> {
    let kinds = [
        (Severity::Serious, "serious", "serious"),
        (Severity::Caution, "caution", "cautions"),
        (Severity::Note, "note", "notes"),
    ];
    let counts: Vec<String> = kinds
        .into_iter()
        .filter_map(|(severity, one, more)| {
            let warnings = report.warnings.iter();
            match warnings
                .filter(|warning| warning.severity == severity)
                .count()
            {
                0 => None,
                1 => Some(format!("1 {one}")),
                count => Some(format!("{count} {more}")),
            }
        })
        .collect();
    let flagged = report.warnings.iter();
    let flagged = flagged.map(|warning| warning.severity).max()? > Severity::Note;
    let first = if flagged { "FLAGGED: " } else { "" };
    Some(format!("{first}{}", counts.join(", ")))
}

/// One entry for each kind of warning, so that twenty specks do not push the findings off the page.
fn flags(report: &Report) -> Vec<Flag> {
    let mut kinds: Vec<(&str, Flag, usize)> = Vec::new();
    for warning in &report.warnings {
        if let Some((.., more)) = kinds.iter_mut().find(|(code, ..)| *code == warning.code) {
            *more += 1;
        } else {
            let flag = Flag {
                severity: warning.severity,
                words: clean(&warning.message),
            };
            kinds.push((&warning.code, flag, 0));
        }
    }
    let mut flags: Vec<Flag> = kinds
        .into_iter()
        .map(|(_, Flag { severity, words }, more)| Flag {
            severity,
            words: match more {
                0 => words,
                1 => format!("{words} (And one more like this.)"),
                more => format!("{words} (And {more} more like this.)"),
            },
        })
        .collect();
    flags.sort_by_key(|flag| std::cmp::Reverse(flag.severity));
    flags
}

fn subject(subject: Option<&Subject>) -> Section {
    let entries = match subject {
        None => vec![Entry::new(
            "Patient",
            "no identity: the scan's file names none",
            1,
        )],
        Some(subject) => {
            let after = |words: &str, detail: &str| {
                if detail.trim().is_empty() {
                    String::new()
                } else {
                    format!("{words} {}", detail.trim())
                }
            };
            let study = format!(
                "{} {}",
                moment::date(&subject.study_date),
                clock(&subject.study_time)
            );
            vec![
                Entry::detailed("Patient", &name(&subject.patient_name), ""),
                Entry::detailed(
                    "Patient ID",
                    &subject.patient_id,
                    &after("issued by", &subject.patient_id_issuer),
                ),
                Entry::detailed(
                    "Born",
                    &moment::date(&subject.birth_date),
                    &after("sex", &subject.sex),
                ),
                Entry::detailed("Study", &study, &subject.study_description),
                Entry::detailed("Accession", &subject.accession_number, ""),
            ]
        }
    };
    Section {
        title: "Patient",
        entries,
    }
}

/// `DOE^JANE^^DR` as `DOE, JANE DR`: the family first, then what else there is. Of names in several scripts the first.
fn name(dicom: &str) -> String {
    let mut parts = dicom.split('=').next().unwrap_or_default().split('^');
    let family = parts.next().unwrap_or_default().trim();
    let others: Vec<_> = parts
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect();
    match (family, others.is_empty()) {
        (family, true) => family.to_owned(),
        ("", false) => others.join(" "),
        (family, false) => format!("{family}, {}", others.join(" ")),
    }
}

/// `HHMMSS.F` as `HH:MM`; nothing if it is none.
fn clock(dicom: &str) -> String {
    match (dicom.get(..2), dicom.get(2..4)) {
        (Some(hour), Some(minute)) if dicom.as_bytes()[..4].iter().all(u8::is_ascii_digit) => {
            format!("{hour}:{minute}")
        }
        _ => String::new(),
    }
}

/// A text without what a terminal or a drawing would take as an order: control characters, and marks that turn the direction of writing.
pub(crate) fn clean(words: &str) -> String {
    let harmless = |character: char| match character {
        '\u{200e}'
        | '\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}'
        | '\u{fffe}'
        | '\u{ffff}' => ' ',
        control if control.is_control() => ' ',
        other => other,
    };
    words.chars().map(harmless).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_with_the_family_first() {
        for (dicom, written) in [
            ("DOE^JANE", "DOE, JANE"),
            ("DOE^JANE^ANN^DR^", "DOE, JANE ANN DR"),
            ("DOE", "DOE"),
            ("^JANE", "JANE"),
            ("Yamada^Tarou=山田^太郎=やまだ^たろう", "Yamada, Tarou"),
            ("", ""),
        ] {
            assert_eq!(name(dicom), written);
        }
    }

    #[test]
    fn orders_to_a_terminal_become_spaces() {
        assert_eq!(clean("a\u{1b}[31mb\nc\u{202e}d\0"), "a [31mb c d ");
        assert_eq!(clean("Müller & <Söhne> ²±"), "Müller & <Söhne> ²±");
    }

    #[test]
    fn a_time_without_minutes_is_left_out() {
        assert_eq!(clock("123456.78"), "12:34");
        assert_eq!(
            (clock("12"), clock("ä23456"), clock("")),
            Default::default()
        );
    }
}
