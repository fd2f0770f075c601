//! `nephroctl send`: scans to the box, and their results back.
//!
//! [`send_and_fetch`] is the way of one scan; the command adds several scans, folders and words.

mod scan;

use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use nephrobox_link::client::{Client, Progress};
use nephrobox_link::message::{Reply, Request, ScanState, cut};

use self::scan::{Choice, Scan, find};
use crate::failure::{Exit, Failure, say};
use crate::line::{self, Line};
use crate::progress::Bar;
use crate::results::{self, Folder, LABELS, REPORT_JSON, ResultFile};

/// Shown after the options.
pub(crate) const EXAMPLES: &str = "\
Examples:
  nephroctl send ct.nii.gz                     # prints the report
  nephroctl send case_00001 --out results      # and keeps all results there
  nephroctl send a.nii.gz b.nii.gz --fast --out results
  nephroctl send ct.nii.gz --no-wait           # prints the id for `fetch`
  nephroctl send disc/DICOM --out results      # the CT series in a folder, searched 8 deep
  nephroctl send IM*.dcm --out results         # or the files of one
  nephroctl send disc/DICOM --series 2         # of several the second; --all sends every one

A DICOM series is packed into one temporary file (uncompressed tar, see TMPDIR) and sent as that; \
localisers, other objects and other files stay here.

What was interrupted goes on where it stopped when the same command is given again, and a scan \
that the box has done is not done twice. Without --out the results stay on the box; with it, the \
box may let go of them once they are safe there.";

/// How often the box is asked what became of a scan.
const PAUSE: Duration = Duration::from_millis(300);

/// Options of `nephroctl send`.
#[allow(clippy::struct_excessive_bools)] // switches of a command line
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The scans: NIfTI-1 files (.nii, .nii.gz), case folders with imaging.nii.gz, folders with a DICOM CT series or tars of one, or
    /// the files of one series.
    #[arg(required = true, value_name = "SCAN")]
    pub scans: Vec<PathBuf>,
    /// Of a DICOM folder with several series, send this one; numbers as listed without this option.
    #[arg(long, value_name = "N", conflicts_with = "all", value_parser = clap::value_parser!(u32).range(1..))]
    pub series: Option<u32>,
    /// Of a DICOM folder with several series, send every one as a scan of its own.
    #[arg(long)]
    pub all: bool,
    /// Look at a slice every 15 mm first, and closely only around kidneys.
    #[arg(long)]
    pub fast: bool,
    /// Write the results into this folder; of several scans each into a folder of its name in it.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Replace earlier results in the folder.
    #[arg(long, requires = "out")]
    pub force: bool,
    /// Send the scans, print their ids, and leave.
    #[arg(long, conflicts_with = "out")]
    pub no_wait: bool,
    /// How to reach the box.
    #[command(flatten)]
    pub line: Line,
}

/// How far a scan is on its way.
#[derive(Debug, Clone, Copy)]
pub enum Step<'a> {
    /// It is a series of files and is packed into one.
    Packing(Progress),
    /// It is sent.
    Sending(Progress),
    /// The box has it, and says what becomes of it.
    State(&'a ScanState),
    /// A result is fetched.
    Fetching(&'a str, Progress),
}

/// The results of a scan that has a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The scan's id on the box.
    pub id: String,
    /// `report.json`.
    pub report_json: Vec<u8>,
    /// `labels.nii.gz`.
    pub labels: Vec<u8>,
    /// All files of the results, those two among them.
    pub files: Vec<ResultFile>,
}

/// How a scan ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// It has a report.
    Finished,
    /// It is unusable, or stopped the box's worker twice; it has an error report.
    Unusable {
        /// `scan_refused` or `set_aside`.
        code: &'static str,
        /// Why.
        reason: String,
    },
}

