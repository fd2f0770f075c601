//! One scan through the house: slices, labels, measures, and the files that tell about them.
//!
//! `segment` and the worker call [`run`]; tests call it with a [`SliceModel`] of their own. Everything that could refuse the
//! scan, the model or the destination has done so before. Memory: labels are held run-length coded, voxels only as the
//! reader holds them, and those are let go before the label volume is written.

mod again;

use std::cmp::Reverse;
use std::io::{self, Read as _};
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use image::RgbImage;
use nephrobox_engine::executor::Engine;
use nephrobox_engine::model::{EngineError, Labeller, LogitsModel, SliceModel};
use nephrobox_engine::scan::{self, ScanError, Visit};
use nephrobox_imaging::dicom::Place;
use nephrobox_imaging::{Geometry, ScanReader, write_labels};
use nephrobox_objects::{Device, EmptyFrames};
use nephrobox_shared::measure::{LabelMap, Sides, measure};
use nephrobox_shared::package::Manifest;
use nephrobox_shared::report::{
    Change, Confidence, EngineInfo, Findings, HuFindings, InputInfo, ModelInfo, OutputFile,
    ProgramInfo, RESEARCH_USE_NOTICE, Report, SCHEMA_VERSION, Timing, Warning,
};

use crate::failure::{Exit, Failure, sentence, told};
use crate::objects::{self, Making, Page};
use crate::output::{self, Destination, Staging};
use crate::overlay::{self, Caption, OverlayError, OverlaySlice};
use crate::progress::Progress;
use crate::pulse::Pulse;
use crate::remedy::Remedies;
use crate::sheet::{self, Picture};
use crate::{fhir, page, scan as input, source, warnings};
use again::{Pages, kidney_mean_hu, pictures, read_again, sure};

/// Bytes of a scan's file that are hashed at a time.
const PIECE: usize = 1 << 16;

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
    /// Whether the DICOM segmentation keeps a frame for every slice.
    pub empty_frames: bool,
    /// What DICOM objects say of the box.
    pub device: Option<&'a Device>,
    /// What the report is compared with; `None` compares nothing.
    pub earlier: Option<Earlier<'a>>,
}

impl std::fmt::Debug for Options<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Options")
            .field("visit", &self.visit)
            .field("fhir", &self.fhir)
            .field("empty_frames", &self.empty_frames)
            .field("device", &self.device)
            .field("earlier", &self.earlier.is_some())
            .finish()
    }
}

/// Segments a scan and puts report, label map and pictures in place. Returns the report.
///
/// `models` are copies of the package's network, each of which works in a thread of its own. Once it is known what they
/// outlined, a few slices go through them again, so that the report can say how sure they are.
///
/// # Errors
/// Damage in the scan that only reading it to the end shows, a network or device that fails, a disk that refuses.
/// Nothing is left behind then.
pub fn run<M: LogitsModel + Send>(
    mut reader: ScanReader,
    models: &mut [M],
    package: Package<'_>,
    options: Options<'_>,
    destination: &Destination,
    progress: &mut dyn Progress,
) -> Result<Report, Failure> {
    let began = Instant::now();
    let path = reader.path().to_owned();
    let remedies = destination.remedies();
    let geometry = reader.geometry().clone();
    let series: Vec<_> = reader.findings().to_vec();
    let origin = source::of(&reader)?;
    let pulse = progress.pulse();
    let beat = pulse.clone();
    reader.on_read(move || beat.beat());
    let blake3 = hash(&reader.places(), progress)?;

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
    .map_err(|error| unsegmented(&path, &error, remedies))?;
    drop(timed);
    let mut network_s = spent_s.into_iter().fold(0.0, f64::max);
    let mut read_s = began.elapsed().as_secs_f64() - network_s;

    let measuring = Instant::now();
    let measures = measure(
        &segmented.labels,
        geometry.spacing(),
        segmented.midline.column(),
    )
    .map_err(|error| internal(&error, &path))?;
    pulse.beat();
    let mut findings = Findings::new(&measures, &segmented.midline);
    let measure_s = measuring.elapsed().as_secs_f64();

    let rereading = Instant::now();
    let pages = read_again(&mut reader, &findings, &path)?;
    drop(reader);
    let views = views(&pages, &findings);
    let kidney_hu =
        kidney_mean_hu(&pages, &segmented.labels).map_err(|error| internal(&error, &path))?;
    findings.hu = Some(HuFindings::new(&segmented.tones, kidney_hu));
    read_s += rereading.elapsed().as_secs_f64();

    progress.stage("looking again at some slices");
    let looking = Instant::now();
    let confidence = sure(models, &pages, &geometry, preprocess, &pulse)
        .map_err(|error| unsegmented(&path, &error, remedies))?;
    network_s += looking.elapsed().as_secs_f64();

    progress.stage("writing the label map and the pictures");
    let writing = Instant::now();
    let staging = destination.stage()?.beating(&pulse);
    write_label_map(&staging, destination, &geometry, &segmented.labels, &pulse)?;
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
        figures.push(pictures.figure(view, &findings)?);
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
    warnings.extend(confidence.iter().flat_map(Confidence::warnings));
    warnings.extend(warnings::series(&series));
    warnings.extend(origin.warning);
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
        subject: origin.subject,
        visited: Some(segmented.visited),
        confidence,
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
    let device = options.device.cloned().unwrap_or_default();
    let making = origin.series.as_ref().map(|source| Making {
        source,
        labels: &segmented.labels,
        device: &device,
        empty: if options.empty_frames {
            EmptyFrames::Kept
        } else {
            EmptyFrames::LeftOut
        },
    });
    if making.is_some() {
        report.outputs.extend(objects::outputs());
    }
    progress.stage("drawing the report");
    let sheet = sheet::draw(&report, &figures).map_err(|error| internal(&error, &path))?;
    staging.write(output::REPORT_PNG, &sheet.png)?;
    staging.write(output::REPORT_PDF, &sheet.pdf)?;
    if let Some(making) = making {
        progress.stage("making DICOM objects");
        let page = Page::new(&sheet, views.iter().map(|view| view.slice))
            .map_err(|error| internal(&error, &path))?;
        making.write(&report, &page, &staging)?;
    }
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
struct View<'a> {
    file: &'static str,
    title: &'static str,
    slice: usize,
    hu: &'a [i16],
}

