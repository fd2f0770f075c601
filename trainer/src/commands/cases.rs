//! Cases as a command line names them: `--cases 0-9,case_00042,@more.txt`.

use std::collections::BTreeSet;
use std::fs;

use crate::data::{DataError, DataErrorKind};

/// Numbers of one range; KiTS19 has 300 cases.
const LONGEST: u32 = 10_000;

/// Cases by name and by range of numbers. A bare number stands for the case of KiTS19 of that number.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Cases {
    /// Cases that are named one by one.
    pub(super) named: BTreeSet<String>,
    /// Cases that are in a range, and so need not all exist.
    pub(super) ranged: BTreeSet<String>,
}

impl Cases {
    /// What `option` of the command line says: names, numbers and ranges such as 0-9 or 0..9, whose both ends count, with commas or white
    /// space between. `@FILE` reads them from a file, in which `#` begins a comment.
    pub(super) fn parse(text: &str, option: &str) -> Result<Self, DataError> {
        let mut cases = Self::default();
        for item in items(text) {
            let Some(path) = item.strip_prefix('@') else {
                cases.add(item, option)?;
                continue;
            };
            let list = fs::read_to_string(path)
                .map_err(|e| DataError::io(path, "read the list of cases", e))?;
            for line in list.lines() {
                for item in items(line.split('#').next().unwrap_or_default()) {
                    cases.add(item, option)?;
                }
            }
        }
        Ok(cases)
    }

    fn add(&mut self, item: &str, option: &str) -> Result<(), DataError> {
        let name = |number: u32| format!("case_{number:05}");
        let is_of_numbers = item.starts_with(|c: char| c.is_ascii_digit())
            && item
                .chars()
                .all(|c| c.is_ascii_digit() || c == '-' || c == '.');
        if !is_of_numbers {
            self.named.insert(item.to_owned());
            return Ok(());
        }
        let ends = item.split_once("..").or_else(|| item.split_once('-'));
        let (first, last) = ends.unwrap_or((item, item));
        match (first.parse::<u32>(), last.parse::<u32>()) {
            (Ok(number), Ok(_)) if ends.is_none() => {
                self.named.insert(name(number));
            }
            (Ok(first), Ok(last)) if first <= last && last - first < LONGEST => {
                self.ranged.extend((first..=last).map(name));
            }
            _ => {
                return Err(DataError::new(
                    DataErrorKind::Option,
                    option,
                    format!("`{item}` is no case number and no range of such"),
                    "name cases like 42, 0-9 or case_00042, with commas between",
                ));
            }
        }
        Ok(())
    }

    /// Whether a case is among them.
    pub(super) fn hold(&self, name: &str) -> bool {
        self.named.contains(name) || self.ranged.contains(name)
    }

    /// All of them.
    pub(super) fn all(self) -> BTreeSet<String> {
        let mut all = self.named;
        all.extend(self.ranged);
        all
    }
}

fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c == ',' || c.is_whitespace())
        .filter(|item| !item.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Cases, DataError> {
        Cases::parse(text, "--cases")
    }

    #[test]
    fn cases_are_chosen_by_name_number_range_and_file() {
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("list.txt");
        fs::write(&list, "case_00150 # held back\n\n7\n20..22, case_x\n").unwrap();
        let cases = parse(&format!("case_00003, 4,10-12,@{}", list.display())).unwrap();
        for held in [3, 4, 7, 10, 11, 12, 20, 22, 150] {
            assert!(cases.hold(&format!("case_{held:05}")), "{held}");
        }
        for other in ["case_00005", "case_00013", "case_sample", "4"] {
            assert!(!cases.hold(other), "{other}");
        }
        let named = [
            "case_00003",
            "case_00004",
            "case_00007",
            "case_00150",
            "case_x",
        ];
        assert_eq!(cases.named, named.map(str::to_owned).into());
        assert_eq!(cases.all().len(), 5 + 3 + 3);
        assert_eq!(parse(" ,").unwrap(), Cases::default());
    }

    #[test]
    fn names_may_have_digits_and_what_is_no_range_is_refused() {
        assert!(parse("2024-a,study-7").unwrap().hold("study-7"));
        for wrong in [
            "5-2",
            "1-",
            "3..",
            "0-4000000000",
            "1-2-3",
            "4294967296",
            "1.5",
        ] {
            let error = parse(wrong).unwrap_err();
            assert_eq!(error.kind(), DataErrorKind::Option, "{wrong}");
            assert_eq!(error.place(), std::path::Path::new("--cases"));
        }
        let missing = parse("@nowhere.txt").unwrap_err();
        assert_eq!(missing.place(), std::path::Path::new("nowhere.txt"));
    }
}
