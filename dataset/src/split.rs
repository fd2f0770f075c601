//! The split of the patients into training, validation and test.
//!
//! Patients, never slices, are split, in the paper's proportions 116 : 20 : 74. The split is saved by name in a TOML
//! file which a person can read and edit; whoever reads it back checks that it names every patient exactly once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use nephrobox_imaging::files;
use serde::{Deserialize, Serialize};

use crate::error::{DataError, DataErrorKind};
use crate::order;

/// The longest file that is read, in bytes; a split has some dozen for each case.
const MOST_BYTES: u64 = 16 << 20;

/// A part of the patients.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum Split {
    /// What the network learns from.
    Train,
    /// What is watched while it learns.
    Validation,
    /// What it is judged by at the end.
    Test,
}

impl Split {
    /// All parts, in the order of their discriminants.
    pub const ALL: [Self; 3] = [Self::Train, Self::Validation, Self::Test];
    /// The paper's numbers of patients, in the order of [`Split::ALL`].
    pub const PAPER: [usize; 3] = [116, 20, 74];

    /// Its name as in files and on the command line.
    pub fn name(self) -> &'static str {
        ["train", "validation", "test"][self as usize]
    }
}

impl std::fmt::Display for Split {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// The names of the patients of each part; sorted where they were drawn, and as they stand in a file that was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PatientSplit {
    /// Training patients.
    pub train: Vec<String>,
    /// Validation patients.
    pub validation: Vec<String>,
    /// Test patients.
    pub test: Vec<String>,
}

impl PatientSplit {
    /// Splits `cases` at random by `seed`. Those in `reserved` go to the test part, and count towards its share.
    pub fn random<'a>(
        cases: impl IntoIterator<Item = &'a str>,
        reserved: &BTreeSet<String>,
        seed: u64,
    ) -> Self {
        let cases: BTreeSet<&str> = cases.into_iter().collect();
        let (reserved, mut free): (Vec<&str>, Vec<&str>) =
            cases.iter().partition(|&&c| reserved.contains(c));
        free.sort_by_cached_key(|case| {
            order::rank("nephrobox patient split v1", seed, case, [0, 0])
        });
        let [train, validation, _] = sizes(cases.len(), reserved.len());
        let sorted = |names: &[&str]| {
            let mut names: Vec<String> = names.iter().map(|&n| n.to_owned()).collect();
            names.sort_unstable();
            names
        };
        Self {
            train: sorted(&free[..train]),
            validation: sorted(&free[train..train + validation]),
            test: sorted(&[&free[train + validation..], &reserved].concat()),
        }
    }

    /// The patients of one part.
    pub fn part(&self, split: Split) -> &[String] {
        match split {
            Split::Train => &self.train,
            Split::Validation => &self.validation,
            Split::Test => &self.test,
        }
    }

    /// The part of every patient. Fails, with `place` as the file at fault, unless every one of `cases` is named
    /// exactly once and nothing else is.
    pub fn assign<'a>(
        &self,
        cases: impl IntoIterator<Item = &'a str>,
        place: &Path,
    ) -> Result<BTreeMap<String, Split>, DataError> {
        let wrong = |what: String| {
            let remedy = "edit this file so that every case stands in exactly one list, or delete it for a new split";
            Err(DataError::new(DataErrorKind::Split, place, what, remedy))
        };
        let mut parts = BTreeMap::new();
        for split in Split::ALL {
            for name in self.part(split) {
                if let Some(earlier) = parts.insert(name.clone(), split) {
                    return wrong(format!(
                        "the split names {name} twice, under {earlier} and {split}"
                    ));
                }
            }
        }
        let cases: BTreeSet<&str> = cases.into_iter().collect();
        let missing: Vec<&str> = cases
            .iter()
            .copied()
            .filter(|&c| !parts.contains_key(c))
            .collect();
        let unknown: Vec<&str> = parts
            .keys()
            .map(String::as_str)
            .filter(|&c| !cases.contains(c))
            .collect();
        if !missing.is_empty() {
            return wrong(format!("the split does not name {}", some_of(&missing)));
        }
        if !unknown.is_empty() {
            return wrong(format!(
                "the split names {}, which the data do not have",
                some_of(&unknown)
            ));
        }
        Ok(parts)
    }

    /// Fails if a reserved patient stands outside the test part.
    pub fn check_reserved(
        &self,
        reserved: &BTreeSet<String>,
        place: &Path,
    ) -> Result<(), DataError> {
        let astray: Vec<&str> = self
            .train
            .iter()
            .chain(&self.validation)
            .filter(|c| reserved.contains(*c))
            .map(String::as_str)
            .collect();
        if astray.is_empty() {
            return Ok(());
        }
        Err(DataError::new(
            DataErrorKind::Split,
            place,
            format!(
                "the split trains or validates on {}, reserved by --test-cases",
                some_of(&astray)
            ),
            "move the reserved cases to the test list, or delete this file for a new split",
        ))
    }

    /// Reads a split file.
    pub fn read(path: &Path) -> Result<Self, DataError> {
        let failed = |error| DataError::io(path, "read the split", error);
        let bytes = files::read(path, MOST_BYTES).map_err(failed)?;
        let remedy = "the file holds three lists of case names: train, validation and test";
        let text = String::from_utf8(bytes).map_err(|error| {
            let what = "the split is not text in UTF-8";
            DataError::new(DataErrorKind::Split, path, what, remedy).because(error)
        })?;
        toml::from_str(&text).map_err(|e: toml::de::Error| {
            let line = e
                .span()
                .map_or(1, |span| text[..span.start].matches('\n').count() + 1);
            DataError::new(
                DataErrorKind::Split,
                path,
                format!(
                    "line {line} of the split is not understood: {}",
                    e.message()
                ),
                remedy,
            )
        })
    }

    /// Writes a split file for people: one name a line.
    pub fn write(&self, path: &Path) -> Result<(), DataError> {
        files::write(path, self.to_toml().as_bytes())
            .map_err(|e| DataError::io(path, "write the split", e))
    }

    /// BLAKE3 of the split, hexadecimal: a fingerprint tells the data, this tells who is in which part. Comments and
    /// the order of lists and names in a file do not count.
    pub fn hash(&self) -> String {
        let mut split = self.clone();
        for names in [&mut split.train, &mut split.validation, &mut split.test] {
            names.sort_unstable();
        }
        let text = split.to_toml();
        blake3::hash(text.as_bytes()).to_hex().to_string()
    }

    /// The text of the split file.
    pub fn to_toml(&self) -> String {
        let mut text = String::from(
            "# Which patient is in which part. Edit as you like: every case exactly once, one patient never in two\n\
             # parts. `nephrotrain prepare` keeps this file as it is, and `nephrotrain train` reads it.\n",
        );
        for split in Split::ALL {
            let names = self.part(split);
            let _ = writeln!(text, "\n# {} patients\n{split} = [", names.len());
            for name in names {
                let _ = writeln!(text, "    {},", toml::Value::from(name.as_str()));
            }
            text.push_str("]\n");
        }
        text
    }
}

