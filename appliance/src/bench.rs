//! `nephrobox bench`: how fast a model is on this machine, and how near to what the processor can do.

use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use nephrobox_engine::cpu::int8;
use nephrobox_engine::executor::{self, Arithmetic, Engine, Event, Running, Sharing};
use nephrobox_engine::model::SliceModel;
use nephrobox_engine::package::Model;
use nephrobox_imaging::files;
use nephrobox_shared::words;
use serde::Serialize;

use crate::failure::{Exit, Failure, told};
use crate::segment::{Compute, load, not_started, say};

/// Shown after the options.
pub(crate) const EXAMPLES: &str = "\
Examples:
  nephrobox bench models/demo-resnet18.nbx
  nephrobox bench model.nbx --threads 1 --runs 50 --json
  NEPHROBOX_KERNELS=portable nephrobox bench models/demo-resnet18.nbx --runs 3

Latency is that of one slice with all threads on it, from the image to the label map. Slices
a second, and the whole scan, are with a slice on every thread, or full batches on a GPU. The int8 peak is what the
processor's registers can multiply when nothing else is to be done, measured at the same time.";

/// Slices of the whole scan: a KiTS19 case has 216 on average.
pub(crate) const SCAN: usize = 216;

/// The longest file of slices that is read, in bytes: 1,000 slices of 512 x 512 pixels.
const MOST_BYTES: u64 = 1 << 30;

/// Options of `nephrobox bench`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The model package (.nbx).
    pub model: PathBuf,
    /// Timed slices.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub runs: u32,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    pub json: bool,
    /// Slices to run, as f32 in 0 to 1, little-endian, one after the other at the model's size; else an invented pattern.
    #[arg(long, value_name = "FILE")]
    pub slices: Option<PathBuf>,
    /// Write the label maps of --slices, a byte for each pixel, and do nothing else.
    #[arg(long, value_name = "FILE", requires = "slices", conflicts_with_all = ["pipe", "json"])]
    pub labels: Option<PathBuf>,
    /// For scripts that compare programs by turns: for each line with a number on standard input run as many slices and print
    /// their milliseconds as a JSON list.
    #[arg(long, conflicts_with = "json")]
    pub pipe: bool,
    /// How the network is run.
    #[command(flatten)]
    pub compute: Compute,
}

/// What was measured. Numbers carry their unit in their name.
#[derive(Debug, Serialize)]
struct Measured {
    model: String,
    version: u64,
    engine: String,
    device: &'static str,
    arithmetic: &'static str,
    kernels: Option<&'static str>,
    threads: usize,
    load_ms: f64,
    first_label_map_ms: f64,
    runs: usize,
    latency_least_ms: f64,
    latency_median_ms: f64,
    latency_p95_ms: f64,
    slices_per_s: f64,
    scan_slices: usize,
    scan_s: f64,
    peak_memory_mib: Option<f64>,
    /// Additions and multiplications done.
    gop_per_slice: Option<f64>,
    int8_peak_gop_per_s: Option<f64>,
    /// Of the fastest slice.
    share_of_int8_peak: Option<f64>,
}

/// Measures a model and prints what was found.
///
/// # Errors
/// A model or device that cannot be used, slices that do not fit, a file that cannot be written.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    let begun = Instant::now();
    let loaded = load(&args.model)?;
    let manifest = loaded.model.manifest();
    let (name, version) = (manifest.name.clone(), manifest.version);
    let slices = Slices::open(args, &loaded.model)?;
    let mut running = start(args, loaded.model, Sharing::OneSlice, None)?;
    let load_ms = ms(begun);
    if args.pipe {
        return pipe(args, &mut running, &slices, out);
    }
    if let Some(path) = &args.labels {
        return label(args, &mut running, &slices, path);
    }

    let mut labels = vec![0; slices.pixels];
    once(args, &mut running, &slices, 0, &mut labels)?;
    let first_label_map_ms = ms(begun);
    let peak = peak(&running.engine);
    let mut times = Vec::with_capacity(args.runs as usize);
    for run in 0..args.runs as usize {
        times.push(once(args, &mut running, &slices, run, &mut labels)?);
    }
    times.sort_by(f64::total_cmp);
    let (macs, engine) = (running.macs, running.engine.clone());
    drop(running);
    let runs = (args.runs as usize).min(SCAN);
    let scan_s = throughput(args, &slices, runs, &engine)? * SCAN as f64;
    let gop = macs.map(|macs| 2.0 * macs as f64 / 1e9);
    let measured = Measured {
        model: name,
        version,
        engine: engine.to_string(),
        device: engine.device,
        arithmetic: engine.arithmetic.name(),
        kernels: engine.kernels.map(nephrobox_engine::cpu::KernelSet::name),
        threads: engine.threads,
        load_ms,
        first_label_map_ms,
        runs: times.len(),
        latency_least_ms: times[0],
        latency_median_ms: times[times.len() / 2],
        latency_p95_ms: times[(times.len() * 95).div_ceil(100) - 1],
        slices_per_s: SCAN as f64 / scan_s,
        scan_slices: SCAN,
        scan_s,
        peak_memory_mib: peak_memory_mib(),
        gop_per_slice: gop,
        int8_peak_gop_per_s: peak.map(|peak| peak / 1e9),
        share_of_int8_peak: gop
            .zip(peak)
            .map(|(gop, peak)| gop * 1e9 / (times[0] / 1e3) / peak),
    };
    if args.json {
        let text = serde_json::to_string(&measured).unwrap_or_default();
        say(out, &words::json(&format!("{text}\n")));
    } else {
        say(out, &table(&measured));
    }
    Ok(())
}

