//! The box on its line as a [`Segmenter`].

use std::path::Path;

use nephrobox_link::client::Client;
use nephrobox_link::message::Hash;
use nephrobox_shared::report::Report;

use super::segmenter::{About, Answer, Segmenter};
use crate::failure::{Exit, Failure};
use crate::progress::Bar;
use crate::{line, send, slots};

/// A box that answers.
pub(super) struct BoxOnLine {
    client: Client,
    bar: Bar,
    /// Id of the scan whose results were fetched last.
    last: Option<String>,
}

impl BoxOnLine {
    /// The box that `client` speaks to; progress goes to standard error.
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            bar: Bar::new(),
            last: None,
        }
    }
}

impl Segmenter for BoxOnLine {
    fn about(&self) -> About {
        let welcome = self.client.welcome();
        About {
            name: welcome.name.as_str().into(),
            software: welcome.software.as_str().into(),
            line: self.client.endpoint().to_string(),
        }
    }

    fn package(&mut self) -> Result<Hash, Failure> {
        let state = slots::ask(&mut self.client)?;
        let active = slots::active(&state).and_then(|slot| slot.model.as_ref());
        active.map(|model| model.hash).ok_or_else(|| {
            Failure::new(
                Exit::Model,
                "the box runs no model",
                self.client.endpoint(),
                "install the package first, with `nephroctl flash`",
            )
            .coded("other_model")
        })
    }

    fn segment(&mut self, scan: &Path, case: &str) -> Result<Answer, Failure> {
        let bar = &mut self.bar;
        let fetched = send::send_and_fetch(&mut self.client, scan, false, &mut |step| {
            send::show(bar, case, step);
        });
        self.bar.clear();
        let fetched = fetched?;
        self.last = Some(fetched.id);
        let report: Option<Report> = serde_json::from_slice(&fetched.report_json).ok();
        report
            .and_then(|report| Answer::of_report(fetched.labels, &report))
            .ok_or_else(|| {
                let what = "its report does not say what made it";
                line::nonsense(what, self.client.endpoint())
            })
    }

    fn confirm(&mut self) -> Result<(), Failure> {
        match self.last.take() {
            Some(id) => send::confirm(&mut self.client, &id),
            None => Ok(()),
        }
    }
}
