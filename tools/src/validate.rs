//! `nephroctl validate`: does the box in the field what its model's package says?
//!
//! The cases that were held back from training go through the box. Its label maps are scored on the very slices, at the very size
//! and with the very weights of the packed scores, and held against the workstation's own, voxel by voxel.
//!
//! ```text
//! package, fingerprint, split, scans ─► cases      which patients and slices were scored, all checked by hash
//! segmenter                          ─► answer     the box's label map of a scan
//! workstation                        ─► label map  the same package on this machine
//! measure                            ─► record     pixels by class, voxels that differ; kept, so that a broken run goes on
//! judge, bootstrap                   ─► outcome    PASS, DRIFT or FAIL of each class ─► text, JSON, one page of HTML
//! ```
//!
//! `docs/validation.md` has the measures, the rules and their reasons.

mod cases;
mod html;
mod interval;
mod judge;
mod line;
mod measure;
mod outcome;
mod records;
mod segmenter;
mod text;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use nephrobox_engine::executor::Arithmetic;
use nephrobox_imaging::files;
use nephrobox_shared::moment::rfc3339;

pub use cases::{Case, HeldBack, Volume};
pub use interval::{Bootstrap, CONFIDENCE, Interval, RESAMPLES, SEED};
pub use judge::{ClassVerdict, Compared, LIMIT, Verdict};
pub use measure::Measured;
pub use outcome::{CaseOutcome, Maps, Outcome, Rules};
pub use segmenter::{About, Answer, Segmenter, Workstation};

use crate::failure::{Exit, Failure, say, say_json, unwritable};
use crate::line::Line;
use crate::package::Package;
use crate::slots;
use records::{Key, Record, Store, write_json};

/// Shown after the options.
pub(crate) const EXAMPLES: &str = "\
Examples:
  nephroctl validate --data kits19/data --set prepared --split test --model kidney-3.nbx --out validation
  nephroctl validate --data a --data b --split test --model kidney-3.nbx --out validation --json

The data folders hold case_00000/imaging.nii.gz and segmentation.nii.gz and so on. The set is the folder that `nephrotrain
prepare` made, or one with a copy of its fingerprint.json and split.toml. The box must run the very package. In the
folder OUT: validation.html (one page to print and file), validation.json, validation.txt, and the box's label maps in
scans. A validation that broke off goes on when the same command is given again.

Ends with 0 for PASS, 11 for DRIFT, 12 for FAIL. For research use only.";

/// The page to file.
const PAGE: &str = "validation.html";

/// Options of `nephroctl validate`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// A folder of cases in the layout of KiTS19; may be given several times.
    #[arg(long, value_name = "DIR", required = true)]
    pub data: Vec<PathBuf>,
    /// The part of the patients; a package has scores of the test part only.
    #[arg(long, default_value = "test", value_parser = ["test"])]
    pub split: String,
    /// The package that the box runs (.nbx).
    #[arg(long, value_name = "PACKAGE")]
    pub model: PathBuf,
    /// The folder with fingerprint.json and split.toml; a data folder or the one above it if not given.
    #[arg(long, value_name = "DIR")]
    pub set: Option<PathBuf>,
    /// Where the results go; those of an earlier, broken-off run are used.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// How far a score may be from the packed one, in percentage points.
    #[arg(long, value_name = "POINTS", default_value_t = 0.1, value_parser = tolerance)]
    pub tolerance: f64,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// How to reach the box.
    #[command(flatten)]
    pub line: Line,
}

fn tolerance(text: &str) -> Result<f64, String> {
    let points = text.parse().ok();
    let sound = points.filter(|points| (0.0..=5.0).contains(points));
    sound.ok_or_else(|| "is no number from 0 to 5".to_owned())
}

/// Validates the box on the line.
///
/// # Errors
/// If data, package and box do not belong together or cannot be used, and with [`Exit::Drift`] or [`Exit::Failed`] if the
/// verdict is not PASS; the reports are written then, too.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    let job = Job::prepare(args)?;
    let mut on_line = line::BoxOnLine::new(args.line.connect()?);
    let now = SystemTime::now();
    let outcome = job.run(&mut on_line, now, &mut |words| eprintln!("{words}"))?;
    deliver(args, &outcome, out)
}

