//! `nephroctl rollback`: back to the model in the other slot.

use std::io::Write;

use nephrobox_link::message::{Reply, Request};

use crate::failure::{Exit, Failure, say};
use crate::line::{self, Line};
use crate::progress::Bar;
use crate::{slots, trial};

/// Shown after the options.
pub(crate) const EXAMPLES: &str = "\
Examples:
  nephroctl rollback
  nephroctl slots && nephroctl rollback --no-wait

The other model is put on trial and tested with its own slices before it runs, as after \
`nephroctl flash`; exit code 8 says that it failed and the box stays with the model that it has.";

/// Options of `nephroctl rollback`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Do not wait for the box's verdict.
    #[arg(long)]
    pub no_wait: bool,
    /// How to reach the box.
    #[command(flatten)]
    pub line: Line,
}

/// Goes back.
///
/// # Errors
/// If there is nothing to go back to, the box refuses, or the other model fails its trial.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    let mut client = args.line.connect()?;
    let state = slots::ask(&mut client)?;
    let models = (
        slots::active(&state).and_then(|slot| slot.model.as_ref()),
        slots::other(&state).and_then(|slot| slot.model.as_ref()),
    );
    let (Some(from), Some(to)) = models else {
        return Err(Failure::new(
            Exit::Refused,
            "there is no other model to go back to",
            client.endpoint(),
            "see `nephroctl slots`, and install one with `nephroctl flash`",
        )
        .coded("no_model"));
    };
    match line::ask(&mut client, &Request::Rollback { from: from.hash })? {
        Reply::Done => {}
        _ => {
            return Err(line::nonsense(
                "no word about going back",
                client.endpoint(),
            ));
        }
    }
    let title = format!("{} version {}", to.name, to.version);
    if args.no_wait {
        return say(
            out,
            &format!("the box goes back to {title}; see `nephroctl slots` for its verdict\n"),
        );
    }
    let mut bar = Bar::new();
    let words = trial::wait(&mut client, &to.hash, &mut bar)?;
    bar.clear();
    say(out, &format!("{title}: {words}\n"))
}
