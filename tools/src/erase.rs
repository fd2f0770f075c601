//! `nephroctl erase`: a scan and all that was made of it, off the box.

use std::io::{BufRead, IsTerminal as _, Write};

use nephrobox_link::message::{Reply, Request, cut};

use crate::failure::{Exit, Failure, say};
use crate::line::{self, Line};

/// Shown after the options.
pub(crate) const EXAMPLES: &str = "\
Examples:
  nephroctl erase 00000042-9f86d081
  nephroctl erase 00000042-9f86d081 --yes      # in a script

The scan, its results and its picture on the panel are gone; one line in the box's audit log says so. \
What went to a destination or was fetched stays where it is.";

/// Options of `nephroctl erase`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The scan's id on the box, as `nephroctl scans` shows it.
    #[arg(value_name = "SCAN-ID")]
    pub scan: String,
    /// Do not ask whether it is meant.
    #[arg(long)]
    pub yes: bool,
    /// How to reach the box.
    #[command(flatten)]
    pub line: Line,
}

/// Erases a scan.
///
/// # Errors
/// If it is not meant, the box does not have the scan or is at it, or cannot be reached.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    if !args.yes {
        let stdin = std::io::stdin();
        let asks = stdin.is_terminal();
        confirm(&args.scan, asks, &mut stdin.lock(), &mut std::io::stderr())?;
    }
    let mut client = args.line.connect()?;
    let scan = cut(&args.scan);
    match line::ask(&mut client, &Request::Erase { scan })? {
        Reply::Done => say(out, &format!("{} is erased\n", args.scan)),
        _ => Err(line::nonsense("no word about erasing", client.endpoint())),
    }
}

/// Asks whether it is meant. Where nobody can answer, it is not.
fn confirm(
    scan: &str,
    asks: bool,
    answers: &mut dyn BufRead,
    questions: &mut dyn Write,
) -> Result<(), Failure> {
    let refused = |what: &str| Failure::new(Exit::Usage, what, scan, "add --yes if it is meant");
    if !asks {
        return Err(refused("nobody can be asked whether to erase it"));
    }
    let mut answer = String::new();
    let asked = write!(
        questions,
        "Erase scan {scan} and its results from the box for good? [y/N] "
    )
    .and_then(|()| questions.flush())
    .and_then(|()| answers.read_line(&mut answer));
    match asked {
        Ok(_) if ["y", "yes"].contains(&answer.trim().to_lowercase().as_str()) => Ok(()),
        _ => Err(refused("nothing was erased")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows RQ-65.
    #[test]
    fn only_a_yes_of_somebody_who_was_asked_is_one() {
        let ask = |asks, mut answer: &[u8]| {
            let mut question = Vec::new();
            let meant = confirm("00000042-9f86d081", asks, &mut answer, &mut question);
            (
                meant.map_err(|failure| failure.told.what),
                question.len() > 40,
            )
        };
        for yes in ["y\n", "YES\n", " yes "] {
            assert_eq!(ask(true, yes.as_bytes()), (Ok(()), true));
        }
        for no in ["", "\n", "n\n", "yess\n"] {
            assert_eq!(
                ask(true, no.as_bytes()),
                (Err("nothing was erased".into()), true)
            );
        }
        let (unasked, question) = ask(false, b"y\n");
        assert!(unasked.is_err() && !question);
    }
}