/// Sizes of the parts for `cases` patients of whom `reserved` must be in the test part: the paper's proportions by
/// largest remainder, with at least one patient in each part from three patients up.
fn sizes(cases: usize, reserved: usize) -> [usize; 3] {
    let mut sizes = share(cases, Split::PAPER);
    if cases >= 3 {
        while let Some(empty) = sizes.iter().position(|&n| n == 0) {
            let largest = (0..3).max_by_key(|&part| sizes[part]).unwrap_or(0);
            sizes[largest] -= 1;
            sizes[empty] += 1;
        }
    }
    if sizes[2] < reserved {
        let free = cases - reserved;
        let [train, validation, _] = share(free, [Split::PAPER[0], Split::PAPER[1], 0]);
        sizes = if validation == 0 && free >= 2 {
            [train - 1, 1, reserved]
        } else {
            [train, validation, reserved]
        };
    }
    sizes
}

/// Shares `n` out by `weights`, exactly, by the method of largest remainders; earlier parts win ties.
fn share(n: usize, weights: [usize; 3]) -> [usize; 3] {
    let total: usize = weights.iter().sum();
    let mut sizes = weights.map(|w| n * w / total);
    let mut order = [0, 1, 2];
    order.sort_by_key(|&part| std::cmp::Reverse(n * weights[part] % total)); // stable
    let short = n - sizes.iter().sum::<usize>();
    for &part in &order[..short] {
        sizes[part] += 1;
    }
    sizes
}

