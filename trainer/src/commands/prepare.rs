//! `nephrotrain prepare`: makes the training set from KiTS19 folders.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};
use nephrobox_shared::preprocess::{Interpolation, Preprocess};

use super::cases::Cases;
use super::next;
use super::stats::{RuleArgs, thousands};
use crate::data::error::DataError;
use crate::data::prepare::phantoms::Phantoms;
use crate::data::prepare::records::Options;
use crate::data::prepare::{self, Outcome, Request};
use crate::data::progress::{Console, Progress};
use crate::data::{DEFAULT_SEED, Prepared, Split, all_cores};

/// Make the 256 x 256 training set from KiTS19 folders.
///
/// Run it again after a kill and it goes on; run it again on a finished set and it checks every byte. A case name that
/// occurs in several data folders is one patient. The patients' split is in PREPARED/split.toml, for you to edit.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  \
    nephrotrain prepare --data kits19/data --out prepared --test-cases @reserved.txt\n  \
    nephrotrain prepare --phantoms kits19-labels --out bench --side 96")]
pub struct PrepareArgs {
    /// KiTS19 folder with case_*/imaging.nii.gz and segmentation.nii.gz; may be given several times.
    #[arg(long, required_unless_present = "phantoms", value_name = "DIR", action = ArgAction::Append)]
    pub data: Vec<PathBuf>,
    /// Paint phantoms around the label volumes of this KiTS19 folder and prepare those (too); no imaging is needed. They
    /// lie in PREPARED/phantoms, at twice --side, and follow from --seed.
    #[arg(long, value_name = "DIR")]
    pub phantoms: Option<PathBuf>,
    /// The most slices to paint of one patient.
    #[arg(long, value_name = "N", default_value_t = 8, requires = "phantoms")]
    pub phantom_slices: usize,
    /// Folder to make, or to go on with.
    #[arg(long, value_name = "PREPARED")]
    pub out: PathBuf,
    /// Seed of the split, of the choice of background-only slices and of phantoms.
    #[arg(long, value_name = "N", default_value_t = DEFAULT_SEED)]
    pub seed: u64,
    /// Take the split from this file instead of PREPARED/split.toml or chance.
    #[arg(long, value_name = "FILE")]
    pub split: Option<PathBuf>,
    /// Patients that must be in the test part: names, numbers of KiTS19 or ranges such as 0-9 with commas between, or @FILE with
    /// such. Names that the data do not have are passed over.
    #[arg(long, value_name = "NAMES")]
    pub test_cases: Option<String>,
    /// Accept changed sources and options, and prepare anew what they concern.
    #[arg(long)]
    pub update: bool,
    /// Volumes in work at once; each may take 600 MB [default: one per core, at most 2].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub jobs: Option<u16>,
    #[command(flatten)]
    #[allow(
        missing_docs,
        reason = "clap would take a comment here for the text of the whole command"
    )]
    pub rule: RuleArgs,
    /// Rows and columns of the prepared images, a multiple of 32.
    #[arg(
        long,
        value_name = "PIXELS",
        default_value_t = 256,
        help_heading = "Images"
    )]
    pub side: usize,
    /// How images are made smaller; the two are the same at exactly 2:1. Labels are always taken from the nearest pixel.
    #[arg(long, value_enum, default_value = "linear", help_heading = "Images")]
    pub interpolation: InterpolationArg,
    /// Pad slices that are not square before they are made smaller, instead of stretching them.
    #[arg(long, help_heading = "Images")]
    pub pad_to_square: bool,
    /// Store the slices above and below each kept one as well, for `train --neighbours`; up to three times the disk space.
    #[arg(long, help_heading = "Images")]
    pub neighbours: bool,
}

/// How images are made smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum InterpolationArg {
    /// Bilinear.
    Linear,
    /// Mean over the area.
    Area,
}

impl PrepareArgs {
    /// Prepares and says what came of it.
    pub fn run(&self) -> anyhow::Result<()> {
        let console = Console::new();
        let request = self.request()?;
        let outcome = prepare::run(&request, &console)?;
        let prepared = Prepared::open(&self.out)?;
        self.notes(&request, &outcome, &console);
        print!("{}", self.summary(&outcome, &prepared));
        next::after_prepare(&self.out).say();
        Ok(())
    }

    /// The request as the library takes it.
    pub fn request(&self) -> Result<Request, DataError> {
        let preprocess = Preprocess {
            interpolation: match self.interpolation {
                InterpolationArg::Linear => Interpolation::Linear,
                InterpolationArg::Area => Interpolation::Area,
            },
            rows: self.side,
            cols: self.side,
            pad_to_square: self.pad_to_square,
            ..Preprocess::default()
        };
        Ok(Request {
            data: self.data.clone(),
            phantoms: self.phantoms.clone().map(|labels| Phantoms {
                labels,
                slices: self.phantom_slices,
            }),
            out: self.out.clone(),
            options: Options {
                rule: self.rule.choice(),
                seed: self.seed,
                preprocess,
                neighbours: self.neighbours,
            },
            split: self.split.clone(),
            reserved: self
                .test_cases
                .as_deref()
                .map_or(Ok(BTreeSet::new()), |text| {
                    Cases::parse(text, "--test-cases").map(Cases::all)
                })?,
            update: self.update,
            jobs: self.jobs.map_or_else(|| all_cores().min(2), usize::from),
        })
    }

    fn notes(&self, request: &Request, outcome: &Outcome, console: &Console) {
        for left_out in &outcome.left_out {
            let source = self
                .data
                .get(left_out.source as usize)
                .map_or_else(|| "the phantoms".into(), |folder| folder.to_string_lossy());
            console.note(&format!(
                "{} in {source} is left out: {}",
                left_out.case, left_out.reason
            ));
        }
        for case in &outcome.without_slices {
            console.note(&format!(
                "{case} has no slice that is kept, so it has no part in training or evaluation"
            ));
        }
        if !request.reserved.is_empty() {
            let (here, all) = (outcome.reserved.len(), request.reserved.len());
            console.note(&format!(
                "{here} of the {all} patients of --test-cases are in these data, and stand in the test part"
            ));
        }
        if outcome.split_kept && self.split.is_none() {
            console.note("split.toml was there already and is kept; delete it for a new split");
        }
        if outcome.mended > 0 {
            console.note(&format!(
                "{} prepared volumes were damaged and made again",
                outcome.mended
            ));
        }
    }

    fn summary(&self, outcome: &Outcome, prepared: &Prepared) -> String {
        let mut out = format!("{:12}{:>10}{:>10}\n", "", "patients", "slices");
        for split in Split::ALL {
            let patients = prepared.cases().iter().filter(|c| c.split == split).count();
            let slices = thousands(prepared.split(split).len());
            let _ = writeln!(out, "{:12}{patients:>10}{slices:>10}", split.name());
        }
        let made = outcome.made + outcome.mended;
        let _ = writeln!(
            out,
            "{made} volumes made, {} found from before",
            outcome.found
        );
        let _ = writeln!(out, "fingerprint {}", outcome.fingerprint);
        let _ = writeln!(out, "prepared in {}", self.out.display());
        out
    }
}