impl View<'_> {
    fn caption(&self, findings: &Findings, slices: usize, source: String) -> Caption {
        let areas = findings.areas(self.slice);
        Caption {
            title: self.title.to_owned(),
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

/// The pictures of a report, the most important first.
fn views<'a>(pages: &'a Pages, findings: &Findings) -> Vec<View<'a>> {
    let views = pictures(findings).filter_map(|(file, title, slice)| {
        let hu = pages.get(&slice)?;
        Some(View {
            file,
            title,
            slice,
            hu,
        })
    });
    views.collect()
}

fn write_label_map(
    staging: &Staging,
    destination: &Destination,
    geometry: &Geometry,
    labels: &LabelMap,
    pulse: &Pulse,
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
            pulse.beat();
        },
    );
    let place = destination.folder().join(output::LABELS);
    written.map_err(|error| {
        told(
            Exit::Output,
            &error,
            place.display(),
            destination.remedies().disk(),
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
        view: &View<'_>,
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
                view.title.to_owned(),
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
            hu: view.hu,
            labels: &labels,
            rows,
            cols,
            row_mm: spacing.row_mm,
            col_mm: spacing.col_mm,
        };
        draw(&slice).map_err(|error| internal(&error, &place))
    }
}

fn outputs(views: &[View<'_>], fhir: bool) -> Vec<OutputFile> {
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
    outputs.extend(views.iter().map(|view| file("overlay", view.file)));
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

/// BLAKE3 of the scan's files, one after the other, so that a report can be matched with what it was made from. A series has the same
/// whether it lies in a folder or in one file. Gigabytes on a slow card take minutes, so that each piece is a sign of life.
fn hash(places: &[Place], progress: &dyn Progress) -> Result<String, Failure> {
    let (mut hasher, mut piece) = (blake3::Hasher::new(), vec![0; PIECE]);
    let pulse = progress.pulse();
    for place in places {
        let unread = |error: io::Error| {
            told(
                Exit::Input,
                &error,
                place.label().display(),
                "check that the file can be read",
            )
        };
        let mut file = place.open().map_err(unread)?;
        loop {
            if progress.stop() {
                let what = "stopped on request before its first slice";
                let place = place.label().display();
                return Err(Failure::new(Exit::Internal, what, place, "start it again"));
            }
            match file.read(&mut piece) {
                Ok(0) => break,
                Ok(count) => {
                    hasher.update(&piece[..count]);
                    pulse.beat();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(unread(error)),
            }
        }
    }
    Ok(hasher.finalize().to_hex().to_string())
}

fn unsegmented(path: &Path, error: &ScanError, remedies: Remedies) -> Failure {
    match error {
        ScanError::Imaging(error) => input::unusable(path, error),
        ScanError::Engine {
            source: EngineError::Device { .. },
            ..
        } => told(Exit::Device, error, path.display(), remedies.device()),
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
    let remedy = "report this with the scan's header and the command line or configuration; it is a fault in nephrobox";
    Failure::new(Exit::Internal, sentence(error), path.display(), remedy)
}
