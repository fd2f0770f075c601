//! One scan through the house: slices, labels, measures, and the files that tell about them.
//!
//! `segment` and the worker call [`run`]; tests call it with a [`SliceModel`] of their own. Everything that could refuse the
//! scan, the model or the destination has done so before. Memory: labels are held run-length coded, voxels only as the
//! reader holds them, and those are let go before the label volume is written.

use std::cmp::Reverse;
use std::fs::File;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use image::RgbImage;
use nephrobox_engine::executor::Engine;
use nephrobox_engine::model::{EngineError, Labeller, SliceModel};
use nephrobox_engine::scan::{self, ScanError, Visit};
use nephrobox_imaging::{Geometry, ScanReader, write_labels};
use nephrobox_shared::class::Class;
use nephrobox_shared::measure::{LabelMap, MeasureError, Side, Sides, measure};
use nephrobox_shared::package::Manifest;
use nephrobox_shared::report::{
    Change, EngineInfo, Findings, HuFindings, InputInfo, ModelInfo, OutputFile, ProgramInfo,
    RESEARCH_USE_NOTICE, Report, SCHEMA_VERSION, Timing, Warning,
};

use crate::failure::{Exit, Failure, sentence, told};
use crate::output::{self, Destination, Staging};
use crate::overlay::{self, Caption, OverlayError, OverlaySlice};
use crate::progress::Progress;
use crate::sheet::{self, Picture};
use crate::{fhir, page, scan as input, warnings};

/// The package that is to be run.
#[derive(Debug, Clone, Copy)]
pub struct Package<'a> {
    /// What it says about itself.
    pub manifest: &'a Manifest,
    /// Its identity.
    pub hash: &'a [u8; 32],
    /// What runs its network.
    pub engine: &'a Engine,
    /// What a report must say of how this package came to be run; it stands before the other warnings.
    pub notes: &'a [Warning],
}

/// Finds what changed since the last report of the same patient: from the box's results, as [`crate::history::last`] does, or from a report
/// that a person named.
pub type Earlier<'a> = &'a dyn Fn(&Report) -> Option<Change>;

/// What may differ from one scan to the next.
#[derive(Clone, Copy, Default)]
pub struct Options<'a> {
    /// Whether slices may be skipped.
    pub visit: Visit,
    /// Whether the report is written for programs that speak FHIR, too.
    pub fhir: bool,
    /// What the report is compared with; `None` compares nothing.
    pub earlier: Option<Earlier<'a>>,
}

impl std::fmt::Debug for Options<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Options")
            .field("visit", &self.visit)
            .field("fhir", &self.fhir)
            .field("earlier", &self.earlier.is_some())
            .finish()
    }
}

