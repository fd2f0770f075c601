//! Reads values out of parsed TOML and keeps every problem it meets, each with its line.

use std::collections::HashSet;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One thing that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1; absent where the problem is something that is not there.
    pub line: Option<usize>,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(out, "line {line}: ")?;
        }
        write!(out, "{}; {}", self.what, self.remedy)
    }
}

/// The text and what was found wrong in it.
pub(super) struct Problems<'t> {
    text: &'t str,
    /// Where lines end.
    ends: Vec<usize>,
    pub(super) found: Vec<Problem>,
}

impl<'t> Problems<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self {
            text,
            ends: text.match_indices('\n').map(|(at, _)| at).collect(),
            found: Vec::new(),
        }
    }

    /// Notes a problem at a place in the text.
    pub(super) fn add(
        &mut self,
        span: Option<Range<usize>>,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        let line = span.map(|span| {
            let start = span.start.min(self.text.len());
            1 + self.ends.partition_point(|&end| end < start)
        });
        self.found.push(Problem {
            line,
            what: what.into(),
            remedy: remedy.into(),
        });
    }
}

/// One table and the keys it may have. Each getter marks its key as known; [`Table::finish`] reports the others.
pub(super) struct Table<'a, 'i> {
    pub(super) name: String,
    pub(super) span: Option<Range<usize>>,
    entries: Option<&'a DeTable<'i>>,
    known: HashSet<&'static str>,
}

type Entry<'a, 'i> = &'a Spanned<DeValue<'i>>;

impl<'a, 'i> Table<'a, 'i> {
    /// The table in `value`; no value is an empty table.
    pub(super) fn new(
        name: impl Into<String>,
        value: Option<Entry<'a, 'i>>,
        problems: &mut Problems<'_>,
    ) -> Self {
        let name = name.into();
        let entries = value.and_then(|value| value.get_ref().as_table());
        if let Some(value) = value.filter(|_| entries.is_none()) {
            let what = format!(
                "{name} is of type {} and not a table",
                value.get_ref().type_str()
            );
            problems.add(
                Some(value.span()),
                what,
                format!("write [{name}] and its keys below it"),
            );
        }
        Self {
            name,
            span: value.map(Spanned::span),
            entries,
            known: HashSet::new(),
        }
    }

    /// The whole file as a table.
    pub(super) fn root(entries: &'a DeTable<'i>) -> Self {
        Self {
            name: String::new(),
            span: None,
            entries: Some(entries),
            known: HashSet::new(),
        }
    }

