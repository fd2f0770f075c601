//! `nephrotrain augment-preview`: what an augmentation does to a real slice, to be looked at before a run.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use nephrobox_imaging::{LabelReader, ScanReader};
use nephrobox_shared::preprocess::Preprocess;

use super::next;
use crate::augment::{Augmentation, Sample, Spare, Step, Transform};
use crate::closed_form::Stream;
use crate::data::{DEFAULT_SEED, Prepared, Split};
use crate::plots::sheet::{self, Row};
use crate::train::Settings;

/// Draw a contact sheet of each transform of an augmentation on a real slice
#[derive(Debug, Args)]
#[command(
    after_help = "The sheet's first row is the slice itself; then comes a row for each transform on its own, always applied;\n\
    the last rows are the whole pipeline with its own chances, as a training epoch would see it. Labels are outlined.\n\n\
    Examples:\n  \
    nephrotrain augment-preview --data PREPARED --out augment.png\n  \
    nephrotrain augment-preview --data PREPARED --augment library --all --out library.png\n  \
    nephrotrain augment-preview --scan case_00003/imaging.nii.gz --slice 74 --config run.toml --out augment.png"
)]
pub struct AugmentPreviewArgs {
    /// Prepared training set
    #[arg(
        long,
        value_name = "PREPARED",
        required_unless_present = "scan",
        conflicts_with = "scan"
    )]
    data: Option<PathBuf>,
    /// A scan in NIfTI; its labels are taken from segmentation.nii.gz beside it, if there is one
    #[arg(long, value_name = "FILE")]
    scan: Option<PathBuf>,
    /// Labels of the scan
    #[arg(long, value_name = "FILE", requires = "scan")]
    labels: Option<PathBuf>,
    /// Case of the prepared set [default: the one that shows most tumour]
    #[arg(long, value_name = "NAME", conflicts_with = "scan")]
    case: Option<String>,
    /// Slice number in its volume [default: the one that shows most tumour, or else kidney]
    #[arg(long, value_name = "N")]
    slice: Option<usize>,
    /// PNG file to write
    #[arg(long, value_name = "SHEET.png")]
    out: PathBuf,
    /// none, library, ct, small-data, or a TOML file (see docs/augmentation.md)
    #[arg(long, visible_alias = "preset", default_value = "ct")]
    augment: String,
    /// Take the augmentation and its share from a run's settings file instead
    #[arg(long, value_name = "FILE.toml", conflicts_with = "augment")]
    config: Option<PathBuf>,
    /// Show the transforms that the augmentation does not have too, with the library's defaults
    #[arg(long)]
    all: bool,
    /// How often each is drawn
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u8).range(1..=20))]
    draws: u8,
    /// Seed of the draws
    #[arg(long, value_name = "N", default_value_t = DEFAULT_SEED)]
    seed: u64,
}

impl AugmentPreviewArgs {
    /// Runs the command.
    pub fn run(&self) -> Result<()> {
        let (augmentation, name) = self.augmentation()?;
        augmentation.check()?;
        let (sample, source) = self.sample()?;
        let rows = self.rows(&augmentation, &sample);
        let heading = format!("augmentation {name} on {source}");
        sheet::draw(&self.out, &heading, &rows)?;
        println!("{}", self.out.display());
        let data = self.data.as_deref();
        next::after_preview(data, self.config.as_deref(), &self.augment).say();
        Ok(())
    }

    /// The augmentation, and how to call it.
    fn augmentation(&self) -> Result<(Augmentation, String)> {
        let Some(path) = &self.config else {
            let augmentation = Augmentation::named(&self.augment, 0.75)?;
            return Ok((augmentation, self.augment.clone()));
        };
        let mut settings = Settings::read(path)?;
        // Where the data lie does not matter here, so a file without that is as good.
        settings.data.get_or_insert_with(|| ".".into());
        Ok((
            settings.resolve()?.augmentation,
            format!("of {}", path.display()),
        ))
    }

    /// The slice, and where it is from.
    fn sample(&self) -> Result<(Sample, String)> {
        match (&self.data, &self.scan) {
            (Some(data), _) => self.prepared_slice(&Prepared::open(data)?),
            (None, Some(scan)) => self.scan_slice(scan),
            (None, None) => bail!("name a prepared set with --data, or a scan with --scan"),
        }
    }