/// Writes the reports, prints one, and ends as the verdict says.
///
/// # Errors
/// If a report cannot be written, or the verdict is not PASS.
pub fn deliver(args: &Args, outcome: &Outcome, out: &mut dyn Write) -> Result<(), Failure> {
    let words = text::document(outcome);
    let page = args.out.join(PAGE);
    let json = args.out.join("validation.json");
    write_json(&json, outcome)?;
    for (path, bytes) in [
        (&args.out.join("validation.txt"), &words),
        (&page, &html::document(outcome)),
    ] {
        files::write(path, bytes.as_bytes()).map_err(|error| unwritable(path, &error))?;
    }
    if args.json {
        let bytes = std::fs::read_to_string(&json).map_err(|error| unwritable(&json, &error))?;
        say_json(out, &bytes)?;
    } else {
        say(out, &words)?;
    }
    let (exit, remedy) = match outcome.verdict {
        Verdict::Pass | Verdict::NotJudged => return Ok(()),
        Verdict::Drift => (
            Exit::Drift,
            "find out what differs before you use the box; docs/validation.md has what to look at",
        ),
        Verdict::Fail => (
            Exit::Failed,
            "do not use the box; docs/validation.md has what to look at",
        ),
    };
    let reason = outcome.reason();
    Err(Failure::new(
        exit,
        format_args!("{}: {reason}", outcome.verdict),
        page.display(),
        remedy,
    ))
}

/// A validation whose data and package are there and belong together.
#[derive(Debug)]
pub struct Job {
    package: Package,
    held_back: HeldBack,
    store: Store,
    model: PathBuf,
    tolerance: f64,
}

impl Job {
    /// Checks everything that can be checked without a box.
    ///
    /// # Errors
    /// If the package, the data or the results' folder cannot be used, or the data are not those of the packed scores.
    pub fn prepare(args: &Args) -> Result<Self, Failure> {
        let package = Package::open(&args.model, &[])?;
        let manifest = package.loaded.model.manifest();
        if manifest.scores.float.is_none() && manifest.scores.int8.is_none() {
            return Err(unscored("scores", &args.model));
        }
        let held_back = HeldBack::find(&args.data, args.set.as_deref(), manifest, &args.model)?;
        if held_back.options.preprocess != manifest.input.preprocess {
            return Err(Failure::new(
                Exit::Model,
                "the model takes slices prepared otherwise than those that it was scored on",
                args.model.display(),
                "export the model again",
            ));
        }
        Ok(Self {
            held_back,
            store: Store::open(&args.out)?,
            package,
            model: args.model.clone(),
            tolerance: args.tolerance / 100.0,
        })
    }

    /// The cases.
    pub fn held_back(&self) -> &HeldBack {
        &self.held_back
    }

    /// Sends what is not done yet through the box, measures and judges. `hear` is told of every scan.
    ///
    /// # Errors
    /// If the box runs another package, changes its package or arithmetic in the midst, or cannot do a scan.
    pub fn run(
        &self,
        segmenter: &mut dyn Segmenter,
        now: SystemTime,
        hear: &mut dyn FnMut(&str),
    ) -> Result<Outcome, Failure> {
        let hash = self.package.loaded.hash.to_string();
        let runs = slots::hex(&segmenter.package()?);
        if runs != hash {
            return Err(self.other_model(&runs, &segmenter.about()));
        }
        let total = self.held_back.volumes().count();
        let mut workstation = None;
        let mut records: Vec<Record> = Vec::with_capacity(total);
        for (case, volume) in self.held_back.volumes() {
            let key = Key::new(volume, &hash);
            let (record, how) = if let Some(record) = self.store.read(case, volume, &key) {
                (record, "done earlier")
            } else {
                let record = self.one(segmenter, &mut workstation, case, volume, key)?;
                (record, "done")
            };
            if let Some(first) = records.first()
                && first.arithmetic != record.arithmetic
            {
                return Err(Failure::new(
                    Exit::Input,
                    format_args!(
                        "the box computed in {} at first and in {} now",
                        first.arithmetic, record.arithmetic
                    ),
                    &case.name,
                    "see why it changed (`nephroctl logs`), and validate into another --out",
                ));
            }
            records.push(record);
            hear(&format!(
                "{}: {how}, {} of {total}",
                case.name,
                records.len()
            ));
        }
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        self.judge(segmenter.about(), &records, rfc3339(since))
    }

