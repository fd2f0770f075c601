//! `nephrotrain stats`: the statistics of the paper's section 2.2 for a KiTS19 folder.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};

use super::next;
use crate::data::choice::{Base, Rounding, SliceChoice};
use crate::data::error::{DataError, DataErrorKind};
use crate::data::progress::Console;
use crate::data::stats::{Statistics, Survey};
use crate::data::{DEFAULT_SEED, all_cores};

/// Count what the slices of a KiTS19 folder show, which are kept, and the class weights.
///
/// Labels alone suffice. On the 210 cases of KiTS19 the defaults give the paper's numbers.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Example: nephrotrain stats --data kits19/data --json > statistics.json")]
pub struct StatsArgs {
    /// KiTS19 folder with case_*/segmentation.nii.gz; may be given several times.
    #[arg(long, required = true, value_name = "DIR", action = ArgAction::Append)]
    pub data: Vec<PathBuf>,
    /// Print JSON instead of a table.
    #[arg(long)]
    pub json: bool,
    /// Seed of the random choice of background-only slices.
    #[arg(long, value_name = "N", default_value_t = DEFAULT_SEED)]
    pub seed: u64,
    /// Volumes read at once [default: one per core].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub jobs: Option<u16>,
    #[command(flatten)]
    #[allow(
        missing_docs,
        reason = "clap would take a comment here for the text of the whole command"
    )]
    pub rule: RuleArgs,
}

/// Which of the background-only slices are kept.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Which background-only slices are kept")]
pub struct RuleArgs {
    /// Minimum per volume: none, which gives the paper's 16,795 slices, or one, as its text says (16,806).
    #[arg(long, value_enum, value_name = "RULE", default_value = "exact")]
    pub background_rule: MinimumRule,
    /// Short for --background-rule at-least-one.
    #[arg(long, conflicts_with = "background_rule")]
    pub at_least_one: bool,
    /// Fraction kept, 0 to 1.
    #[arg(long, alias = "fraction", value_name = "F", default_value_t = 0.01, value_parser = fraction)]
    pub background_fraction: f64,
    /// What the fraction is taken of.
    #[arg(long, value_enum, value_name = "BASE", default_value = "all")]
    pub background_base: Base,
    /// How the number is made whole.
    #[arg(long, value_enum, value_name = "HOW", default_value = "half-up")]
    pub background_rounding: Rounding,
}

/// Minimum of background-only slices per volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MinimumRule {
    /// No minimum.
    Exact,
    /// At least one slice of each volume.
    AtLeastOne,
}

fn fraction(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.0..=1.0).contains(&value) {
        Ok(value)
    } else {
        Err("not between 0 and 1".to_owned())
    }
}

impl RuleArgs {
    /// The rule as the library takes it.
    pub fn choice(&self) -> SliceChoice {
        SliceChoice {
            fraction: self.background_fraction,
            base: self.background_base,
            rounding: self.background_rounding,
            minimum: u32::from(
                self.at_least_one || self.background_rule == MinimumRule::AtLeastOne,
            ),
        }
    }
}

impl StatsArgs {
    /// Scans and prints.
    pub fn run(&self) -> anyhow::Result<()> {
        let jobs = self.jobs.map_or_else(all_cores, usize::from);
        let survey = Survey::read(&self.data, jobs, &Console::new())?;
        let statistics = survey.statistics(&self.rule.choice(), self.seed);
        let text = if self.json {
            serde_json::to_string_pretty(&statistics)? + "\n"
        } else {
            table(&statistics)
        };
        std::io::Write::write_all(&mut std::io::stdout().lock(), text.as_bytes()).map_err(|e| {
            DataError::new(
                DataErrorKind::Io,
                "standard output",
                format!("cannot print: {e}"),
                "check the pipe or the disk",
            )
        })?;
        next::after_stats(&self.data).say();
        Ok(())
    }
}

/// The statistics beside those of the paper.
pub fn table(statistics: &Statistics) -> String {
    let s = statistics;
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{:24}{:>10}{:>10}    paper (210 cases)",
        "", "here", ""
    );
    let percent = |n: usize| format!("{:.2} %", 100.0 * n as f64 / s.slices.max(1) as f64);
    let rows = [
        ("cases", s.cases, String::new(), "210"),
        ("slices", s.slices, String::new(), "45,424"),
        (
            "  background only",
            s.background_only,
            percent(s.background_only),
            "64 %",
        ),
        (
            "  kidney only",
            s.kidney_only,
            percent(s.kidney_only),
            "23.4 %",
        ),
        (
            "  kidney and tumour",
            s.kidney_and_tumour,
            percent(s.kidney_and_tumour),
            "11.5 %",
        ),
        (
            "  tumour only",
            s.tumour_only,
            percent(s.tumour_only),
            "1.1 %",
        ),
        ("kept", s.kept, percent(s.kept), "16,795 (37 %)"),
        (
            "  background only",
            s.kept_background_only,
            String::new(),
            "459 (by difference)",
        ),
    ];
    for (name, count, share, paper) in rows {
        let _ = writeln!(
            out,
            "{name:24}{:>10}{share:>10}    {paper}",
            thousands(count)
        );
    }
    let _ = writeln!(out, "class weights");
    let w = &s.class_weights;
    for (name, weight, paper) in [
        ("  background", w.background, "0.02"),
        ("  kidney", w.kidney, "1.0"),
        ("  tumour", w.tumour, "1.5"),
    ] {
        let weight = weight.map_or_else(|| "absent".to_owned(), four_digits);
        let _ = writeln!(out, "{name:24}{weight:>10}{:>10}    {paper}", "");
    }
    let _ = writeln!(
        out,
        "\nBackground-only slices kept: {} (seed {}).",
        s.rule.describe(),
        s.seed
    );
    if !s.without_labels.is_empty() {
        let n = s.without_labels.len();
        let _ = writeln!(
            out,
            "Without labels, not counted: {n} ({} ...).",
            s.without_labels[0]
        );
    }
    out
}

/// 0.0200, 1.000, 12.34: four significant digits from 0.01 up.
fn four_digits(value: f64) -> String {
    let before_point = (value.max(1e-2).log10().floor() as i32 + 1).clamp(0, 4);
    let decimals = (4 - before_point) as usize;
    format!("{value:.decimals$}")
}

/// 45424 as 45,424.
pub(super) fn thousands(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_the_paper_writes_them() {
        let written: Vec<String> = [0, 999, 1000, 45_424, 1_234_567].map(thousands).into();
        assert_eq!(written, ["0", "999", "1,000", "45,424", "1,234,567"]);
        let written: Vec<String> = [0.019_98, 1.0, 1.4612, 12.345].map(four_digits).into();
        assert_eq!(written, ["0.0200", "1.000", "1.461", "12.35"]);
    }
}
