//! What a row of the table is.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::ground::{Ground, Place};

/// Words of a command line.
#[derive(Clone, Debug, Default)]
pub(crate) struct Given(pub(crate) Vec<OsString>);

impl From<PathBuf> for Given {
    fn from(path: PathBuf) -> Self {
        Self(vec![path.into()])
    }
}

impl<const N: usize> From<[&str; N]> for Given {
    fn from(words: [&str; N]) -> Self {
        Self(words.map(OsString::from).into())
    }
}

impl Given {
    /// The same with more words.
    pub(crate) fn and(mut self, more: impl Into<Self>) -> Self {
        self.0.extend(more.into().0);
        self
    }
}

/// One input, and what must come of it.
#[derive(Clone, Copy)]
pub(crate) struct Row {
    /// A phrase.
    pub(crate) name: &'static str,
    /// Makes it, in a folder of its own.
    pub(crate) make: fn(&Place<'_>) -> Given,
    /// The exit code.
    pub(crate) exit: u8,
    /// Words of the sentence that says what is wrong; of any one of several, with `|` between them. Where the input is taken, words of the
    /// answer.
    pub(crate) words: &'static str,
    /// How many inputs this row stands for; [`Place::turn`] counts them from 1.
    pub(crate) turns: u32,
    /// Another bound than the section's.
    pub(crate) kib: Option<u64>,
}

/// A row that is refused.
pub(crate) const fn refused(
    name: &'static str,
    make: fn(&Place<'_>) -> Given,
    exit: u8,
    words: &'static str,
) -> Row {
    Row {
        name,
        make,
        exit,
        words,
        turns: 1,
        kib: None,
    }
}

/// A row that is odd, and taken.
pub(crate) const fn taken(
    name: &'static str,
    make: fn(&Place<'_>) -> Given,
    words: &'static str,
) -> Row {
    refused(name, make, 0, words)
}

impl Row {
    /// The row for each of 99 inputs.
    pub(crate) const fn at_every_percent(mut self) -> Self {
        self.turns = 99;
        self
    }

    /// The row with a bound of its own.
    pub(crate) const fn within(mut self, kib: u64) -> Self {
        self.kib = Some(kib);
        self
    }
}

/// What came of a row.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    /// The row's name.
    pub(crate) name: String,
    /// The exit code, or how a service answers.
    pub(crate) answer: String,
    /// What is wrong.
    pub(crate) what: String,
    /// What to do.
    pub(crate) remedy: String,
}

/// How a section's rows are tried.
#[derive(Clone, Copy)]
pub(crate) enum Way {
    /// A process for each row.
    Program {
        /// The whole command line: `box`, `ctl` or `train`, and what `nephrobox`, `nephroctl` or `nephrotrain` gets.
        call: fn(&Place<'_>, Given) -> Vec<OsString>,
        /// Most private memory, in KiB.
        kib: u64,
        /// The rows.
        rows: &'static [Row],
    },
    /// One box that runs through all rows, and must be as well after the last as before the first.
    Service(fn(&Ground) -> Vec<Result<Told, String>>),
}

/// One way in.
#[derive(Clone, Copy)]
pub(crate) struct Section {
    /// The heading.
    pub(crate) title: &'static str,
    /// How the input is given.
    pub(crate) command: &'static str,
    /// How it is tried.
    pub(crate) way: Way,
}

impl Section {
    /// Rows of a program, a process each.
    pub(crate) const fn of_program(
        title: &'static str,
        command: &'static str,
        call: fn(&Place<'_>, Given) -> Vec<OsString>,
        kib: u64,
        rows: &'static [Row],
    ) -> Self {
        Self {
            title,
            command,
            way: Way::Program { call, kib, rows },
        }
    }
}
