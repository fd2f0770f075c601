//! `docs/hazards.md` and the tests of the whole workspace name each other: no hazard without a control, no control without a test that
//! quotes it, no quote that the page does not know.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The workspace.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Rows of the page's tables whose first cell begins with `prefix`, cell by cell.
fn rows(prefix: &str) -> Vec<Vec<String>> {
    let page = fs::read_to_string(root().join("docs/hazards.md")).expect("the page");
    let cells = |line: &str| {
        let inner = line.trim_start_matches("| ").trim_end_matches('|');
        inner
            .split(" | ")
            .map(|cell| cell.trim().to_owned())
            .collect()
    };
    page.lines()
        .filter(|line| line.starts_with(&format!("| {prefix}")))
        .map(cells)
        .collect()
}

/// What stands between backticks.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// Every identifier `RQ-` with its digits.
fn requirements(text: &str) -> BTreeSet<String> {
    text.match_indices("RQ-")
        .map(|(at, mark)| {
            let digits = text[at + mark.len()..]
                .chars()
                .take_while(char::is_ascii_digit);
            format!("{mark}{}", digits.collect::<String>())
        })
        .collect()
}

/// A test as the page names it, `path::name`, with the requirements that its doc comment quotes.
type Tests = BTreeMap<String, BTreeSet<String>>;

/// Every test function of the workspace.
fn tests() -> Tests {
    let mut found = Tests::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if path.is_dir() {
                if !name.starts_with('.') && !["target", "vendor", "out"].contains(&&*name) {
                    folders.push(path);
                }
            } else if name.ends_with(".rs") {
                let text = fs::read_to_string(&path).expect("source text");
                let place = path.strip_prefix(root()).expect("below the root");
                for (name, quotes) in tests_of(&text) {
                    found.insert(format!("{}::{name}", place.display()), quotes);
                }
            }
        }
    }
    found
}

/// The test functions of one file: attributes and doc comments are the lines right above `fn`.
fn tests_of(text: &str) -> Vec<(String, BTreeSet<String>)> {
    let mut found = Vec::new();
    let (mut is_test, mut docs) = (false, String::new());
    for line in text.lines().map(str::trim) {
        if let Some(words) = line.strip_prefix("///") {
            docs.push_str(words);
        } else if line.starts_with("#[") {
            is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
        } else {
            let signature = line.strip_prefix("async ").unwrap_or(line);
            if let Some(signature) = signature.strip_prefix("fn ").filter(|_| is_test) {
                let name = signature.split('(').next().unwrap_or_default();
                found.push((name.to_owned(), requirements(&docs)));
            }
            (is_test, docs) = (false, String::new());
        }
    }
    found
}

#[test]
fn every_hazard_has_a_control_and_every_control_a_hazard() {
    let (hazards, controls) = (rows("HZ-"), rows("RQ-"));
    assert!(hazards.len() >= 35, "{} hazards", hazards.len());
    for (prefix, table, columns) in [("HZ", &hazards, 5), ("RQ", &controls, 4)] {
        for (number, row) in table.iter().enumerate() {
            assert_eq!(row[0], format!("{prefix}-{:02}", number + 1), "in order");
            assert_eq!(row.len(), columns, "{row:?}");
        }
    }
    let known: BTreeSet<_> = controls.iter().map(|row| row[0].clone()).collect();
    let mut used = BTreeSet::new();
    for row in &hazards {
        let named = requirements(&row[3]);
        assert!(!named.is_empty(), "{} has no control", row[0]);
        used.extend(named);
    }
    assert_eq!(used, known);
}

#[test]
fn every_requirement_is_held_by_something_that_is_there_and_shown_by_tests_that_quote_it() {
    let tests = tests();
    for row in rows("RQ-") {
        let (id, held, shown) = (&row[0], &row[2], &row[3]);
        assert!(quoted(held).count() > 0 && quoted(shown).count() > 0);
        for place in quoted(held) {
            assert!(root().join(place).exists(), "{id}: {place} is not there");
        }
        for test in quoted(shown) {
            let quotes = tests
                .get(test)
                .unwrap_or_else(|| panic!("{id}: {test} is no test"));
            assert!(quotes.contains(id), "{test} does not quote {id}");
        }
    }
}

#[test]
fn every_quote_of_a_requirement_is_on_the_page() {
    let mut named: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in rows("RQ-") {
        for test in quoted(&row[3]) {
            named
                .entry(test.to_owned())
                .or_default()
                .insert(row[0].clone());
        }
    }
    let quotes = tests().into_iter().filter(|(_, quotes)| !quotes.is_empty());
    for (test, quotes) in quotes {
        assert_eq!(named.get(&test), Some(&quotes), "{test}");
    }
}
