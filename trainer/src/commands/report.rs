//! `nephrotrain report`: a run as one page.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;

use super::next;
use crate::report::Report;

/// Write one self-contained HTML page about a run
#[derive(Debug, Args)]
#[command(
    after_help = "The page holds the curves, the scores of every split that `nephrotrain evaluate` has scored, confusion\n\
    matrices, the worst and the best cases with pictures, and where the network comes from: settings, data, versions,\n\
    licence. It loads nothing from elsewhere, and prints well.\n\n\
    Examples:\n  \
    nephrotrain report runs/first\n  \
    nephrotrain report runs/first --out first.html --licence-notice \"Trained on KiTS19 (CC BY-NC-SA 4.0)\""
)]
pub struct ReportArgs {
    /// Run folder
    run: PathBuf,
    /// The page to write [default: RUN/report.html]
    #[arg(long, value_name = "FILE.html")]
    out: Option<PathBuf>,
    /// Licence notice of the training data: it binds the network too
    #[arg(long, value_name = "TEXT")]
    licence_notice: Option<String>,
}

impl ReportArgs {
    /// Runs the command.
    pub fn run(&self) -> Result<()> {
        let report = Report::gather(&self.run, self.licence_notice.clone())?;
        let page = report.html()?;
        let out = self.out.clone();
        let out = out.unwrap_or_else(|| self.run.join("report.html"));
        nephrobox_imaging::files::write(&out, page.as_bytes())
            .with_context(|| format!("{} cannot be written", out.display()))?;
        println!("{}", out.display());
        if report.evaluated().is_empty() {
            next::after_train(&self.run, crate::data::Split::Test).say();
        } else {
            next::after_report(&self.run).say();
        }
        Ok(())
    }
}
