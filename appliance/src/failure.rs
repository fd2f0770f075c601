//! How the box says that something failed: what, where, what to do, and an exit code.
//!
//! Library errors know what happened; the person at the box also needs to know where and what to do about it. Each
//! command turns the errors it can meet into a [`Failure`], and `main` prints it and ends with its code.

use std::fmt;
use std::process::ExitCode;

use nephrobox_shared::words;

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

/// A failed command, told in three sentences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What is wrong.
    pub what: String,
    /// The file, folder, option or slice where it is wrong.
    pub place: String,
    /// What the reader can do about it.
    pub remedy: String,
}

impl Failure {
    /// A failure from its three sentences, made fit to be shown: file names and other people's words may be in them.
    pub fn new(
        exit: Exit,
        what: impl fmt::Display,
        place: impl fmt::Display,
        remedy: impl fmt::Display,
    ) -> Self {
        let place = match place.to_string() {
            empty if empty.is_empty() => "an empty name".to_owned(),
            place => place,
        };
        Self {
            exit,
            what: words::line(&what.to_string()),
            place: words::line(&place),
            remedy: words::line(&remedy.to_string()),
        }
    }

    /// The same with several things that are wrong, a line for each behind the first sentence.
    #[must_use]
    pub fn listing(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        for line in lines {
            self.what.push('\n');
            self.what.push_str(&words::line(&line));
        }
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "error: {}", self.what)?;
        writeln!(out, "where: {}", self.place)?;
        write!(out, "to do: {}", self.remedy)
    }
}

impl std::error::Error for Failure {}

/// An error with all its causes in one sentence: `outer: cause: cause of the cause`.
///
/// A cause that its error already quotes is not repeated.
#[must_use]
pub fn sentence(error: &dyn std::error::Error) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !told.contains(&text) {
            told = format!("{told}: {text}");
        }
        cause = error.source();
    }
    told
}

/// Turns a library's error into a failure.
///
/// The libraries of this house write `place: what is wrong; what to do`. The place is stated once, and `remedy` stands
/// in where a message has no advice of its own.
#[must_use]
pub fn told(
    exit: Exit,
    error: &dyn std::error::Error,
    place: impl fmt::Display,
    remedy: &str,
) -> Failure {
    let place = place.to_string();
    let message = sentence(error);
    let message = message
        .strip_prefix(place.as_str())
        .and_then(|rest| rest.strip_prefix(": "))
        .unwrap_or(&message);
    let (what, remedy) = message.rsplit_once("; ").unwrap_or((message, remedy));
    Failure::new(exit, what, place, remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_error_is_taken_apart() {
        #[derive(Debug, thiserror::Error)]
        #[error("a.nii: the data are cut off; copy the file again")]
        struct Library;
        let failure = told(Exit::Input, &Library, "a.nii", "unused");
        assert_eq!(
            failure,
            Failure::new(
                Exit::Input,
                "the data are cut off",
                "a.nii",
                "copy the file again"
            )
        );
    }

    #[test]
    fn an_error_without_advice_gets_some() {
        let failure = told(
            Exit::Output,
            &std::io::Error::other("disk on fire"),
            "out",
            "call for help",
        );
        assert_eq!(
            failure,
            Failure::new(Exit::Output, "disk on fire", "out", "call for help")
        );
    }

    #[test]
    fn a_failure_is_three_sentences() {
        let failure = Failure::new(
            Exit::Input,
            "the scan ends early",
            "a.nii.gz",
            "copy the file again",
        );
        assert_eq!(
            failure.to_string(),
            "error: the scan ends early\nwhere: a.nii.gz\nto do: copy the file again"
        );
        assert_eq!(failure.exit.code(), 3);
    }

    #[test]
    fn names_do_not_act_on_a_terminal_and_a_listing_has_a_line_for_each() {
        let failure = Failure::new(Exit::Usage, "wrong", "a\n\u{1b}[2J", "mend it");
        let failure = failure.listing(["line 1\r".to_owned(), "line 2".to_owned()]);
        assert_eq!(
            failure.to_string(),
            "error: wrong\nline 1\\r\nline 2\nwhere: a\\n\\u{1b}[2J\nto do: mend it"
        );
    }

    #[test]
    fn a_quoted_cause_is_told_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot read: {source}")]
        struct Quoting {
            source: std::io::Error,
        }
        let error = Quoting {
            source: std::io::Error::other("disk on fire"),
        };
        assert_eq!(sentence(&error), "cannot read: disk on fire");
    }
}
