//! Areas slice by slice, in what room the page has left.

use nephrobox_shared::report::{Report, SliceFindings};

use crate::output;

/// As many slices as fit into `room` lines, evenly spaced, always with the largest tumour area.
pub(super) fn table(report: &Report, room: usize) -> Vec<String> {
    // Title, column names and the empty line after.
    const AROUND: usize = 3;
    let slices = &report.findings.slices;
    if slices.is_empty() || room <= AROUND {
        return Vec::new();
    }
    let shown = chosen(slices, report.findings.peak_tumour_slice, room - AROUND);
    let title = if shown.len() == slices.len() {
        "AREAS BY SLICE, mm²".to_owned()
    } else {
        format!(
            "AREAS BY SLICE, mm²  ({} of {}; all are in {})",
            shown.len(),
            slices.len(),
            output::REPORT_JSON
        )
    };
    let columns = |slice: &str, values: [String; 4]| {
        format!(
            "  {slice:>8} {:>17} {:>14} {:>17} {:>14}",
            values[0], values[1], values[2], values[3]
        )
    };
    let heads = ["right kidney", "right tumour", "left kidney", "left tumour"].map(str::to_owned);
    let mut lines = vec![title, columns("slice", heads)];
    for slice in shown {
        let (right, left) = (slice.areas.right, slice.areas.left);
        let areas = [
            right.kidney_area_mm2,
            right.tumour_area_mm2,
            left.kidney_area_mm2,
            left.tumour_area_mm2,
        ];
        lines.push(columns(&slice.slice.to_string(), areas.map(number)));
    }
    lines.push(String::new());
    lines
}

/// At most `most` slices, first and last among them, and the one numbered `must` in place of its nearest.
fn chosen(slices: &[SliceFindings], must: Option<usize>, most: usize) -> Vec<&SliceFindings> {
    if slices.len() <= most {
        return slices.iter().collect();
    }
    let steps = most.saturating_sub(1).max(1);
    let mut places: Vec<usize> = (0..most)
        .map(|step| step * (slices.len() - 1) / steps)
        .collect();
    let must = must.and_then(|must| slices.iter().position(|slice| slice.slice == must));
    if let Some(must) = must
        && let Some(nearest) = places.iter_mut().min_by_key(|place| place.abs_diff(must))
    {
        *nearest = must;
    }
    places.into_iter().map(|place| &slices[place]).collect()
}

/// Nothing found is a dash, so that a small area cannot be taken for it.
fn number(mm2: f64) -> String {
    if mm2 > 0.0 {
        format!("{mm2:.0}")
    } else {
        "-".to_owned()
    }
}