/// Segments a scan and puts report, label map and pictures in place. Returns the report.
///
/// `models` are copies of the package's network, each of which works in a thread of its own.
///
/// # Errors
/// Damage in the scan that only reading it to the end shows, a network or device that fails, a disk that refuses.
/// Nothing is left behind then.
pub fn run<M: SliceModel + Send>(
    mut reader: ScanReader,
    models: &mut [M],
    package: Package<'_>,
    options: Options<'_>,
    destination: &Destination,
    progress: &mut dyn Progress,
) -> Result<Report, Failure> {
    let began = Instant::now();
    let path = reader.path().to_owned();
    let geometry = reader.geometry().clone();
    let series: Vec<_> = reader.findings().to_vec();
    let blake3 = hash(&reader.files())?;

    let mut spent_s = vec![0.0; models.len()];
    let mut timed: Vec<_> = models
        .iter_mut()
        .zip(&mut spent_s)
        .map(|(model, spent_s)| timed(model, spent_s))
        .collect();
    let preprocess = &package.manifest.input.preprocess;
    let mut heard = |now: scan::Progress| {
        progress.slices(now.done, now.slices);
        if progress.stop() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    let segmented = scan::segment(
        &mut reader,
        &mut timed,
        preprocess,
        options.visit,
        &mut heard,
    )
    .map_err(|error| unsegmented(&path, &error))?;
    drop(timed);
    let network_s = spent_s.into_iter().fold(0.0, f64::max);
    let mut read_s = began.elapsed().as_secs_f64() - network_s;

    let measuring = Instant::now();
    let measures = measure(
        &segmented.labels,
        geometry.spacing(),
        segmented.midline.column(),
    )
    .map_err(|error| internal(&error, &path))?;
    let mut findings = Findings::new(&measures, &segmented.midline);
    let measure_s = measuring.elapsed().as_secs_f64();

    let rereading = Instant::now();
    let views = read_views(&mut reader, &findings, &path)?;
    drop(reader);
    let kidney_hu =
        kidney_mean_hu(&views, &segmented.labels).map_err(|error| internal(&error, &path))?;
    findings.hu = Some(HuFindings::new(&segmented.tones, kidney_hu));
    read_s += rereading.elapsed().as_secs_f64();

    progress.stage("writing the label map and the pictures");
    let writing = Instant::now();
    let staging = destination.stage()?;
    write_label_map(&staging, destination, &geometry, &segmented.labels)?;
    let manifest = package.manifest;
    let file = file_name(&path);
    let source = format!(
        "Scan {file}, model {} version {}",
        manifest.name, manifest.version
    );
    let pictures = Pictures {
        staging: &staging,
        destination,
        geometry: &geometry,
        labels: &segmented.labels,
    };
    let mut figures = Vec::new();
    for view in &views {
        let caption = view.caption(&findings, geometry.slices(), source.clone());
        pictures.write(view, view.file, |slice| overlay::draw(slice, &caption))?;
        figures.push((view.file, pictures.figure(view, &findings)?));
    }
    // It is one of the slices that were read for the others.
    let key = findings.key_slice();
    let key = views.iter().find(|view| Some(view.slice) == key);
    if let Some(view) = key {
        pictures.write(view, output::OVERLAY_KEY, overlay::draw_key)?;
    }
    let write_s = writing.elapsed().as_secs_f64();

    let scores = package.engine.arithmetic.scores(&manifest.scores);
    let info = ModelInfo::new(manifest, package.hash, scores);
    let mut warnings = package.notes.to_vec();
    warnings.extend(warnings::all(&findings, &geometry, &info, scores.is_some()));
    warnings.extend(warnings::series(&series));
    // The most serious first, for whoever reads only one.
    warnings.sort_by_key(|warning| Reverse(warning.severity));
    let mut report = Report {
        schema_version: SCHEMA_VERSION,
        notice: RESEARCH_USE_NOTICE.into(),
        program: ProgramInfo {
            name: env!("CARGO_PKG_NAME").into(),
            version: env!("CARGO_PKG_VERSION").into(),
        },
        warnings,
        model: info,
        engine: Some(engine_info(package.engine)),
        input: input_info(&path, &geometry, blake3),
        subject: None,
        visited: Some(segmented.visited),
        confidence: None,
        change: None,
        findings,
        outputs: outputs(&views, options.fhir),
        timing: Timing {
            read_s,
            network_s,
            measure_s,
            write_s,
            total_s: began.elapsed().as_secs_f64(),
        },
    };
    report.change = options.earlier.and_then(|earlier| earlier(&report));
    progress.stage("drawing the report");
    figures.sort_by_key(|(file, _)| IMPORTANCE.iter().position(|name| name == file));
    let figures: Vec<Picture> = figures.into_iter().map(|(_, figure)| figure).collect();
    let sheet = sheet::draw(&report, &figures).map_err(|error| internal(&error, &path))?;
    staging.write(output::REPORT_PNG, &sheet.png)?;
    staging.write(output::REPORT_PDF, &sheet.pdf)?;
    if options.fhir {
        staging.write(output::FHIR, &fhir::write(&report))?;
    }
    staging.write(output::REPORT_TEXT, page::write(&report).as_bytes())?;
    let mut json = serde_json::to_vec_pretty(&report).map_err(|error| internal(&error, &path))?;
    json.push(b'\n');
    staging.write(output::REPORT_JSON, &json)?;
    staging.commit()?;
    Ok(report)
}

/// A model that adds the seconds it takes.
fn timed<M: SliceModel>(model: &mut M, spent_s: &mut f64) -> impl SliceModel {
    Labeller::new(model.shape(), |images, batch, labels| {
        let began = Instant::now();
        let result = model.segment(images, batch, labels);
        *spent_s += began.elapsed().as_secs_f64();
        result
    })
}

/// A slice that is to be shown.
struct View {
    file: &'static str,
    title: String,
    slice: usize,
    hu: Vec<i16>,
}

impl View {
    fn caption(&self, findings: &Findings, slices: usize, source: String) -> Caption {
        let areas = findings.areas(self.slice);
        Caption {
            title: self.title.clone(),
            slice: self.slice,
            slices,
            kidney_area_mm2: Sides {
                right: areas.right.kidney_area_mm2,
                left: areas.left.kidney_area_mm2,
            },
            tumour_area_mm2: Sides {
                right: areas.right.tumour_area_mm2,
                left: areas.left.tumour_area_mm2,
            },
            source,
        }
    }
}

/// Reads the slices worth a picture, each structure's that was found, in the file's own order so that a compressed file
/// is inflated once.
fn read_views(
    reader: &mut ScanReader,
    findings: &Findings,
    path: &Path,
) -> Result<Vec<View>, Failure> {
    let kidney = |side: Side| {
        let file = match side {
            Side::Right => output::OVERLAY_RIGHT,
            Side::Left => output::OVERLAY_LEFT,
        };
        let title = match side {
            Side::Right => "Right kidney, middle slice",
            Side::Left => "Left kidney, middle slice",
        };
        (file, title, findings.sides.get(side).mid_kidney_slice)
    };
    let tumour = (
        output::OVERLAY_TUMOUR,
        "Largest tumour slice",
        findings.peak_tumour_slice,
    );
    let mut wanted: Vec<_> = [tumour, kidney(Side::Right), kidney(Side::Left)]
        .into_iter()
        .filter_map(|(file, title, slice)| slice.map(|slice| (file, title, slice)))
        .collect();
    wanted.sort_by_key(|&(_, _, slice)| slice);
    // A file whose slices run towards the head begins with the last canonical slice.
    if reader.geometry().codes().ends_with('S') {
        wanted.reverse();
    }
    let pixels = reader.geometry().slice_len();
    wanted
        .into_iter()
        .map(|(file, title, slice)| {
            let mut hu = vec![0; pixels];
            reader
                .read_slice(slice, &mut hu)
                .map_err(|error| input::unusable(path, &error))?;
            Ok(View {
                file,
                title: title.to_owned(),
                slice,
                hu,
            })
        })
        .collect()
}

/// Mean HU of what is outlined as kidney in the slices that were read for the pictures; `None` without any. A slice that
/// two pictures show counts twice, which does no harm to a mean of the kidney's middle.
fn kidney_mean_hu(views: &[View], labels: &LabelMap) -> Result<Option<f64>, MeasureError> {
    let (mut sum, mut pixels) = (0_i64, 0_u64);
    for view in views {
        for run in labels.runs(view.slice)? {
            if run.class == Class::Kidney {
                let row = usize::from(run.row) * labels.cols();
                let hu = &view.hu[row + usize::from(run.start)..row + usize::from(run.end)];
                sum += hu.iter().map(|&hu| i64::from(hu)).sum::<i64>();
                pixels += run.pixels();
            }
        }
    }
    Ok((pixels > 0).then(|| sum as f64 / pixels as f64))
}

fn write_label_map(
    staging: &Staging,
    destination: &Destination,
    geometry: &Geometry,
    labels: &LabelMap,
) -> Result<(), Failure> {
    // A slice that is missing would be a fault of the engine; `measure` has already refused it.
    let mut missing = None;
    let written = write_labels(
        &staging.path(output::LABELS),
        geometry,
        &mut |slice, out| {
            if let Err(error) = labels.read(slice, out) {
                missing = Some(error);
            }
        },
    );
    let place = destination.folder().join(output::LABELS);
    written.map_err(|error| {
        told(
            Exit::Output,
            &error,
            place.display(),
            "check the folder and its disk, or name another folder with --out",
        )
    })?;
    missing.map_or(Ok(()), |error| Err(internal(&error, &place)))
}

/// What all pictures of a result share.
struct Pictures<'a> {
    staging: &'a Staging,
    destination: &'a Destination,
    geometry: &'a Geometry,
    labels: &'a LabelMap,
}