/// Sends a scan, waits for the box to be done with it, and fetches its results. They stay on the box until [`confirm`].
///
/// # Errors
/// If the scan cannot be read, the box takes it not or finds it unusable, or it cannot be reached.
pub fn send_and_fetch(
    client: &mut Client,
    scan: &Path,
    fast: bool,
    heard: &mut dyn FnMut(Step<'_>),
) -> Result<Fetched, Failure> {
    let id = send(client, scan, fast, heard)?;
    match wait(client, &id, heard)? {
        Ended::Finished => fetch(client, &id, heard),
        Ended::Unusable { code, reason } => Err(unusable(code, &reason, &scan.display())),
    }
}

/// Sends a scan and returns its id on the box, which has it to stay then. `scan` is a NIfTI file, a case folder, or a folder, file or tar
/// with one DICOM series.
///
/// # Errors
/// If the scan cannot be read, or the box takes it not or cannot be reached.
pub fn send(
    client: &mut Client,
    scan: &Path,
    fast: bool,
    heard: &mut dyn FnMut(Step<'_>),
) -> Result<String, Failure> {
    Scan::find(scan)?.send(client, fast, heard)
}

/// Asks the box until it is done with a scan.
///
/// # Errors
/// If the box does not know the scan, or cannot be reached.
pub fn wait(
    client: &mut Client,
    id: &str,
    heard: &mut dyn FnMut(Step<'_>),
) -> Result<Ended, Failure> {
    loop {
        let Reply::Scan(state) = line::ask(client, &Request::Scan { scan: cut(id) })? else {
            return Err(line::nonsense("no word about the scan", client.endpoint()));
        };
        heard(Step::State(&state));
        let (code, reason) = match state {
            ScanState::Finished => return Ok(Ended::Finished),
            ScanState::Refused { reason } => ("scan_refused", reason),
            ScanState::SetAside { reason } => ("set_aside", reason),
            ScanState::Receiving { .. } | ScanState::Waiting { .. } | ScanState::Working { .. } => {
                sleep(PAUSE);
                continue;
            }
        };
        return Ok(Ended::Unusable {
            code,
            reason: reason.as_str().to_owned(),
        });
    }
}

/// Fetches the results of a scan that has a report.
///
/// # Errors
/// If they are not there or not whole, or the box cannot be reached.
pub fn fetch(
    client: &mut Client,
    id: &str,
    heard: &mut dyn FnMut(Step<'_>),
) -> Result<Fetched, Failure> {
    let files = results::fetch(client, id, &mut |name, progress| {
        heard(Step::Fetching(name, progress));
    })?;
    let bytes_of = |name: &str| {
        let file = files.iter().find(|file| file.name == name);
        file.map(|file| file.bytes.clone())
            .ok_or_else(|| results::missing(name, id))
    };
    Ok(Fetched {
        id: id.to_owned(),
        report_json: bytes_of(REPORT_JSON)?,
        labels: bytes_of(LABELS)?,
        files,
    })
}

/// Tells the box that the results are safe here, so that it may let go of them.
///
/// # Errors
/// If the box does not know the scan, or cannot be reached.
pub fn confirm(client: &mut Client, id: &str) -> Result<(), Failure> {
    match line::ask(client, &Request::Confirm { scan: cut(id) })? {
        Reply::Done => Ok(()),
        _ => Err(line::nonsense(
            "no word after a confirmation",
            client.endpoint(),
        )),
    }
}

/// Sends scans and brings their results.
///
/// Every scan goes its way whatever becomes of the others; the first that fails gives the exit code.
///
/// # Errors
/// If a scan cannot be read or sent, or is unusable, or its results cannot be written.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    let mut jobs = plan(args)?;
    let mut client = args.line.connect()?;
    let mut bar = Bar::new();
    let mut failures = Failures::default();
    // All are sent before the first is waited for: the box works while the next one comes in.
    for job in &mut jobs {
        let sent = job.scan.send(&mut client, args.fast, &mut |step| {
            show(&mut bar, &job.scan.label, step);
        });
        job.id = bar.aside(|| failures.note(sent));
    }
    for job in &jobs {
        let Some(id) = &job.id else { continue };
        let told = if args.no_wait {
            Ok(format!("{id}  {}\n", job.scan.place.display()))
        } else {
            bring(
                &mut client,
                job.folder.as_ref(),
                id,
                &job.scan.place.display(),
                &mut |step| {
                    show(&mut bar, &job.scan.label, step);
                },
            )
        };
        bar.aside(|| match failures.note(told) {
            Some(words) => say(out, &words),
            None => Ok(()),
        })?;
    }
    failures.first()
}

/// One scan of the command line.
#[derive(Debug)]
struct Job {
    scan: Scan,
    folder: Option<Folder>,
    id: Option<String>,
}

/// Checks all scans and folders before anything is sent.
fn plan(args: &Args) -> Result<Vec<Job>, Failure> {
    let choice = match args.series {
        Some(number) => Choice::Number(number as usize),
        None if args.all => Choice::All,
        None => Choice::Only,
    };
    let scans = find(&args.scans, choice)?;
    let several = scans.len() > 1;
    let mut jobs: Vec<Job> = Vec::with_capacity(scans.len());
    for scan in scans {
        scan.check()?;
        let folder = match &args.out {
            None => None,
            Some(out) if several => Some(Folder::check(&out.join(&scan.label), args.force)?),
            Some(out) => Some(Folder::check(out, args.force)?),
        };
        if folder.is_some() && jobs.iter().any(|job| job.folder == folder) {
            return Err(Failure::new(
                Exit::Usage,
                format_args!("two scans are called {}", scan.label),
                scan.place.display(),
                "send them one after the other with an --out of their own",
            ));
        }
        jobs.push(Job {
            scan,
            folder,
            id: None,
        });
    }
    Ok(jobs)
}

/// Waits for a scan, brings its results into the folder if there is one, and returns the report's text.
pub(crate) fn bring(
    client: &mut Client,
    folder: Option<&Folder>,
    id: &str,
    place: &dyn std::fmt::Display,
    heard: &mut dyn FnMut(Step<'_>),
) -> Result<String, Failure> {
    let ended = wait(client, id, heard)?;
    let files = match &ended {
        Ended::Finished => fetch(client, id, heard)?.files,
        Ended::Unusable { .. } => results::fetch(client, id, &mut |name, progress| {
            heard(Step::Fetching(name, progress));
        })?,
    };
    if let Some(folder) = folder {
        folder.put(&files)?;
        confirm(client, id)?;
    }
    if let Ended::Unusable { code, reason } = ended {
        return Err(unusable(code, &reason, place));
    }
    let mut words = results::text(&files).unwrap_or_default();
    let _ = match folder {
        Some(folder) => writeln!(words, "\nResults of {id}: {}", folder.path().display()),
        None => writeln!(
            words,
            "\nThe results stay on the box: nephroctl fetch {id} --out results"
        ),
    };
    Ok(words)
}

/// A scan that the box could not use.
fn unusable(code: &'static str, reason: &str, place: &dyn std::fmt::Display) -> Failure {
    let (what, remedy) = reason.rsplit_once("; ").unwrap_or((
        reason,
        "look at the scan, and export it again as one 3-D NIfTI-1 file",
    ));
    Failure::new(Exit::Unfit, what, place, remedy).coded(code)
}

/// Shows how far a scan is.
pub(crate) fn show(bar: &mut Bar, name: &str, step: Step<'_>) {
    match step {
        Step::Packing(progress) => bar.transfer(&format!("{name}: packing"), progress),
        Step::Sending(progress) => bar.transfer(&format!("{name}: sending"), progress),
        Step::State(state) => bar.scan(name, state),
        Step::Fetching(file, progress) => {
            bar.transfer(&format!("{name}: fetching {file}"), progress);
        }
    }
}

/// Collects what fails; all but the first, which `main` tells, are told at once.
#[derive(Default)]
struct Failures(Option<Failure>);

impl Failures {
    fn note<T>(&mut self, result: Result<T, Failure>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(failure) => {
                if self.0.is_some() {
                    eprintln!("{failure}");
                } else {
                    self.0 = Some(failure);
                }
                None
            }
        }
    }

    fn first(self) -> Result<(), Failure> {
        self.0.map_or(Ok(()), Err)
    }
}