/// "a, b, c and 4 more".
fn some_of(names: &[&str]) -> String {
    match names.len() {
        0..=4 => names.join(", "),
        n => format!("{} and {} more", names[..3].join(", "), n - 3),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;

    fn names(n: usize) -> Vec<String> {
        (0..n).map(|i| format!("case_{i:05}")).collect()
    }

    fn random(n: usize, reserved: &BTreeSet<String>, seed: u64) -> PatientSplit {
        PatientSplit::random(names(n).iter().map(String::as_str), reserved, seed)
    }

    #[test]
    fn all_210_patients_are_split_as_in_the_paper_and_fewer_in_proportion() {
        let cases = [
            (210, [116, 20, 74]), // paper, section 2.2
            (105, [58, 10, 37]),
            (21, [12, 2, 7]), // 11.6, 2.0, 7.4
            (7, [4, 1, 2]),
            (3, [1, 1, 1]),
            (2, [1, 0, 1]),
            (1, [1, 0, 0]),
            (0, [0, 0, 0]),
        ];
        for (n, expected) in cases {
            assert_eq!(sizes(n, 0), expected, "{n} patients");
        }
        assert_eq!(sizes(10, 6), [3, 1, 6]); // more reserved than the test part's share of 4
        assert_eq!(sizes(4, 3), [1, 0, 3]);
        assert_eq!(sizes(4, 4), [0, 0, 4]);
    }

    proptest! {
        /// Shows RQ-46.
        #[test]
        fn every_patient_is_in_one_part_and_reserved_ones_are_in_the_test_part(
            n in 0usize..260, seed: u64, reserved in prop::collection::btree_set(0usize..300, 0..40),
        ) {
            let reserved: BTreeSet<String> = reserved.into_iter().map(|i| format!("case_{i:05}")).collect();
            let split = random(n, &reserved, seed);
            let cases = names(n);
            let parts = split.assign(cases.iter().map(String::as_str), Path::new("split.toml")).unwrap();
            prop_assert_eq!(parts.len(), n);
            split.check_reserved(&reserved, Path::new("split.toml")).unwrap();
            for (part, paper) in Split::ALL.into_iter().zip(Split::PAPER) {
                let share = n as f64 * paper as f64 / 210.0;
                let off = (split.part(part).len() as f64 - share).abs();
                let forced = cases.iter().filter(|c| reserved.contains(*c)).count() as f64 > n as f64 * 74.0 / 210.0;
                prop_assert!(forced || off < 1.0 || n < 12, "{part}: {} of {n}", split.part(part).len());
            }
            prop_assert_eq!(&split, &random(n, &reserved, seed));
            prop_assert_eq!(toml::from_str::<PatientSplit>(&split.to_toml()).unwrap(), split);
        }
    }

    #[test]
    fn the_seed_matters_and_every_patient_has_its_chance() {
        assert_ne!(
            random(50, &BTreeSet::new(), 1),
            random(50, &BTreeSet::new(), 2)
        );
        let mut in_test = [0u32; 21];
        for seed in 0..600 {
            for name in random(21, &BTreeSet::new(), seed).test {
                in_test[name[5..].parse::<usize>().unwrap()] += 1;
            }
        }
        // Binomial(600, 1/3): mean 200, deviation 11.5; five deviations either way.
        assert!(
            in_test.iter().all(|&n| (142..=258).contains(&n)),
            "{in_test:?}"
        );
    }

    #[test]
    fn an_edited_split_with_a_slip_is_refused_by_name() {
        let cases = ["case_a", "case_b", "case_c"];
        let split = |text: &str| {
            toml::from_str::<PatientSplit>(text)
                .unwrap()
                .assign(cases, Path::new("split.toml"))
        };
        let slips = [
            (
                "train = ['case_a']\nvalidation = []\ntest = ['case_b']",
                "does not name case_c",
            ),
            (
                "train = ['case_a']\nvalidation = ['case_a']\ntest = ['case_b', 'case_c']",
                "names case_a twice",
            ),
            (
                "train = ['case_a']\nvalidation = ['case_b']\ntest = ['case_c', 'case_d']",
                "case_d, which the data",
            ),
        ];
        for (text, expected) in slips {
            let error = split(text).unwrap_err();
            assert_eq!(error.kind(), DataErrorKind::Split);
            assert!(error.to_string().contains(expected), "{error}");
        }
        split("train = ['case_c']\nvalidation = []\ntest = ['case_b', 'case_a']").unwrap();
    }

    #[test]
    fn the_order_of_names_in_a_file_does_not_change_its_hash() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("split.toml");
        let hash = |text: &str| {
            fs::write(&path, text).unwrap();
            PatientSplit::read(&path).unwrap().hash()
        };
        let sorted = hash("train = ['a', 'b']\nvalidation = ['c']\ntest = []\n");
        let edited = hash("# mine\ntest = []\ntrain = ['b', 'a']\nvalidation = ['c']\n");
        assert_eq!(edited, sorted);
        let other = hash("train = ['a', 'c']\nvalidation = ['b']\ntest = []\n");
        assert_ne!(other, sorted);
    }

    #[test]
    fn a_split_file_that_is_not_toml_is_refused_with_the_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("split.toml");
        fs::write(
            &path,
            "train = ['case_a']\nvalidation = [\ntest == ['case_b']\n",
        )
        .unwrap();
        let error = PatientSplit::read(&path).unwrap_err();
        assert!(error.what().starts_with("line 3 "), "{error}");
        fs::write(&path, "train = []\nvalidation = []\ntests = []\n").unwrap();
        assert!(
            PatientSplit::read(&path)
                .unwrap_err()
                .to_string()
                .contains("tests")
        );
    }
}
