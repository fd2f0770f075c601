//! Whoever labels scans: a box on its line, the workstation itself, or something in their place in a test.

use std::ops::ControlFlow;
use std::path::Path;

use nephrobox_engine::executor::{self, Arithmetic, Running, Settings};
use nephrobox_engine::package::Model;
use nephrobox_engine::scan::{self, Visit};
use nephrobox_imaging::ScanReader;
use nephrobox_link::message::Hash;
use nephrobox_shared::measure::LabelMap;
use nephrobox_shared::preprocess::Preprocess;
use nephrobox_shared::report::Report;
use serde::Serialize;

use crate::failure::{Exit, Failure, told};

/// Labels scans with a package of its own.
pub trait Segmenter {
    /// What a report says of it.
    fn about(&self) -> About;

    /// The package that it would use now.
    ///
    /// # Errors
    /// If it has none, or cannot be reached.
    fn package(&mut self) -> Result<Hash, Failure>;

    /// Labels the scan of a case, every slice of it.
    ///
    /// # Errors
    /// If it cannot be reached, or cannot use the scan.
    fn segment(&mut self, scan: &Path, case: &str) -> Result<Answer, Failure>;

    /// Hears that the last answer is safe here.
    ///
    /// # Errors
    /// If it cannot be reached.
    fn confirm(&mut self) -> Result<(), Failure>;
}

/// Who labelled.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct About {
    /// Its name.
    pub name: String,
    /// Name and version of its program.
    pub software: String,
    /// How it was reached.
    pub line: String,
}

/// A label map and what its report says of how it came to be.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// A NIfTI file, `.nii.gz`.
    pub labels: Vec<u8>,
    /// BLAKE3 of the package that was used, hexadecimal.
    pub package: String,
    /// BLAKE3 of the scan's file, hexadecimal.
    pub scan: String,
    /// Arithmetic of the network.
    pub arithmetic: Arithmetic,
    /// Slices of the scan that the network was not shown.
    pub skipped: usize,
    /// From start to finish, in seconds.
    pub seconds: f64,
}

impl Answer {
    /// The answer of a box: its label map and its `report.json`. `None` if the report lacks what has to be known.
    pub fn of_report(labels: Vec<u8>, report: &Report) -> Option<Self> {
        let engine = report.engine.as_ref()?;
        let shown = report
            .visited
            .as_ref()
            .map_or(report.input.slices, |visited| visited.slices);
        Some(Self {
            labels,
            package: report.model.blake3.clone(),
            scan: report.input.blake3.clone()?,
            arithmetic: Arithmetic::named(&engine.arithmetic)?,
            skipped: report.input.slices.saturating_sub(shown),
            seconds: report.timing.total_s,
        })
    }
}

/// The package on this machine's CPU: what a box's label maps are held against.
pub struct Workstation {
    running: Running,
    preprocess: Preprocess,
}

impl Workstation {
    /// Gets a model ready. In integers if the box computes in them, else in f32: f16 exists on GPUs only.
    ///
    /// # Errors
    /// If the model cannot run here.
    pub fn start(model: Model, arithmetic: Arithmetic, place: &Path) -> Result<Self, Failure> {
        let preprocess = model.manifest().input.preprocess;
        let settings = Settings {
            device: "cpu".into(),
            arithmetic: Some(match arithmetic {
                Arithmetic::Int8 => Arithmetic::Int8,
                Arithmetic::F32 | Arithmetic::F16 => Arithmetic::F32,
            }),
            ..Settings::default()
        };
        let running = executor::start_with(model, &settings, &mut |_| ()).map_err(|error| {
            let remedy = "validate on a machine that can run this package";
            told(Exit::Model, &error, place.display(), remedy)
        })?;
        Ok(Self {
            running,
            preprocess,
        })
    }

    /// Its arithmetic.
    pub fn arithmetic(&self) -> Arithmetic {
        self.running.engine.arithmetic
    }

    /// Labels a scan, every slice of it.
    ///
    /// # Errors
    /// If the scan cannot be read or labelled.
    pub fn label(&mut self, scan: &Path) -> Result<LabelMap, Failure> {
        let failed = |error: &dyn std::error::Error| {
            told(
                Exit::Input,
                error,
                scan.display(),
                "check that the file is whole",
            )
        };
        let mut reader = ScanReader::open(scan).map_err(|error| failed(&error))?;
        let models = &mut self.running.models;
        let go_on = &mut |_| ControlFlow::Continue(());
        scan::segment(&mut reader, models, &self.preprocess, Visit::Every, go_on)
            .map(|segmented| segmented.labels)
            .map_err(|error| failed(&error))
    }
}
