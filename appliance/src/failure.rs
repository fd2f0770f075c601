//! How the box says that something failed: what, where, what to do, and an exit code.
//!
//! Library errors know what happened; the person at the box also needs to know where and what to do about it. Each
//! command turns the errors it can meet into a [`Failure`], and `main` prints it and ends with its code.

use std::fmt;
use std::process::ExitCode;

use nephrobox_shared::told::Told;
pub use nephrobox_shared::told::sentence;

/// The exit codes of `nephrobox`. They are stable: scripts may rely on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Exit {
    /// 1: a fault in Nephrobox itself.
    Internal,
    /// 2: the command line makes no sense; clap uses the same code.
    Usage,
    /// 3: the scan cannot be read or is not what it should be.
    Input,
    /// 4: the model package cannot be used.
    Model,
    /// 5: the device asked for is not here or does not work.
    Device,
    /// 6: the results, or the state folder that was named, cannot be written.
    Output,
    /// 7: the box's service cannot run beside what runs already: the state folder or an address is in use, or a certificate
    /// cannot be used.
    Service,
}

impl Exit {
    /// The number that the process ends with.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Internal => 1,
            Self::Usage => 2,
            Self::Input => 3,
            Self::Model => 4,
            Self::Device => 5,
            Self::Output => 6,
            Self::Service => 7,
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
    /// What is wrong, where, and what to do.
    pub told: Told,
}

impl Failure {
    /// A failure from its three sentences.
    pub fn new(
        exit: Exit,
        what: impl fmt::Display,
        place: impl fmt::Display,
        remedy: impl fmt::Display,
    ) -> Self {
        Self {
            exit,
            told: Told::new(what, place, remedy),
        }
    }

    /// The same with several things that are wrong, a line for each behind the first sentence.
    #[must_use]
    pub fn listing(self, lines: impl IntoIterator<Item = String>) -> Self {
        Self {
            told: self.told.listing(lines),
            ..self
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "error: {}", self.told)
    }
}

impl std::error::Error for Failure {}

/// Turns a library's error into a failure; see [`Told::of`].
#[must_use]
pub fn told(
    exit: Exit,
    error: &dyn std::error::Error,
    place: impl fmt::Display,
    remedy: &str,
) -> Failure {
    Failure {
        exit,
        told: Told::of(error, place, remedy),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_error_is_taken_apart_and_told_in_three_lines() {
        let error = std::io::Error::other("a.nii: the data are cut off; copy the file again");
        let failure = told(Exit::Input, &error, "a.nii", "unused");
        assert_eq!(
            failure.to_string(),
            "error: the data are cut off\nwhere: a.nii\nto do: copy the file again"
        );
        assert_eq!(failure.exit.code(), 3);
    }
}
