//! How a program says that something failed: what is wrong, where, and what to do about it.
//!
//! Errors of libraries know what happened, and write it as `place: what is wrong; what to do`. Box and tools take such a message apart here
//! and add the code that they end with.

use alloc::{
    borrow::ToOwned,
    format,
    string::{String, ToString},
};
use core::{error::Error, fmt};

use crate::words;

/// Three sentences about a failure, fit to be shown: names of files and other people's words may be in them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// What is wrong.
    pub what: String,
    /// The file, folder, option or slice where it is wrong.
    pub place: String,
    /// What the reader can do about it.
    pub remedy: String,
}

impl Told {
    /// The three sentences. A place without a name is told as such.
    pub fn new(
        what: impl fmt::Display,
        place: impl fmt::Display,
        remedy: impl fmt::Display,
    ) -> Self {
        let place = match place.to_string() {
            empty if empty.is_empty() => "an empty name".to_owned(),
            place => place,
        };
        Self {
            what: words::line(&what.to_string()),
            place: words::line(&place),
            remedy: words::line(&remedy.to_string()),
        }
    }

    /// Takes a library's error apart. The place is stated once, and `remedy` stands in where a message has no advice of its own.
    ///
    /// ```
    /// use nephrobox_shared::told::Told;
    /// let error = std::io::Error::other("a.nii: the data are cut off; copy the file again");
    /// assert_eq!(
    ///     Told::of(&error, "a.nii", "look at it"),
    ///     Told::new("the data are cut off", "a.nii", "copy the file again"),
    /// );
    /// ```
    pub fn of(error: &dyn Error, place: impl fmt::Display, remedy: &str) -> Self {
        let place = place.to_string();
        let message = sentence(error);
        let message = message
            .strip_prefix(place.as_str())
            .and_then(|rest| rest.strip_prefix(": "))
            .unwrap_or(&message);
        let (what, remedy) = message.rsplit_once("; ").unwrap_or((message, remedy));
        Self::new(what, place, remedy)
    }

    /// What is wrong and what to do in one line, for where the place is known.
    pub fn short(&self) -> String {
        format!("{}; {}", self.what, self.remedy)
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

/// As both programs print it behind `error` and their code, in three lines.
impl fmt::Display for Told {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{}\nwhere: {}\nto do: {}",
            self.what, self.place, self.remedy
        )
    }
}

/// An error with all its causes in one sentence: `outer: cause: cause of the cause`.
///
/// A cause that its error already quotes is not repeated.
pub fn sentence(error: &dyn Error) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Outer(&'static str, fmt::Error);

    impl fmt::Display for Outer {
        fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
            out.write_str(self.0)
        }
    }

    impl Error for Outer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.1)
        }
    }

    #[test]
    fn an_error_without_advice_gets_some() {
        let told = Told::of(&fmt::Error, "out", "call for help");
        assert_eq!(told, Told::new(fmt::Error, "out", "call for help"));
    }

    #[test]
    fn a_failure_is_three_sentences() {
        let told = Told::new("the scan ends early", "a.nii.gz", "copy the file again");
        assert_eq!(
            told.to_string(),
            "the scan ends early\nwhere: a.nii.gz\nto do: copy the file again"
        );
        assert_eq!(
            Told::new("it has no name", "", "name it").place,
            "an empty name"
        );
    }

    #[test]
    fn names_do_not_act_on_a_terminal_and_a_listing_has_a_line_for_each() {
        let told = Told::new("wrong", "a\n\u{1b}[2J", "mend it");
        let told = told.listing(["line 1\r".to_owned(), "line 2".to_owned()]);
        assert_eq!(
            told.to_string(),
            "wrong\nline 1\\r\nline 2\nwhere: a\\n\\u{1b}[2J\nto do: mend it"
        );
    }

    #[test]
    fn a_cause_is_told_once() {
        assert_eq!(
            sentence(&Outer("cannot read", fmt::Error)),
            format!("cannot read: {}", fmt::Error)
        );
        let quoting = "cannot read: an error occurred when formatting an argument";
        assert_eq!(sentence(&Outer(quoting, fmt::Error)), quoting);
    }
}
