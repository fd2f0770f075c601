//! `nephrotrain phantom`: synthetic CT, around real masks or wholly invented.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use nephrobox_shared::measure::Spacing;

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
    nephrotrain phantom --labels ../shared/data/kits19-labels --out few --cases 0..9 --exclude case_00003\n  \
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
    /// Only these cases: names, numbers or ranges such as 0..99 (both ends count), parted by commas
    #[arg(long, value_delimiter = ',', conflicts_with = "procedural")]
    cases: Vec<String>,
    /// Without these cases: as for --cases, or @FILE with one to a line
    #[arg(long, value_delimiter = ',', conflicts_with = "procedural")]
    exclude: Vec<String>,
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
        let wanted = Selection::parse(&self.cases, "--cases")?;
        let unwanted = Selection::parse(&self.exclude, "--exclude")?;
        if let Some(name) = wanted.names.iter().find(|name| is_reserved(name)) {
            bail!(
                "{name} is reserved for evaluation, and nothing may be trained on its labels; take it out of --cases"
            );
        }
        let mut reserved = 0;
        let mut cases = Vec::new();
        for case in phantom::label_cases(labels)? {
            if !self.cases.is_empty() && !wanted.holds(&case.name) || unwanted.holds(&case.name) {
                continue;
            }
            if is_reserved(&case.name) {
                reserved += 1;
                continue;
            }
            cases.push(case);
        }
        if let Some(name) = wanted
            .names
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

/// Cases by name and by range of numbers.
#[derive(Debug, Default)]
struct Selection {
    names: BTreeSet<String>,
    ranges: Vec<(u32, u32)>,
}

impl Selection {
    fn parse(items: &[String], option: &str) -> Result<Self> {
        let mut selection = Self::default();
        for item in items {
            if let Some(path) = item.strip_prefix('@') {
                let text = fs::read_to_string(path)
                    .with_context(|| format!("cannot read {path}, which {option} names"))?;
                for line in text.lines() {
                    let line = line.split('#').next().unwrap_or_default().trim();
                    if !line.is_empty() {
                        selection.add(line, option)?;
                    }
                }
            } else {
                selection.add(item.trim(), option)?;
            }
        }
        Ok(selection)
    }

    fn add(&mut self, item: &str, option: &str) -> Result<()> {
        if let Some((first, last)) = item.split_once("..") {
            let number = |text: &str| {
                text.parse::<u32>()
                    .with_context(|| format!("{option} holds `{item}`; a range looks like 0..99"))
            };
            self.ranges
                .push((number(first)?, number(last.trim_start_matches('='))?));
        } else if let Ok(number) = item.parse::<u32>() {
            self.names.insert(format!("case_{number:05}"));
        } else {
            self.names.insert(item.to_owned());
        }
        Ok(())
    }

    fn holds(&self, name: &str) -> bool {
        let number = name
            .strip_prefix("case_")
            .and_then(|number| number.parse::<u32>().ok());
        self.names.contains(name)
            || number.is_some_and(|number| {
                self.ranges
                    .iter()
                    .any(|&(first, last)| (first..=last).contains(&number))
            })
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

    fn selection(items: &[&str]) -> Result<Selection> {
        let items: Vec<String> = items.iter().map(|&item| item.to_owned()).collect();
        Selection::parse(&items, "--cases")
    }

    #[test]
    fn cases_are_chosen_by_name_number_range_and_file() {
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("list.txt");
        fs::write(&list, "case_00150 # held back\n\n7\n20..22\n").unwrap();
        let chosen =
            selection(&["case_00003", "4", "10..12", &format!("@{}", list.display())]).unwrap();
        for held in [3, 4, 7, 10, 11, 12, 20, 22, 150] {
            assert!(chosen.holds(&format!("case_{held:05}")), "{held}");
        }
        for other in ["case_00005", "case_00013", "case_sample", "4"] {
            assert!(!chosen.holds(other), "{other}");
        }
        assert!(selection(&["3..x"]).is_err());
        assert!(selection(&["@/no/such/list"]).is_err());
    }

    #[test]
    fn a_spacing_is_three_lengths() {
        let spacing = parse_spacing("5, 1.6,1.6").unwrap();
        assert_eq!((spacing.slice_mm, spacing.row_mm), (5.0, 1.6));
        for wrong in ["5,1.6", "5,1.6,x", "5,0,1", "", "nan,1,1"] {
            assert!(parse_spacing(wrong).is_err(), "{wrong}");
        }
    }
}