    pub(super) fn full(&self, key: &str) -> String {
        if self.name.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.name)
        }
    }

    /// A value of any kind.
    pub(super) fn raw(&mut self, key: &'static str) -> Option<Entry<'a, 'i>> {
        self.known.insert(key);
        self.entries.and_then(|entries| entries.get(key))
    }

    /// Where a key's value stands.
    pub(super) fn at(&self, key: &str) -> Option<Range<usize>> {
        self.entries
            .and_then(|entries| entries.get(key))
            .map(Spanned::span)
    }

    fn wrong(&self, key: &str, value: Entry<'_, '_>, wanted: &str, problems: &mut Problems<'_>) {
        let what = format!(
            "{} is of type {}",
            self.full(key),
            value.get_ref().type_str()
        );
        problems.add(Some(value.span()), what, format!("give {wanted}"));
    }

    /// A text.
    pub(super) fn text(
        &mut self,
        key: &'static str,
        problems: &mut Problems<'_>,
    ) -> Option<String> {
        let value = self.raw(key)?;
        let text = value.get_ref().as_str().map(str::to_owned);
        if text.is_none() {
            self.wrong(key, value, "a text in quotes", problems);
        }
        text
    }

    /// `true` or `false`.
    pub(super) fn switch(
        &mut self,
        key: &'static str,
        problems: &mut Problems<'_>,
    ) -> Option<bool> {
        let value = self.raw(key)?;
        let switch = value.get_ref().as_bool();
        if switch.is_none() {
            self.wrong(key, value, "true or false", problems);
        }
        switch
    }

    /// A whole number within a range.
    pub(super) fn number(
        &mut self,
        key: &'static str,
        range: Range<u64>,
        problems: &mut Problems<'_>,
    ) -> Option<u64> {
        let value = self.raw(key)?;
        let wanted = format!("a whole number from {} to {}", range.start, range.end - 1);
        let Some(number) = integer(value.get_ref()) else {
            self.wrong(key, value, &wanted, problems);
            return None;
        };
        let fitting = u64::try_from(number).ok();
        let fitting = fitting.filter(|number| range.contains(number));
        if fitting.is_none() {
            problems.add(
                Some(value.span()),
                format!("{} is {number}", self.full(key)),
                format!("give {wanted}"),
            );
        }
        fitting
    }

    /// A size: a number of bytes, or a text such as `"20 GB"`.
    pub(super) fn size(&mut self, key: &'static str, problems: &mut Problems<'_>) -> Option<u64> {
        let value = self.raw(key)?;
        let size = match value.get_ref() {
            DeValue::String(text) => super::size::parse(text),
            other => integer(other).and_then(|number| u64::try_from(number).ok()),
        };
        if size.is_none_or(|size| i64::try_from(size).is_err()) {
            let what = format!("{} is not a size", self.full(key));
            problems.add(
                Some(value.span()),
                what,
                "give bytes as a number, or a text such as \"20 GB\" or \"512 MiB\"",
            );
            return None;
        }
        size
    }

    /// An absolute path without `..`.
    pub(super) fn path(
        &mut self,
        key: &'static str,
        problems: &mut Problems<'_>,
    ) -> Option<PathBuf> {
        let path = PathBuf::from(self.text(key, problems)?);
        let up = path
            .components()
            .any(|part| part == std::path::Component::ParentDir);
        if path.is_absolute() && !up && !path.to_string_lossy().contains('\0') {
            return Some(path);
        }
        let what = format!("{} is \"{}\"", self.full(key), path.display());
        problems.add(self.at(key), what, "give an absolute path without ..");
        None
    }

    /// One of several words.
    pub(super) fn word(
        &mut self,
        key: &'static str,
        words: &[&str],
        problems: &mut Problems<'_>,
    ) -> Option<String> {
        let text = self.text(key, problems)?;
        if words.contains(&text.as_str()) {
            return Some(text);
        }
        let hint = nearest(&text, words.iter().copied());
        let remedy = hint.map_or_else(
            || format!("give one of {}", words.join(", ")),
            |word| format!("did you mean {word}?"),
        );
        problems.add(
            self.at(key),
            format!("{} is {text:?}", self.full(key)),
            remedy,
        );
        None
    }

    /// A list; each element is handed on with its name.
    pub(super) fn list(
        &mut self,
        key: &'static str,
        problems: &mut Problems<'_>,
    ) -> Vec<(String, Entry<'a, 'i>)> {
        let Some(value) = self.raw(key) else {
            return Vec::new();
        };
        let Some(list) = value.get_ref().as_array() else {
            self.wrong(key, value, "a list", problems);
            return Vec::new();
        };
        list.iter()
            .enumerate()
            .map(|(index, value)| (format!("{}[{index}]", self.full(key)), value))
            .collect()
    }

    /// Notes the absence of a key that has to be there.
    pub(super) fn need<T>(
        &self,
        key: &str,
        value: Option<T>,
        problems: &mut Problems<'_>,
    ) -> Option<T> {
        if value.is_none() && self.at(key).is_none() {
            let what = format!("{} is missing", self.full(key));
            problems.add(self.span.clone(), what, format!("add it: {key} = …"));
        }
        value
    }

    /// Reports every key that nobody asked for.
    pub(super) fn finish(self, problems: &mut Problems<'_>) {
        for (key, _) in self.entries.into_iter().flatten() {
            let name: &str = key.get_ref();
            if self.known.contains(name) {
                continue;
            }
            let mut known: Vec<_> = self.known.iter().copied().collect();
            known.sort_unstable();
            let remedy = nearest(name, known.iter().copied()).map_or_else(
                || format!("known here: {}", known.join(", ")),
                |near| format!("did you mean {near}?"),
            );
            problems.add(
                Some(key.span()),
                format!("{} is not a key", self.full(name)),
                remedy,
            );
        }
    }
}

fn integer(value: &DeValue<'_>) -> Option<i64> {
    let number = value.as_integer()?;
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

/// The known word that `given` was probably meant to be: at most two letters wrong, swapped, missing or too many, and fewer than it has.
fn nearest<'w>(given: &str, known: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    let (mistakes, word) = known
        .map(|word| (strsim::damerau_levenshtein(given, word), word))
        .min_by_key(|&(mistakes, _)| mistakes)?;
    (mistakes <= 2 && mistakes < given.len()).then_some(word)
}

/// Whether one path is the other or below it.
pub(super) fn overlap(one: &Path, other: &Path) -> bool {
    one.starts_with(other) || other.starts_with(one)
}
