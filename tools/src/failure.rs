//! How a tool says that something failed: what, where, what to do, and an exit code.

use std::fmt;
use std::process::ExitCode;

/// The exit codes of `nephroctl`; the same numbers mean the same in `nephrobox`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Exit {
    /// 1: a fault in nephroctl itself.
    Internal,
    /// 3: an input file cannot be used.
    Input,
    /// 4: the model package cannot be used.
    Model,
    /// 6: the answer cannot be written.
    Output,
}

impl Exit {
    /// The number that the process ends with.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Internal => 1,
            Self::Input => 3,
            Self::Model => 4,
            Self::Output => 6,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// A failed command, told in three sentences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What is wrong.
    pub what: String,
    /// Where it is wrong.
    pub place: String,
    /// What to do about it.
    pub remedy: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "error: {}", self.what)?;
        writeln!(out, "where: {}", self.place)?;
        write!(out, "to do: {}", self.remedy)
    }
}

impl std::error::Error for Failure {}

/// Turns a library's error into a failure. The libraries write `place: what is wrong; what to do`; `remedy` stands in
/// where a message has no advice of its own.
#[must_use]
pub fn told(
    exit: Exit,
    error: &dyn std::error::Error,
    place: impl fmt::Display,
    remedy: &str,
) -> Failure {
    let (place, message) = (place.to_string(), error.to_string());
    let message = message
        .strip_prefix(place.as_str())
        .and_then(|rest| rest.strip_prefix(": "))
        .unwrap_or(&message);
    let (what, remedy) = message.rsplit_once("; ").unwrap_or((message, remedy));
    Failure {
        exit,
        what: what.to_owned(),
        remedy: remedy.to_owned(),
        place,
    }
}

/// Writes a command's answer. A reader that has gone away has seen what it wanted.
pub(crate) fn say(out: &mut dyn std::io::Write, words: &str) -> Result<(), Failure> {
    match out.write_all(words.as_bytes()).and_then(|()| out.flush()) {
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
            "error: the package is cut off\nwhere: m.nbx\nto do: copy it again"
        );
    }
}