/// Starts a model; a second time on what ran it the first time, so that the same is measured.
fn start(
    args: &Args,
    model: Model,
    sharing: Sharing,
    before: Option<&Engine>,
) -> Result<Running, Failure> {
    let mut settings = args.compute.settings(sharing)?;
    if let Some(engine) = before {
        engine.device.clone_into(&mut settings.device);
        settings.arithmetic = Some(engine.arithmetic);
    }
    let mut hear = |event: Event| eprintln!("{event}");
    executor::start_with(model, &settings, &mut hear)
        .map_err(|error| not_started(&error, &args.model, &args.compute.device))
}

fn ms(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

/// Milliseconds of one slice.
fn once(
    args: &Args,
    running: &mut Running,
    slices: &Slices,
    run: usize,
    labels: &mut [u8],
) -> Result<f64, Failure> {
    let start = Instant::now();
    segment(args, running.models[0].as_mut(), slices, run, labels)?;
    Ok(ms(start))
}

/// Labels `labels` full of slices, from number `run` on.
fn segment(
    args: &Args,
    model: &mut dyn SliceModel,
    slices: &Slices,
    run: usize,
    labels: &mut [u8],
) -> Result<(), Failure> {
    let count = labels.len() / slices.pixels;
    let joined;
    let images = if count == 1 {
        slices.get(run)
    } else {
        joined = (run..run + count)
            .flat_map(|run| slices.get(run))
            .copied()
            .collect::<Vec<f32>>();
        &joined
    };
    model.segment(images, count, labels).map_err(|error| {
        told(
            Exit::Device,
            &error,
            format!("--device {}", args.compute.device),
            "use --device cpu",
        )
    })
}

/// Seconds for a slice when every thread works on slices of its own, and a GPU on as many at once as it likes.
fn throughput(args: &Args, slices: &Slices, runs: usize, before: &Engine) -> Result<f64, Failure> {
    let model = load(&args.model)?.model;
    let mut running = start(args, model, Sharing::Slices, Some(before))?;
    let workers = running.models.len();
    let batch = running.models[0].batch().max(1);
    let each = runs.div_ceil(workers * batch);
    let start = Instant::now();
    std::thread::scope(|scope| {
        let work = running.models.iter_mut().map(|model| {
            scope.spawn(move || {
                let mut labels = vec![0; batch * slices.pixels];
                (0..each).try_for_each(|run| {
                    segment(args, model.as_mut(), slices, run * batch, &mut labels)
                })
            })
        });
        let work: Vec<_> = work.collect();
        work.into_iter().try_for_each(|thread| match thread.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })?;
    Ok(start.elapsed().as_secs_f64() / (each * workers * batch) as f64)
}

fn peak(engine: &Engine) -> Option<f64> {
    let kernels = engine
        .kernels
        .filter(|_| engine.arithmetic == Arithmetic::Int8)?;
    int8::peak(kernels, engine.threads).ok().flatten()
}

/// Runs as many slices as each line says, until there are no more lines.
fn pipe(
    args: &Args,
    running: &mut Running,
    slices: &Slices,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let mut labels = vec![0; slices.pixels];
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        let runs: usize = line.trim().parse().map_err(|_| {
            let what = format!("`{line}` is not a number of slices");
            Failure::new(
                Exit::Usage,
                what,
                "standard input",
                "write one number a line",
            )
        })?;
        // Not made for as many at once: the line may say any number.
        let mut times = Vec::new();
        for run in 0..runs {
            times.push(once(args, running, slices, run, &mut labels)?);
        }
        say(
            out,
            &words::json(&format!(
                "{}\n",
                serde_json::to_string(&times).unwrap_or_default()
            )),
        );
    }
    Ok(())
}

/// Labels every given slice.
fn label(args: &Args, running: &mut Running, slices: &Slices, path: &Path) -> Result<(), Failure> {
    let mut all = Vec::with_capacity(slices.images.len());
    let mut labels = vec![0; slices.pixels];
    for run in 0..slices.images.len() / slices.pixels {
        once(args, running, slices, run, &mut labels)?;
        all.extend_from_slice(&labels);
    }
    files::write(path, &all).map_err(|error| {
        told(
            Exit::Output,
            &error,
            path.display(),
            "check the path, the rights and the space left",
        )
    })
}

/// An image neither flat nor noise: a slow wave with a fast one on it.
pub(crate) fn invented(rows: usize, cols: usize) -> Vec<f32> {
    let wave = |i: usize| {
        let (row, col) = ((i / cols) as f32, (i % cols) as f32);
        0.5 + 0.3 * (row / 23.0).sin() * (col / 17.0).cos() + 0.2 * ((row + 2.0 * col) / 3.0).sin()
    };
    (0..rows * cols).map(wave).collect()
}

/// The images that are run, again and again.
struct Slices {
    images: Vec<f32>,
    pixels: usize,
}

impl Slices {
    fn open(args: &Args, model: &Model) -> Result<Self, Failure> {
        let preprocess = model.manifest().input.preprocess;
        let pixels = preprocess.rows * preprocess.cols;
        let Some(path) = &args.slices else {
            return Ok(Self {
                images: invented(preprocess.rows, preprocess.cols),
                pixels,
            });
        };
        let bytes = files::read(path, MOST_BYTES).map_err(|error| {
            told(
                Exit::Input,
                &error,
                path.display(),
                "check the path and the rights",
            )
        })?;
        if bytes.is_empty() || bytes.len() % (4 * pixels) != 0 {
            return Err(Failure::new(
                Exit::Input,
                format!(
                    "{} bytes are no whole slices of {} x {} numbers",
                    bytes.len(),
                    preprocess.rows,
                    preprocess.cols
                ),
                path.display(),
                "write the slices as f32, at the size that `nephroctl inspect` gives for the model",
            ));
        }
        let images = bytes
            .as_chunks()
            .0
            .iter()
            .map(|&b| f32::from_le_bytes(b))
            .collect();
        Ok(Self { images, pixels })
    }

    fn get(&self, run: usize) -> &[f32] {
        let count = self.images.len() / self.pixels;
        &self.images[run % count * self.pixels..][..self.pixels]
    }
}

/// Most memory this process has had, where the system tells.
fn peak_memory_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024.0)
}

