//! Slices to one stack: which belong together, in what order they lie, and where the stack lies in the patient.
//!
//! Used by the series. Only positions and orientations count; slice numbers, times and file names say nothing about anatomy. Distances
//! are measured along the normal of the slices, so that a tilted gantry does not make slices look thicker than they are.

use std::collections::HashMap;
use std::path::Path;

use super::error::DicomError;
use super::finding::Finding;
use super::image::Slice;
use crate::affine::dot;
use crate::error::GeometryError;
use crate::geometry::Geometry;

/// Slices closer than this lie at one place; scanners write positions to a hundredth of a millimetre or better.
const SAME_PLACE_MM: f64 = 0.01;

/// Share of the usual distance by which one may differ without a word: rounding.
const EVEN: f64 = 0.01;

/// Share of the usual distance by which one may differ and still be called one spacing; the volume is then wrong by less than that.
const NEARLY_EVEN: f64 = 0.1;

/// How far a slice may lie beside the line of the others, as a share of a pixel.
const STRAIGHT: f64 = 0.5;

/// How far directions of two slices may differ, in each of their numbers: 0.06 degrees.
const SAME_DIRECTION: f64 = 1e-3;

/// Share by which pixel spacings of two slices may differ: rounding of text.
const SAME_SPACING: f64 = 1e-3;

/// A shear beyond this is worth a word; positions rounded to a hundredth of a millimetre make less.
const TILT_DEGREES: f64 = 0.5;

/// Slices in order along their normal, and the grid that they make.
#[derive(Debug)]
pub(crate) struct Stack {
    pub(crate) slices: Vec<Slice>,
    pub(crate) geometry: Geometry,
    pub(crate) findings: Vec<Finding>,
}

impl Stack {
    /// Puts the slices of one series in order. `path` is what the person named, for messages.
    pub(crate) fn new(path: &Path, slices: Vec<Slice>) -> Result<Self, DicomError> {
        one_series(path, &slices)?;
        let mut findings = Vec::new();
        let mut slices = without_copies(slices, &mut findings)?;
        let Some((first, others)) = slices.split_first() else {
            return Err(DicomError::NotDicom {
                path: path.to_owned(),
            });
        };
        for other in others {
            alike(first, other)?;
        }
        let normal = first.normal();
        slices.sort_by(|a, b| dot(a.position, normal).total_cmp(&dot(b.position, normal)));
        let step = step(&slices, normal, &mut findings)?;
        values(&slices, &mut findings);
        let geometry = place(&slices, step)?;
        Ok(Self {
            slices,
            geometry,
            findings,
        })
    }
}

fn one_series(path: &Path, slices: &[Slice]) -> Result<(), DicomError> {
    let mut parts: Vec<(&Slice, usize)> = Vec::new();
    for slice in slices {
        match parts
            .iter_mut()
            .find(|(first, _)| first.series == slice.series)
        {
            Some((_, count)) => *count += 1,
            None => parts.push((slice, 1)),
        }
    }
    if parts.len() < 2 {
        return Ok(());
    }
    parts.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
    Err(DicomError::MixedSeries {
        path: path.to_owned(),
        parts: parts
            .into_iter()
            .map(|(first, count)| (count, first.path()))
            .collect(),
    })
}

/// Copies of a slice carry its identifier; what carries it and differs is a fault of whoever made it.
fn without_copies(
    slices: Vec<Slice>,
    findings: &mut Vec<Finding>,
) -> Result<Vec<Slice>, DicomError> {
    let all = slices.len();
    let mut by_instance: HashMap<String, usize> = HashMap::new();
    let mut kept: Vec<Slice> = Vec::with_capacity(all);
    for slice in slices {
        let Some(&at) = by_instance.get(&slice.instance) else {
            by_instance.insert(slice.instance.clone(), kept.len());
            kept.push(slice);
            continue;
        };
        let first = &kept[at];
        let mut twin = slice.clone();
        twin.place = first.place.clone();
        // Which of the two is used would else hang on the names of files.
        if twin != *first || values_of(&slice)? != values_of(first)? {
            return Err(DicomError::Differ {
                first: first.path(),
                second: slice.path(),
                what: "content, though they carry one SOP Instance UID",
            });
        }
    }
    if kept.len() < all {
        findings.push(Finding::Copies {
            files: all - kept.len(),
        });
    }
    Ok(kept)
}

fn values_of(slice: &Slice) -> Result<Vec<i16>, DicomError> {
    let mut hu = vec![0; slice.pixels()];
    slice.read(&mut hu)?;
    Ok(hu)
}

fn alike(first: &Slice, other: &Slice) -> Result<(), DicomError> {
    let directions = |slice: &Slice| slice.along.into_iter().flatten();
    let turned = directions(first)
        .zip(directions(other))
        .any(|(a, b)| (a - b).abs() > SAME_DIRECTION);
    let spaced = first
        .spacing
        .iter()
        .zip(other.spacing)
        .any(|(a, b)| (a - b).abs() > SAME_SPACING * a);
    let [number, name] = [0, 1].map(|at| first.patient[at] != other.patient[at]);
    let differences = [
        (number, "Patient ID"),
        (name, "the patient's name"),
        (
            (first.rows, first.cols) != (other.rows, other.cols),
            "rows and columns",
        ),
        (turned, "orientation"),
        (spaced, "pixel spacing"),
        (
            first.frame_of_reference != other.frame_of_reference,
            "frame of reference",
        ),
    ];
    match differences.iter().find(|(differ, _)| *differ) {
        None => Ok(()),
        Some(&(_, what)) => Err(DicomError::Differ {
            first: first.path(),
            second: other.path(),
            what,
        }),
    }
}

