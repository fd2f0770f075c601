//! Phantoms as cases on disk, in the layout of KiTS19.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use nephrobox_imaging::{Geometry, LabelReader, files, write_labels, write_scan};
use nephrobox_shared::measure::Spacing;
use rayon::prelude::*;

use super::acquisition::Storage;
use super::error::PhantomError;
use super::from_labels::{Painted, Plan};
use super::survey::Survey;
use super::whole::Whole;
use crate::closed_form::hash;

/// The KiTS19 patients whose real slices serve for evaluation: no phantom may be made from their labels.
pub const RESERVED: [u32; 19] = [
    26, 30, 47, 67, 78, 95, 102, 107, 113, 116, 133, 136, 139, 140, 159, 160, 181, 186, 199,
];

/// Whether a case (`case_00026`) belongs to a reserved patient.
pub fn is_reserved(name: &str) -> bool {
    name.strip_prefix("case_")
        .and_then(|number| number.parse().ok())
        .is_some_and(|number: u32| RESERVED.contains(&number))
}

/// How to paint slices around real masks.
#[derive(Clone, Copy, Debug)]
pub struct LabelDriven {
    /// Rows and columns of the slices made, 64 to 1024.
    pub size: usize,
    /// The most slices to make of one case, 1 to 512.
    pub slices: usize,
    /// Names the phantoms: the same seed gives the same voxels.
    pub seed: u64,
}

/// A whole patient to invent.
#[derive(Clone, Copy, Debug)]
pub struct WholePatient {
    /// Slices, 8 to 512.
    pub slices: usize,
    /// Rows and columns, 64 to 1024.
    pub size: usize,
    /// Distance of the slices and width of the (square) pixels.
    pub spacing: Spacing,
    /// Names the patient: the same seed gives the same voxels.
    pub seed: u64,
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CaseSummary {
    /// Slices in the case.
    pub slices: usize,
    /// Pixels of kidney and of tumour.
    pub pixels: [u64; 2],
    /// How its values are stored.
    pub storage: Storage,
}

impl LabelDriven {
    /// Refuses sizes that cannot be painted or would fill the disk.
    pub fn check(&self) -> Result<(), PhantomError> {
        check_size(self.size)?;
        check(
            "the number of slices per case",
            self.slices,
            1,
            "from 1 to 512",
        )
    }

    /// Paints a case around the label volume at `labels` and writes it as the folder `out`/`name`.
    ///
    /// Holds the label volume (8 bits a voxel) and the finished slices. Errors: a reserved patient, an unreadable or
    /// empty label volume, an existing case; the folder then does not appear.
    pub fn make(&self, labels: &Path, out: &Path, name: &str) -> Result<CaseSummary, PhantomError> {
        self.check()?;
        if is_reserved(name) {
            return Err(PhantomError::Reserved {
                name: name.to_owned(),
            });
        }
        let mut reader = LabelReader::open(labels)?;
        let shape = reader.geometry().shape();
        let from = reader.geometry().spacing();
        let spacing = [from.slice_mm, from.row_mm, from.col_mm].map(|mm| mm as f32);
        let mut survey = Survey::new(shape, spacing);
        let mut slice = vec![0; reader.geometry().slice_len()];
        while let Some(index) = reader.next_slice(&mut slice)? {
            survey.add(index, &slice);
        }
        // By the name, so that a case does not depend on which others are made with it.
        let plan = Plan::new(&survey, self.size, self.slices, self.seed, hash(name));
        if plan.slices.is_empty() {
            return Err(PhantomError::Empty {
                path: labels.to_owned(),
            });
        }
        let mut painted = Vec::with_capacity(plan.slices.len());
        let mut table = String::from(
            "index_here,slice_in_source,below_kidney_middle_mm,kidney_pixels,tumour_pixels\n",
        );
        for (here, &index) in plan.slices.iter().enumerate() {
            reader.read_slice(index, &mut slice)?;
            let finished = plan.paint(index, &slice);
            let [kidney, tumour] = count(&finished.labels);
            let height = plan.height(index);
            let _ = writeln!(table, "{here},{index},{height:.1},{kidney},{tumour}");
            painted.push(finished);
        }
        let pixel = f64::from(plan.pixel());
        let spacing =
            Spacing::new(from.slice_mm, pixel, pixel).map_err(|_| PhantomError::Limit {
                what: "the pixel size",
                value: format!("{pixel} mm"),
                limits: "a finite number above 0",
            })?;
        write_case(
            out,
            name,
            &painted,
            self.size,
            spacing,
            Some(&table),
            plan.storage(),
        )
    }
}

impl WholePatient {
    /// Refuses sizes that cannot be painted or would fill the disk.
    pub fn check(&self) -> Result<(), PhantomError> {
        check_size(self.size)?;
        check("the number of slices", self.slices, 8, "from 8 to 512")?;
        let Spacing {
            slice_mm,
            row_mm,
            col_mm,
            ..
        } = self.spacing;
        let plausible =
            (0.5..=10.0).contains(&slice_mm) && (0.3..=5.0).contains(&row_mm) && row_mm == col_mm;
        if plausible {
            return Ok(());
        }
        Err(PhantomError::Limit {
            what: "the spacing",
            value: format!("{slice_mm},{row_mm},{col_mm} mm"),
            limits: "0.5 to 10 mm between slices, 0.3 to 5 mm between rows, and the same between columns",
        })
    }