impl Pictures<'_> {
    /// Draws a slice with its outlines and writes it as PNG.
    fn write(
        &self,
        view: &View,
        file: &str,
        draw: impl Fn(&OverlaySlice<'_>) -> Result<RgbImage, OverlayError>,
    ) -> Result<(), Failure> {
        let place = self.destination.folder().join(file);
        let picture = self.slice(view, draw)?;
        let png = overlay::png(&picture).map_err(|error| internal(&error, &place))?;
        self.staging.write(file, &png)
    }

    /// The slice as the page shows it.
    fn figure(&self, view: &View, findings: &Findings) -> Result<Picture, Failure> {
        let areas = findings.areas(view.slice);
        let words = |sides: [f64; 2]| {
            let mm2 = sides[0] + sides[1];
            if mm2 > 0.0 {
                format!("{mm2:.0} mm²")
            } else {
                "none".to_owned()
            }
        };
        let caption = format!(
            "slice {}: kidney {}, tumour {}",
            view.slice,
            words([areas.right.kidney_area_mm2, areas.left.kidney_area_mm2]),
            words([areas.right.tumour_area_mm2, areas.left.tumour_area_mm2]),
        );
        self.slice(view, |slice| {
            Picture::new(
                slice,
                view.slice,
                view.title.clone(),
                caption.clone(),
                &findings.tumours,
            )
        })
    }

    /// Hands a slice with its labels to `draw`.
    fn slice<T, E: std::error::Error>(
        &self,
        view: &View,
        draw: impl Fn(&OverlaySlice<'_>) -> Result<T, E>,
    ) -> Result<T, Failure> {
        let place = self.destination.folder().join(view.file);
        let mut labels = vec![0; self.geometry.slice_len()];
        self.labels
            .read(view.slice, &mut labels)
            .map_err(|error| internal(&error, &place))?;
        let [_, rows, cols] = self.geometry.shape();
        let spacing = self.geometry.spacing();
        let slice = OverlaySlice {
            hu: &view.hu,
            labels: &labels,
            rows,
            cols,
            row_mm: spacing.row_mm,
            col_mm: spacing.col_mm,
        };
        draw(&slice).map_err(|error| internal(&error, &place))
    }
}

/// Pictures in the order of importance, not in that of reading.
const IMPORTANCE: [&str; 3] = [
    output::OVERLAY_TUMOUR,
    output::OVERLAY_RIGHT,
    output::OVERLAY_LEFT,
];

fn outputs(views: &[View], fhir: bool) -> Vec<OutputFile> {
    let file = |kind: &str, file: &str| OutputFile {
        kind: kind.into(),
        file: file.into(),
    };
    let mut outputs = vec![
        file("text", output::REPORT_TEXT),
        file("picture", output::REPORT_PNG),
        file("document", output::REPORT_PDF),
        file("labels", output::LABELS),
    ];
    if fhir {
        outputs.push(file("fhir", output::FHIR));
    }
    for name in IMPORTANCE {
        if views.iter().any(|view| view.file == name) {
            outputs.push(file("overlay", name));
        }
    }
    if !views.is_empty() {
        outputs.push(file("overlay", output::OVERLAY_KEY));
    }
    outputs
}

fn engine_info(engine: &Engine) -> EngineInfo {
    EngineInfo {
        device: engine.device.into(),
        device_name: engine.part.clone(),
        arithmetic: engine.arithmetic.name().into(),
        kernels: engine.kernels.map(|kernels| kernels.name().into()),
        threads: engine.threads,
    }
}

fn input_info(path: &Path, geometry: &Geometry, blake3: String) -> InputInfo {
    let [slices, rows, cols] = geometry.shape();
    InputInfo {
        file: file_name(path),
        blake3: Some(blake3),
        slices,
        rows,
        cols,
        spacing: geometry.spacing(),
        orientation: geometry.codes().to_owned(),
    }
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned()
}

/// BLAKE3 of the scan's files, one after the other, so that a report can be matched with what it was made from.
fn hash(files: &[&Path]) -> Result<String, Failure> {
    let mut hasher = blake3::Hasher::new();
    for path in files {
        let hashed = File::open(path).and_then(|file| hasher.update_reader(file).map(|_| ()));
        hashed.map_err(|error| {
            told(
                Exit::Input,
                &error,
                path.display(),
                "check that the file can be read",
            )
        })?;
    }
    Ok(hasher.finalize().to_hex().to_string())
}

fn unsegmented(path: &Path, error: &ScanError) -> Failure {
    match error {
        ScanError::Imaging(error) => input::unusable(path, error),
        ScanError::Engine {
            source: EngineError::Device { .. },
            ..
        } => told(
            Exit::Device,
            error,
            path.display(),
            "use another device, for instance --device cpu",
        ),
        ScanError::Engine { .. } | ScanError::Size { .. } | ScanError::Planes { .. } => told(
            Exit::Model,
            error,
            path.display(),
            "use another model package, or export this one again",
        ),
        _ => internal(error, path),
    }
}

/// A contradiction within the program, which no input can be blamed for.
fn internal(error: &dyn std::error::Error, path: &Path) -> Failure {
    let remedy =
        "report this with the command line and the scan's header; it is a fault in nephrobox";
    Failure::new(Exit::Internal, sentence(error), path.display(), remedy)
}