/// The way from one slice to the next, if it is the same for all.
fn step(
    slices: &[Slice],
    normal: [f64; 3],
    findings: &mut Vec<Finding>,
) -> Result<[f64; 3], DicomError> {
    let (first, last) = (&slices[0], &slices[slices.len() - 1]);
    if slices.len() == 1 {
        let thickness_mm = first.thickness_mm.ok_or_else(|| DicomError::Missing {
            path: first.path(),
            name: "Slice Thickness",
        })?;
        findings.push(Finding::SingleSlice { thickness_mm });
        return Ok(normal.map(|x| x * thickness_mm));
    }
    let along = |slice: &Slice| dot(slice.position, normal);
    let distances: Vec<f64> = slices
        .windows(2)
        .map(|pair| along(&pair[1]) - along(&pair[0]))
        .collect();
    check_distances(slices, &distances, findings)?;
    let whole = difference(last.position, first.position);
    let height = dot(whole, normal);
    let narrow = first.spacing[0].min(first.spacing[1]);
    for slice in slices {
        let here = difference(slice.position, first.position);
        let share = dot(here, normal) / height;
        let beside = difference(here, whole.map(|x| x * share));
        let off_mm = dot(beside, beside).sqrt();
        if off_mm > STRAIGHT * narrow {
            return Err(DicomError::Astray {
                path: slice.path(),
                off_mm,
            });
        }
    }
    let across = difference(whole, normal.map(|x| x * height));
    let degrees = dot(across, across).sqrt().atan2(height).to_degrees();
    if degrees > TILT_DEGREES {
        findings.push(Finding::GantryTilt { degrees });
    }
    let steps = distances.len() as f64;
    Ok(whole.map(|x| x / steps))
}

fn check_distances(
    slices: &[Slice],
    distances: &[f64],
    findings: &mut Vec<Finding>,
) -> Result<(), DicomError> {
    let pair = |at: usize| (slices[at].path(), slices[at + 1].path());
    // NaN cannot be: positions are finite, and so are sums of three products of theirs unless they overflow.
    if let Some(at) = distances
        .iter()
        .position(|&mm| mm.is_nan() || mm <= SAME_PLACE_MM)
    {
        let (first, second) = pair(at);
        return Err(DicomError::SamePlace { first, second });
    }
    let mut sorted = distances.to_vec();
    sorted.sort_by(f64::total_cmp);
    let usual_mm = sorted[sorted.len() / 2];
    let (least_mm, most_mm) = (sorted[0], sorted[sorted.len() - 1]);
    let odd = distances
        .iter()
        .position(|mm| (mm - usual_mm).abs() > NEARLY_EVEN * usual_mm);
    if let Some(at) = odd {
        let (first, second) = pair(at);
        let found_mm = distances[at];
        let times = (found_mm / usual_mm).round();
        let whole = times >= 2.0 && (found_mm - times * usual_mm).abs() <= NEARLY_EVEN * usual_mm;
        return Err(if whole {
            DicomError::Gap {
                first,
                second,
                found_mm,
                usual_mm,
                missing: times as usize - 1,
            }
        } else {
            DicomError::Uneven {
                first,
                second,
                found_mm,
                usual_mm,
            }
        });
    }
    let rounding = SAME_PLACE_MM.max(EVEN * usual_mm);
    if most_mm - usual_mm > rounding || usual_mm - least_mm > rounding {
        findings.push(Finding::UnevenSpacing {
            least_mm,
            most_mm,
            mean_mm: distances.iter().sum::<f64>() / distances.len() as f64,
        });
    }
    Ok(())
}

/// What the slices' pixels are worth a word for.
fn values(slices: &[Slice], findings: &mut Vec<Finding>) {
    let scale = slices[0].scale.factors();
    if slices.iter().any(|slice| slice.scale.factors() != scale) {
        findings.push(Finding::ScalesDiffer);
    }
    let lossy = slices.iter().filter(|slice| slice.may_have_lost).count();
    if lossy > 0 {
        findings.push(Finding::MayHaveLost { slices: lossy });
    }
    if let Some(hu) = slices
        .iter()
        .find_map(|slice| slice.scale.padding_in_tissue())
    {
        findings.push(Finding::PaddingInTissue { hu });
    }
}

/// The grid of the stack, with columns varying fastest and slices slowest; from DICOM's axes to NIfTI's, which run the other way
/// from side to side and from back to front.
fn place(slices: &[Slice], step: [f64; 3]) -> Result<Geometry, DicomError> {
    let first = &slices[0];
    let [between_rows, between_cols] = first.spacing;
    let along_cols = first.along[0].map(|x| x * between_cols);
    let along_rows = first.along[1].map(|x| x * between_rows);
    let sign = [-1.0, -1.0, 1.0];
    let affine = [0, 1, 2].map(|world| {
        [
            along_cols[world],
            along_rows[world],
            step[world],
            first.position[world],
        ]
        .map(|x| x * sign[world])
    });
    let shape = [
        usize::from(first.cols),
        usize::from(first.rows),
        slices.len(),
    ];
    Geometry::from_affine(shape, &affine).map_err(|source| {
        let path = first.path();
        match source {
            GeometryError::Oblique { tilt_degrees, .. } => {
                DicomError::Oblique { path, tilt_degrees }
            }
            source => DicomError::Geometry { path, source },
        }
    })
}

fn difference(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
}