    fn prepared_slice(&self, data: &Prepared) -> Result<(Sample, String)> {
        let wanted = |&index: &u32| {
            let meta = data.meta(index);
            let case = &data.cases()[meta.case as usize].name;
            self.case.as_ref().is_none_or(|name| name == case)
                && self.slice.is_none_or(|slice| slice == meta.slice as usize)
                // Unless it is asked for, a slice that is not trained on stays unseen.
                && (self.case.is_some() || meta.split == Split::Train)
        };
        let shows = |index: &u32| {
            let [_, kidney, tumour] = data.meta(*index).counts;
            (tumour, kidney)
        };
        let index = (0..data.len() as u32).filter(wanted).max_by_key(shows);
        let index = index.with_context(|| {
            let case = self.case.as_deref().unwrap_or("any training case");
            let slice = self.slice.map_or(String::new(), |n| format!(" with slice {n}"));
            format!(
                "{} has no prepared slice of {case}{slice}; its slices are listed in index.json there",
                data.folder().display()
            )
        })?;
        let (image, labels) = (data.image(index).to_vec(), data.labels(index).to_vec());
        let sample = Sample::new(data.side(), data.side(), image, labels);
        Ok((sample, data.name(index)))
    }

    fn scan_slice(&self, path: &Path) -> Result<(Sample, String)> {
        let mut scan = ScanReader::open(path)?;
        let [slices, rows, cols] = scan.geometry().shape();
        let beside = path.with_file_name("segmentation.nii.gz");
        let labels = self
            .labels
            .clone()
            .or_else(|| beside.is_file().then_some(beside));
        let mut map = vec![0_u8; rows * cols];
        let slice = match labels {
            None => self.slice.unwrap_or(slices / 2),
            Some(labels) => {
                let mut reader = LabelReader::open(&labels)?;
                scan.check_labels(&reader)?;
                let slice = match self.slice {
                    Some(slice) => slice,
                    None => most_labelled(&mut reader, &mut map)?,
                };
                reader.read_slice(slice, &mut map)?;
                slice
            }
        };
        let mut hu = vec![0_i16; rows * cols];
        scan.read_slice(slice, &mut hu)?;
        let preprocess = Preprocess::default();
        let pixels = preprocess.rows * preprocess.cols;
        let (mut image, mut small) = (vec![0.0; pixels], vec![0; pixels]);
        preprocess.image(&hu, rows, cols, &mut image)?;
        preprocess.labels(&map, rows, cols, &mut small)?;
        let sample = Sample::new(preprocess.rows, preprocess.cols, image, small);
        Ok((sample, format!("{} slice {slice}", path.display())))
    }

    fn rows(&self, augmentation: &Augmentation, sample: &Sample) -> Vec<Row> {
        let mut rows = vec![Row {
            title: "as it is".into(),
            samples: vec![sample.clone()],
        }];
        for step in &augmentation.steps {
            rows.push(self.alone(step.transform, step.chance, sample));
        }
        if self.all {
            let has = |transform: &Transform| {
                let same = |step: &Step| {
                    std::mem::discriminant(&step.transform) == std::mem::discriminant(transform)
                };
                augmentation.steps.iter().any(same)
            };
            for (_, transform) in Transform::all() {
                if !has(&transform) {
                    rows.push(self.alone(transform, 0.0, sample));
                }
            }
        }
        if !augmentation.steps.is_empty() {
            let percent = 100.0 * augmentation.share;
            for part in ["", ", more"] {
                let title = format!("the whole pipeline on {percent:.0} % of the slices{part}");
                rows.push(self.drawn(augmentation, title, sample));
            }
        }
        rows
    }

    /// A transform on its own, applied each time.
    fn alone(&self, transform: Transform, chance: f64, sample: &Sample) -> Row {
        let always = Augmentation {
            share: 1.0,
            steps: vec![Step {
                chance: 1.0,
                transform,
            }],
        };
        let place = if chance > 0.0 {
            format!("chance {chance}")
        } else {
            "not in this augmentation".into()
        };
        self.drawn(&always, format!("{transform}, {place}"), sample)
    }

    fn drawn(&self, augmentation: &Augmentation, title: String, sample: &Sample) -> Row {
        let mut spare = Spare::default();
        let draw = |number: u8| {
            let mut sample = sample.clone();
            let mut stream = Stream::new(&format!("{}/preview/{title}/{number}", self.seed));
            augmentation.apply(&mut sample, &mut spare, &mut stream);
            sample
        };
        let samples = (0..self.draws).map(draw).collect();
        Row { title, samples }
    }
}

/// The slice with most tumour, or else most kidney.
fn most_labelled(reader: &mut LabelReader, map: &mut [u8]) -> Result<usize> {
    let mut best = ((0, 0), reader.geometry().slices() / 2);
    while let Some(slice) = reader.next_slice(map)? {
        let count = |label: u8| map.iter().map(|&l| u32::from(l == label)).sum::<u32>();
        best = best.max(((count(2), count(1)), slice));
    }
    reader.rewind();
    Ok(best.1)
}
