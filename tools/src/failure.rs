//! How a tool says that something failed: what, where, what to do, an error code for programs and an exit code.

use std::fmt;
use std::process::ExitCode;

use nephrobox_shared::{told::Told, words};

use serde_json::json;

/// The exit codes of `nephroctl`. They are stable; 1 to 4 and 6 mean the same in `nephrobox`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum Exit {
    /// 1: a fault in nephroctl itself.
    Internal = 1,
    /// 2: the command line makes no sense; clap uses the same code.
    Usage = 2,
    /// 3: an input file cannot be used.
    Input = 3,
    /// 4: the model package cannot be used.
    Model = 4,
    /// 5: the box cannot be reached.
    Line = 5,
    /// 6: the answer cannot be written.
    Output = 6,
    /// 7: the box refuses.
    Refused = 7,
    /// 8: the box tried, and the model or the scan is not usable.
    Unfit = 8,
    /// 9: the box cannot do it now.
    Later = 9,
    /// 10: something is wrong with the box itself.
    Fault = 10,
    /// 11: a validation found something different, and nothing clearly worse.
    Drift = 11,
    /// 12: a validation found the box not to do what its model's package says.
    Failed = 12,
}

impl Exit {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 12] = [
        Self::Internal,
        Self::Usage,
        Self::Input,
        Self::Model,
        Self::Line,
        Self::Output,
        Self::Refused,
        Self::Unfit,
        Self::Later,
        Self::Fault,
        Self::Drift,
        Self::Failed,
    ];

    /// The number that the process ends with.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The error code of a failure that has none of its own.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.words().0
    }

    /// What the number means, as the help shows it.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        self.words().1
    }

    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Internal => ("internal", "a fault in nephroctl itself"),
            Self::Usage => ("usage", "the command line makes no sense"),
            Self::Input => ("input", "an input file cannot be used"),
            Self::Model => ("model", "the model package cannot be used"),
            Self::Line => ("line", "the box cannot be reached"),
            Self::Output => ("output", "the answer cannot be written"),
            Self::Refused => ("refused", "the box refuses"),
            Self::Unfit => (
                "unfit",
                "the box tried, and the model or the scan is not usable",
            ),
            Self::Later => ("later", "the box cannot do it now; try again later"),
            Self::Fault => ("fault", "something is wrong with the box itself"),
            Self::Drift => (
                "drift",
                "a validation found scores that differ from the packed ones",
            ),
            Self::Failed => (
                "failed",
                "a validation found the box not to do what its model's package says",
            ),
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// A failed command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// The error code: one stable word, more precise than the exit code where that is possible.
    pub code: &'static str,
    /// What is wrong, where, and what to do.
    pub told: Told,
}

impl Failure {
    /// A failure from its three sentences, with the exit's own error code.
    pub fn new(
        exit: Exit,
        what: impl fmt::Display,
        place: impl fmt::Display,
        remedy: impl fmt::Display,
    ) -> Self {
        Self {
            exit,
            code: exit.name(),
            told: Told::new(what, place, remedy),
        }
    }

    /// The same with a more precise error code.
    #[must_use]
    pub fn coded(self, code: &'static str) -> Self {
        Self { code, ..self }
    }

    /// The failure as JSON in one line, for programs.
    #[must_use]
    pub fn json(&self) -> String {
        let Self { exit, code, told } = self;
        let Told {
            what,
            place,
            remedy,
        } = told;
        json!({ "error": { "code": code, "exit": exit.code(), "what": what, "where": place, "to_do": remedy } })
            .to_string()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "error[{}]: {}", self.code, self.told)
    }
}

impl std::error::Error for Failure {}

/// Turns a library's error into a failure with the exit's own error code; see [`Told::of`].
#[must_use]
pub fn told(
    exit: Exit,
    error: &dyn std::error::Error,
    place: impl fmt::Display,
    remedy: &str,
) -> Failure {
    Failure {
        exit,
        code: exit.name(),
        told: Told::of(error, place, remedy),
    }
}

/// What the disk says when an answer cannot be written to it.
pub(crate) fn unwritable(path: &std::path::Path, error: &std::io::Error) -> Failure {
    told(
        Exit::Output,
        error,
        path.display(),
        "check the folder, the rights and the space left",
    )
}

/// Writes a command's answer, of which nothing acts on a terminal. A reader that has gone away has seen what it wanted.
pub(crate) fn say(out: &mut dyn std::io::Write, answer: &str) -> Result<(), Failure> {
    print(out, &words::lines(answer))
}

/// The same of an answer in JSON, which stays JSON whatever names are in it.
pub(crate) fn say_json(out: &mut dyn std::io::Write, answer: &str) -> Result<(), Failure> {
    print(out, &words::json(answer))
}

fn print(out: &mut dyn std::io::Write, answer: &str) -> Result<(), Failure> {
    let written = out.write_all(answer.as_bytes());
    match written.and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(told(
            Exit::Output,
            &error,
            "standard output",
            "check where the output goes",
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_error_is_taken_apart() {
        let error = std::io::Error::other("m.nbx: the package is cut off; copy it again");
        let failure = told(Exit::Model, &error, "m.nbx", "unused");
        assert_eq!(
            failure.to_string(),
            "error[model]: the package is cut off\nwhere: m.nbx\nto do: copy it again"
        );
        assert_eq!(
            failure.coded("hash").json(),
            r#"{"error":{"code":"hash","exit":4,"to_do":"copy it again","what":"the package is cut off","where":"m.nbx"}}"#
        );
    }

    #[test]
    fn exit_codes_count_up_from_1() {
        let codes: Vec<u8> = Exit::ALL.iter().map(|exit| exit.code()).collect();
        assert_eq!(codes, (1..=12).collect::<Vec<u8>>());
    }
}