    /// One scan through the box, and on this machine.
    fn one(
        &self,
        segmenter: &mut dyn Segmenter,
        workstation: &mut Option<Workstation>,
        case: &Case,
        volume: &Volume,
        key: Key,
    ) -> Result<Record, Failure> {
        let answer = segmenter.segment(&volume.imaging, &case.name)?;
        let about = segmenter.about();
        if answer.package != self.package.loaded.hash.to_string() {
            return Err(self.other_model(&answer.package, &about));
        }
        if answer.scan != volume.imaging_blake3 {
            return Err(Failure::new(
                Exit::Line,
                format_args!(
                    "the box answered with the results of another scan than that of {}",
                    case.name
                ),
                about.line,
                "see with `nephroctl logs` what the box did, and give the same command again",
            )
            .coded("answer"));
        }
        if answer.skipped > 0 {
            return Err(Failure::new(
                Exit::Refused,
                format_args!(
                    "the box left out {} slices of {}, and the packed scores are of all",
                    answer.skipped, case.name
                ),
                about.line,
                "set `compute.fast = false` in the box's configuration while it is validated",
            ));
        }
        let labels = self.store.labels(case, volume);
        files::write(&labels, &answer.labels).map_err(|error| unwritable(&labels, &error))?;
        let workstation = match workstation {
            Some(running) => running,
            none => {
                let model = self.package.loaded.model.clone();
                none.insert(Workstation::start(model, answer.arithmetic, &self.model)?)
            }
        };
        let expected = workstation.label(&volume.imaging)?;
        let options = &self.held_back.options;
        let record = Record {
            key,
            arithmetic: answer.arithmetic.name().to_owned(),
            seconds: answer.seconds,
            measured: measure::measure(options, &case.name, volume, &labels, &expected)?,
        };
        self.store.write(case, volume, &record)?;
        segmenter.confirm()?;
        Ok(record)
    }

    fn judge(&self, about: About, records: &[Record], made: String) -> Result<Outcome, Failure> {
        let internal = |what: &str| {
            let remedy = "delete the folder scans in --out, and validate again";
            Failure::new(Exit::Internal, what, self.model.display(), remedy)
        };
        let arithmetic = records
            .first()
            .and_then(|record| Arithmetic::named(&record.arithmetic))
            .ok_or_else(|| internal("the records of the scans make no sense"))?;
        let manifest = self.package.loaded.model.manifest();
        let packed = arithmetic
            .scores(&manifest.scores)
            .ok_or_else(|| unscored(&format!("scores in {}", arithmetic.name()), &self.model))?;
        Ok(outcome::judge(outcome::Found {
            about,
            made,
            manifest,
            hash: self.package.loaded.hash.to_string(),
            held_back: &self.held_back,
            records,
            arithmetic,
            packed,
            tolerance: self.tolerance,
        }))
    }

    fn other_model(&self, runs: &str, about: &About) -> Failure {
        Failure::new(
            Exit::Model,
            format_args!(
                "the box runs the package {}, and {} is {}",
                cases::short(runs),
                self.model.display(),
                cases::short(&self.package.loaded.hash.to_string())
            ),
            &about.line,
            "give --model the package that the box runs, or install this one with `nephroctl flash`",
        )
        .coded("other_model")
    }
}

fn unscored(what: &str, model: &Path) -> Failure {
    Failure::new(
        Exit::Model,
        format_args!("the package has no {what} to compare with"),
        model.display(),
        "export the model again from a run with a test split",
    )
}
