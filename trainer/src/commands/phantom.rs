//! `nephrotrain phantom`: synthetic CT, around real masks or wholly invented.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::Args;
use nephrobox_shared::measure::Spacing;

use super::cases::Cases;
use super::next;
use crate::data::progress::{Console, Progress};
use crate::phantom::{
    self, CaseSummary, LabelCase, LabelDriven, Storage, WholePatient, is_reserved, refuse_existing,
};

/// Paint synthetic abdominal CT around real kidney masks, or invent a whole patient
#[derive(Debug, Args)]
#[command(
    after_help = "Phantoms painted around KiTS19 labels are derived from them and share their licence \
    (CC BY-NC-SA 4.0). A procedural patient is derived from nothing.\n\n\
    Examples:\n  \
    nephrotrain phantom --labels ../shared/data/kits19-labels --out phantoms --seed 1\n  \
    nephrotrain phantom --labels ../shared/data/kits19-labels --out few --cases 0-9 --exclude case_00003\n  \
    nephrotrain phantom --procedural --out models/sample --name case_sample --slices 40"
)]
pub struct PhantomArgs {
    /// Folder of label volumes in the layout of KiTS19 (case_*/segmentation.nii.gz); reserved patients are left out
    #[arg(
        long,
        value_name = "DIR",
        required_unless_present = "procedural",
        conflicts_with = "procedural"
    )]
    labels: Option<PathBuf>,
    /// Invent a whole patient with procedural kidneys and a tumour on the left one
    #[arg(long)]
    procedural: bool,
    /// Folder for the finished cases; cases of the same names must not be there yet
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Rows and columns of the slices made
    #[arg(long, default_value_t = 256)]
    size: usize,
    /// Names the phantoms: the same seed gives the same voxels
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The most slices to paint of each case
    #[arg(long, default_value_t = 8, conflicts_with = "procedural")]
    slices_per_case: usize,
    /// Only these cases: names, numbers or ranges such as 0-99 with commas between, or @FILE with such
    #[arg(long, conflicts_with = "procedural")]
    cases: Option<String>,
    /// Without these cases: as for --cases
    #[arg(long, conflicts_with = "procedural")]
    exclude: Option<String>,
    /// Name of the invented case
    #[arg(long, default_value = "case_sample", conflicts_with = "labels")]
    name: String,
    /// Slices of the invented case
    #[arg(long, default_value_t = 48, conflicts_with = "labels")]
    slices: usize,
    /// Slice, row and column spacing of the invented case, mm
    #[arg(long, default_value = "5,1.6,1.6", value_parser = parse_spacing, conflicts_with = "labels")]
    spacing: Spacing,
}

impl PhantomArgs {
    /// Runs the command.
    pub fn run(&self) -> Result<()> {
        match &self.labels {
            Some(labels) => self.paint_cases(labels),
            None => self.invent(),
        }
    }

    fn invent(&self) -> Result<()> {
        let patient = WholePatient {
            slices: self.slices,
            size: self.size,
            spacing: self.spacing,
            seed: self.seed,
        };
        if Path::new(&self.name).components().count() != 1 || self.name.starts_with('.') {
            bail!(
                "--name is `{}`; it must be a plain folder name such as case_sample",
                self.name
            );
        }
        let made = patient.make(&self.out, &self.name)?;
        println!(
            "{}: {}",
            self.out.join(&self.name).display(),
            describe(&made)
        );
        next::after_invented(&self.out.join(&self.name)).say();
        Ok(())
    }

    fn paint_cases(&self, labels: &Path) -> Result<()> {
        let recipe = LabelDriven {
            size: self.size,
            slices: self.slices_per_case,
            seed: self.seed,
        };
        recipe.check()?;
        let (cases, reserved) = self.choose(labels)?;
        for case in &cases {
            refuse_existing(&self.out.join(&case.name))?;
        }
        println!(
            "painting {} cases; {reserved} reserved for evaluation are left out",
            cases.len()
        );
        let console = Console::new();
        console.start("painting", cases.len());
        let made = phantom::paint(&recipe, &cases, &self.out, &|name| console.step(name));
        console.finish();
        let made = made?;
        let slices: usize = made.iter().map(|case| case.slices).sum();
        let clipped = made
            .iter()
            .filter(|case| case.storage == Storage::Clipped)
            .count();
        println!(
            "{}: {slices} slices in {} cases, {clipped} of them clipped to 0..255 HU",
            self.out.display(),
            made.len()
        );
        next::after_phantom(&self.out).say();
        Ok(())
    }

    /// The cases to paint, and how many were left out because they are reserved.
    fn choose(&self, labels: &Path) -> Result<(Vec<LabelCase>, usize)> {
        let parse = |text: &Option<String>, option| match text {
            Some(text) => Cases::parse(text, option),
            None => Ok(Cases::default()),
        };
        let wanted = parse(&self.cases, "--cases")?;
        let unwanted = parse(&self.exclude, "--exclude")?;
        if let Some(name) = wanted.named.iter().find(|name| is_reserved(name)) {
            bail!(
                "{name} is reserved for evaluation, and nothing may be trained on its labels; take it out of --cases"
            );
        }
        let mut reserved = 0;
        let mut cases = Vec::new();
        for case in phantom::label_cases(labels)? {
            if self.cases.is_some() && !wanted.hold(&case.name) || unwanted.hold(&case.name) {
                continue;
            }
            if is_reserved(&case.name) {
                reserved += 1;
                continue;
            }
            cases.push(case);
        }
        if let Some(name) = wanted
            .named
            .iter()
            .find(|name| !cases.iter().any(|case| case.name == **name))
        {
            bail!(
                "--cases names {name}, which is excluded or has no segmentation.nii.gz in {}",
                labels.display()
            );
        }
        if cases.is_empty() {
            bail!(
                "no case to paint in {}; it must hold folders such as case_00000 with a segmentation.nii.gz, not all excluded",
                labels.display()
            );
        }
        Ok((cases, reserved))
    }
}

fn parse_spacing(text: &str) -> Result<Spacing, String> {
    let numbers: Vec<f64> = text
        .split(',')
        .map(|number| {
            number
                .trim()
                .parse()
                .map_err(|_| format!("`{number}` is not a number of millimetres"))
        })
        .collect::<Result<_, _>>()?;
    match numbers[..] {
        [slice_mm, row_mm, col_mm] => {
            Spacing::new(slice_mm, row_mm, col_mm).map_err(|e| e.to_string())
        }
        _ => Err("three numbers are needed: slice,row,column, such as 5,1.6,1.6".to_owned()),
    }
}

fn describe(made: &CaseSummary) -> String {
    let [kidney, tumour] = made.pixels;
    format!(
        "{} slices, {kidney} voxels of kidney, {tumour} of tumour",
        made.slices
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spacing_is_three_lengths() {
        let spacing = parse_spacing("5, 1.6,1.6").unwrap();
        assert_eq!((spacing.slice_mm, spacing.row_mm), (5.0, 1.6));
        for wrong in ["5,1.6", "5,1.6,x", "5,0,1", "", "nan,1,1"] {
            assert!(parse_spacing(wrong).is_err(), "{wrong}");
        }
    }
}