fn table(m: &Measured) -> String {
    let mut lines = vec![
        format!("{} version {}, {}", m.model, m.version, m.engine),
        String::new(),
        format!("  {:<34}{:>10.1} ms", "loaded after", m.load_ms),
        format!(
            "  {:<34}{:>10.1} ms",
            "first label map after", m.first_label_map_ms
        ),
        format!(
            "  {:<34}{:>10.2} ms   least {:.2}, 95 % below {:.2}, of {}",
            "one slice, median", m.latency_median_ms, m.latency_least_ms, m.latency_p95_ms, m.runs
        ),
        format!("  {:<34}{:>10.1} a second", "slices", m.slices_per_s),
        format!(
            "  {:<34}{:>10.1} s",
            format!("a scan of {} slices", m.scan_slices),
            m.scan_s
        ),
    ];
    if let Some(mib) = m.peak_memory_mib {
        lines.push(format!("  {:<34}{mib:>10.1} MiB", "most memory"));
    }
    if let (Some(gop), Some(peak), Some(share)) =
        (m.gop_per_slice, m.int8_peak_gop_per_s, m.share_of_int8_peak)
    {
        lines.push(format!(
            "  {:<34}{:>10.1} %    {gop:.1} Gop a slice, {peak:.0} Gop/s at most",
            "of this processor's int8 peak",
            100.0 * share
        ));
    }
    lines.push(String::new());
    lines.join("\n")
}
