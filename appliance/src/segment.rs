//! `nephrobox segment`: one scan, one model package, one folder of results.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::builder::PossibleValuesParser;
use nephrobox_engine::cpu::{VARIABLE, f32, int8};
use nephrobox_engine::device;
use nephrobox_engine::executor::{self, Arithmetic, Event, Settings, Sharing, StartError};
use nephrobox_engine::package::{Loaded, Model};
use nephrobox_engine::scan::Visit;
use nephrobox_shared::report::{Change, Report};
use nephrobox_shared::words;

use crate::failure::{Exit, Failure, told};
use crate::job::{self, Options, Package};
use crate::output::{self, Destination};
use crate::{history, page, progress, scan, state_folder};

/// Shown after the options.
pub(crate) const EXAMPLES: &str = "\
Examples:
  nephrobox segment case_00000/imaging.nii.gz --model models/demo-resnet18.nbx --out results
  nephrobox segment case_00000 --model models/demo-resnet18.nbx --out results --force
  nephrobox segment disc/DICOM/series --model models/demo-resnet18.nbx --out results
  nephrobox segment slice-*.dcm --model models/demo-resnet18.nbx --out results
  nephrobox segment series.tar --model models/demo-resnet18.nbx --out results
  nephrobox segment scan.nii --model model.nbx --out results --device cpu --threads 4
  nephrobox segment scan.nii --model model.nbx --out results --fast
  nephrobox segment series --model model.nbx --out results --earlier results-of-march --fhir
  nephrobox segment scan.nii --model model.nbx --out results --device cuda --arithmetic f16

Written into the folder: the report as report.json, report.txt, report.png and report.pdf
(and fhir.json with --fhir), of a DICOM series segmentation.dcm, measurements.dcm,
picture.dcm and document.dcm, labels.nii.gz (the scan's own shape, axes and affine;
0 background, 1 kidney, 2 tumour), overlay-tumour.png, overlay-right-kidney.png,
overlay-left-kidney.png, overlay-key.png. A structure that was not found has no picture,
and the report says so. For research use only.";

/// Options of `nephrobox segment`.
#[allow(clippy::struct_excessive_bools)] // switches of a command line
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The scan: a NIfTI-1 file (.nii, .nii.gz), a case folder with imaging.nii.gz, a folder with a DICOM CT series or an uncompressed tar of one, or its files.
    #[arg(required = true)]
    pub scan: Vec<PathBuf>,
    /// The model package (.nbx).
    #[arg(long, value_name = "M.nbx")]
    pub model: PathBuf,
    /// Where the results go; made if it is not there.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Look coarsely first, then only where kidneys can be.
    ///
    /// The network is shown slices at most 15 mm apart, then all within two such steps of one that shows kidney or
    /// tumour; the others count as background. The report says which slices were visited.
    #[arg(long)]
    pub fast: bool,
    /// Write the report for programs that speak FHIR, too (fhir.json).
    #[arg(long)]
    pub fhir: bool,
    /// Keep a frame for every slice in the DICOM segmentation of a series, empty ones too.
    #[arg(long)]
    pub empty_frames: bool,
    /// Results of an earlier scan, to tell what changed: their folder or report.json.
    ///
    /// Only used if both scans name the same patient and this one's study is the later one.
    #[arg(long, value_name = "RESULTS")]
    pub earlier: Option<PathBuf>,
    /// Replace earlier results in the folder; files that nephrobox did not write stay.
    #[arg(long)]
    pub force: bool,
    /// How the network is run.
    #[command(flatten)]
    pub compute: Compute,
}

/// Where and how fast the network runs.
#[derive(Debug, Clone, clap::Args)]
pub struct Compute {
    /// The device; auto takes a GPU that is there and built in, else the CPU.
    #[arg(long, default_value = "auto", value_parser = PossibleValuesParser::new(device::NAMES))]
    pub device: String,
    /// CPU threads for the network; all cores if not given.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// What the network computes in; auto takes the package's integers on the CPU, and the faster of f32 and f16 on a GPU.
    #[arg(long, value_enum, default_value_t)]
    pub arithmetic: Numbers,
    /// Where the box keeps what speeds up its next start, such as kernels compiled for a GPU; ~/.cache/nephrobox if not given.
    #[arg(long, value_name = "DIR", env = "NEPHROBOX_STATE")]
    pub state: Option<PathBuf>,
}

/// What a person may ask the network to compute in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Numbers {
    /// What suits package and device best.
    #[default]
    Auto,
    /// Floating point of 32 bits.
    F32,
    /// Floating point of 16 bits; only GPUs have it.
    F16,
}

impl Numbers {
    /// The engine's word for it; `None` leaves it the choice.
    pub(crate) fn arithmetic(self) -> Option<Arithmetic> {
        match self {
            Self::Auto => None,
            Self::F32 => Some(Arithmetic::F32),
            Self::F16 => Some(Arithmetic::F16),
        }
    }
}

