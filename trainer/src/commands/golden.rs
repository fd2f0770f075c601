//! `nephrotrain golden`: checks this program against the reference's numbers.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use burn::tensor::Device;
use clap::Args;

use super::next;
use crate::golden::{self, CaseReport, Outcome};

/// Run every golden case of a folder and print its largest deviation against its tolerance
#[derive(Debug, Args)]
#[command(
    after_help = "Exit code 1 if any case fails; cases of unknown kinds are listed as not run.\n\n\
    Example:\n  nephrotrain golden ../shared/golden"
)]
pub struct GoldenArgs {
    /// Folder with one subfolder per kind, each holding NAME.json and NAME.safetensors pairs
    dir: PathBuf,
    /// Print everything, every single check included, as JSON
    #[arg(long)]
    json: bool,
    /// Print every check of every case, not only the one closest to its tolerance
    #[arg(long)]
    verbose: bool,
}

impl GoldenArgs {
    /// Runs the command.
    pub fn run(&self) -> Result<()> {
        let at = || {
            format!(
                "{} is not a folder of golden cases; name the folder that holds `model`, `losses`, ...",
                self.dir.display()
            )
        };
        let cases = golden::find(&self.dir).with_context(at)?;
        if cases.is_empty() {
            bail!("{}", at());
        }
        let device = Device::flex();
        let mut reports = Vec::with_capacity(cases.len());
        for (kind, path) in cases {
            let report = golden::run(&kind, &path, &device);
            if !self.json {
                self.print(&report);
            }
            reports.push(report);
        }
        if self.json {
            println!("{}", serde_json::to_string_pretty(&reports)?);
        }
        let count = |f: fn(&Outcome) -> bool| reports.iter().filter(|r| f(&r.outcome)).count();
        let failed = count(Outcome::is_failure);
        let passed = count(|o| matches!(o, Outcome::Passed { .. }));
        let not_run = count(|o| matches!(o, Outcome::NotRun { .. }));
        if !self.json {
            println!("\n{passed} passed, {failed} failed, {not_run} not run");
        }
        if failed > 0 {
            bail!("{failed} of {} golden cases failed", reports.len());
        }
        next::after_golden().say();
        Ok(())
    }

    fn print(&self, report: &CaseReport) {
        let case = format!("{}/{}", report.kind, report.name);
        let (status, detail) = match &report.outcome {
            Outcome::Passed { checks } => ("passed", format!("{} checks", checks.len())),
            Outcome::Failed { checks } => {
                let failed = checks.iter().filter(|c| !c.passes()).count();
                ("FAILED", format!("{failed} of {} checks", checks.len()))
            }
            Outcome::Broken { reason } => ("BROKEN", reason.clone()),
            Outcome::NotRun { reason } => ("not run", reason.clone()),
        };
        let worst = report.outcome.worst().map_or(String::new(), |c| {
            format!(
                "; closest: {} off by {:.2e} of {:.2e}",
                c.what, c.deviation, c.tolerance
            )
        });
        println!("{status:<8} {case:<40} {detail}{worst}");
        if let (true, Outcome::Passed { checks } | Outcome::Failed { checks }) =
            (self.verbose, &report.outcome)
        {
            for c in checks {
                let mark = if c.passes() { ' ' } else { '!' };
                println!(
                    "       {mark} {:<60} {:.3e} of {:.3e}",
                    c.what, c.deviation, c.tolerance
                );
            }
        }
    }
}