    /// Invents a patient and writes the case `out`/`name`. Slices are painted in parallel; the voxels depend on the
    /// seed, sizes and spacing alone. Errors: sizes out of limits, an existing case.
    pub fn make(&self, out: &Path, name: &str) -> Result<CaseSummary, PhantomError> {
        self.check()?;
        let (slice_mm, pixel) = (self.spacing.slice_mm as f32, self.spacing.row_mm as f32);
        let whole = Whole::draw(self.seed, self.slices, self.size, slice_mm, pixel);
        let painted: Vec<Painted> = (0..self.slices)
            .into_par_iter()
            .map(|index| whole.paint(index))
            .collect();
        write_case(
            out,
            name,
            &painted,
            self.size,
            self.spacing,
            None,
            Storage::Full,
        )
    }
}

fn check_size(size: usize) -> Result<(), PhantomError> {
    if (64..=1024).contains(&size) {
        return Ok(());
    }
    Err(PhantomError::Limit {
        what: "the size",
        value: size.to_string(),
        limits: "from 64 to 1024 pixels",
    })
}

fn check(
    what: &'static str,
    value: usize,
    least: usize,
    limits: &'static str,
) -> Result<(), PhantomError> {
    if (least..=512).contains(&value) {
        return Ok(());
    }
    Err(PhantomError::Limit {
        what,
        value: value.to_string(),
        limits,
    })
}

/// Pixels of kidney and of tumour.
fn count(labels: &[u8]) -> [u64; 2] {
    let mut counts = [0; 2];
    for &label in labels {
        if let 1 | 2 = label {
            counts[usize::from(label) - 1] += 1;
        }
    }
    counts
}

/// Writes the folder under another name first, so that a case is there whole or not at all.
fn write_case(
    out: &Path,
    name: &str,
    painted: &[Painted],
    size: usize,
    spacing: Spacing,
    table: Option<&str>,
    storage: Storage,
) -> Result<CaseSummary, PhantomError> {
    let io = |action, path: &Path| {
        let path = path.to_owned();
        move |source| PhantomError::Io {
            action,
            path,
            source,
        }
    };
    let home = out.join(name);
    refuse_existing(&home)?;
    fs::create_dir_all(out).map_err(io("make the folder", out))?;
    let unfinished = tempfile::Builder::new()
        .prefix(files::UNFINISHED)
        .tempdir_in(out)
        .map_err(io("make a folder in", out))?;
    let folder = unfinished.path().join(name);
    fs::create_dir(&folder).map_err(io("make the folder", &folder))?;

    let geometry = Geometry::kits([painted.len(), size, size], spacing)?;
    let scan: PathBuf = folder.join("imaging.nii.gz");
    write_scan(&scan, &geometry, &mut |index, slice| {
        slice.copy_from_slice(&painted[index].hu);
    })?;
    let labels = folder.join("segmentation.nii.gz");
    write_labels(&labels, &geometry, &mut |index, slice| {
        slice.copy_from_slice(&painted[index].labels);
    })?;
    if let Some(table) = table {
        let path = folder.join("slices.csv");
        files::write(&path, table.as_bytes()).map_err(io("write", &path))?;
    }
    fs::rename(&folder, &home).map_err(io("finish", &home))?;
    let pixels = painted
        .iter()
        .map(|slice| count(&slice.labels))
        .fold([0, 0], |a, b| [a[0] + b[0], a[1] + b[1]]);
    Ok(CaseSummary {
        slices: painted.len(),
        pixels,
        storage,
    })
}

/// An error if a case of that name is already there.
pub fn refuse_existing(case: &Path) -> Result<(), PhantomError> {
    if case.exists() {
        return Err(PhantomError::Exists {
            path: case.to_owned(),
        });
    }
    Ok(())
}