impl Compute {
    /// A choice for the engine.
    ///
    /// # Errors
    /// A state folder that was named and cannot be used.
    pub(crate) fn settings(&self, sharing: Sharing) -> Result<Settings, Failure> {
        Ok(Settings {
            device: self.device.clone(),
            threads: self.threads.map(usize::from),
            sharing,
            arithmetic: self.arithmetic.arithmetic(),
            caches: state_folder::folder(self.state.as_deref())?
                .map(|folder| folder.join(state_folder::KERNELS)),
        })
    }
}

/// Segments a scan and prints the main numbers.
///
/// # Errors
/// Anything wrong with scan, model, device or destination; before the work starts wherever it can be known then.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    let before = args.earlier.as_deref().map(history::read).transpose()?;
    let changed = |report: &Report| Change::between(before.as_ref()?, report);
    let options = Options {
        visit: if args.fast { Visit::Fast } else { Visit::Every },
        fhir: args.fhir,
        empty_frames: args.empty_frames,
        device: None,
        earlier: before.is_some().then_some(&changed),
    };
    let report = segment(
        &args.scan,
        &args.model,
        &args.out,
        args.force,
        options,
        &args.compute,
    )?;
    if before.is_some() && report.change.is_none() {
        say(
            out,
            "note: the earlier report is not of an earlier study of the same patient; nothing was compared\n",
        );
    }
    say(out, &summary(&report, &args.out));
    Ok(())
}

/// Checks everything that can be checked, then does the work with as many threads as asked for.
pub(crate) fn segment(
    scan: &[PathBuf],
    model: &Path,
    out: &Path,
    force: bool,
    options: Options<'_>,
    compute: &Compute,
) -> Result<Report, Failure> {
    let reader = scan::open_named(scan)?;
    let destination = Destination::check(out, force)?;
    let loaded = load(model)?;
    let manifest = loaded.model.manifest().clone();
    let mut progress = progress::on_stderr();
    let settings = compute.settings(Sharing::Slices)?;
    let mut hear = |event: Event| progress.stage(&event.to_string());
    let mut running = executor::start_with(loaded.model, &settings, &mut hear)
        .map_err(|error| not_started(&error, model, &compute.device))?;
    let package = Package {
        manifest: &manifest,
        hash: &loaded.hash.0,
        engine: &running.engine,
        notes: &[],
    };
    job::run(
        reader,
        &mut running.models,
        package,
        options,
        &destination,
        progress.as_mut(),
    )
}

/// Reads a model package.
pub(crate) fn load(model: &Path) -> Result<Loaded, Failure> {
    Model::load(model).map_err(|error| {
        told(
            Exit::Model,
            &error,
            model.display(),
            "name a model package (.nbx)",
        )
    })
}

/// What to tell of a model that does not run.
pub(crate) fn not_started(error: &StartError, model: &Path, device: &str) -> Failure {
    let model = model.display().to_string();
    match error {
        error if error.is_of_the_device() => told(
            Exit::Device,
            error,
            format!("--device {device}"),
            "use --device cpu",
        ),
        StartError::Kernels(error)
        | StartError::Integers(int8::NetworkError::Kernels(error))
        | StartError::Floats(f32::NetworkError::Kernels(error)) => {
            told(Exit::Device, error, VARIABLE, "leave the variable out")
        }
        StartError::Integers(int8::NetworkError::Threads(threads, _))
        | StartError::Floats(f32::NetworkError::Threads { threads, .. }) => told(
            Exit::Device,
            error,
            format!("--threads {threads}"),
            "ask for fewer threads",
        ),
        _ => told(
            Exit::Model,
            error,
            model,
            "use another model package, or make this one again",
        ),
    }
}

/// What a person wants to read in the terminal: numbers, warnings, and where the rest is.
pub(crate) fn summary(report: &Report, folder: &Path) -> String {
    let mut lines = vec![report.notice.clone(), String::new()];
    for warning in report.warnings.iter().take(5) {
        lines.push(format!("warning: {}", warning.message));
    }
    if report.warnings.len() > 5 {
        lines.push(format!(
            "warning: {} more are in {}",
            report.warnings.len() - 5,
            output::REPORT_JSON
        ));
    }
    if !report.warnings.is_empty() {
        lines.push(String::new());
    }
    lines.extend(page::result_table(report));
    lines.push(String::new());
    let visited = match &report.visited {
        Some(visited) if visited.slices < report.input.slices => {
            format!("{} of {}", visited.slices, report.input.slices)
        }
        _ => report.input.slices.to_string(),
    };
    lines.push(format!(
        "{visited} slices in {:.1} s with {} version {} ({})",
        report.timing.total_s,
        report.model.name,
        report.model.version,
        &report
            .model
            .blake3
            .get(..16)
            .unwrap_or(&report.model.blake3)
    ));
    lines.push(format!("results: {}", folder.display()));
    lines.push(format!("  {}", output::REPORT_JSON));
    lines.extend(
        report
            .outputs
            .iter()
            .map(|output| format!("  {}", output.file)),
    );
    lines.push(String::new());
    lines.join("\n")
}

/// Prints, so that nothing acts on a terminal, to a reader that may have gone away: the results are in place whether or not anyone listens.
pub(crate) fn say(out: &mut dyn Write, answer: &str) {
    let _ = out
        .write_all(words::lines(answer).as_bytes())
        .and_then(|()| out.flush());
}
