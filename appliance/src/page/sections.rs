//! The sections of the page, each a list of lines.

use nephrobox_shared::measure::{Placement, Side};
use nephrobox_shared::report::{
    EngineInfo, Report, Severity, SideFindings, SliceFindings, TumourFindings,
};

use super::wrap::{WIDTH, columns, ends, wrapped};
use crate::output;

/// Most lines that warnings may take.
const WARNING_LINES: usize = 12;

/// Width of the name before each entry of a section.
const NAME: usize = 12;

/// One number of a side.
type Value = fn(&SideFindings) -> f64;

pub(super) fn head(report: &Report) -> Vec<String> {
    let program = format!("{} {}", report.program.name, report.program.version);
    let mut lines = vec![ends("KIDNEY AND KIDNEY TUMOUR REPORT", &program)];
    lines.extend(wrapped("", &report.notice, 2));
    lines.push("=".repeat(WIDTH));
    lines
}

/// One entry for each kind of warning, so that twenty specks do not push the findings off the page.
pub(super) fn warnings(report: &Report) -> Vec<String> {
    if report.warnings.is_empty() {
        return vec!["WARNINGS  none".to_owned(), String::new()];
    }
    let mut codes: Vec<&str> = Vec::new();
    for warning in &report.warnings {
        if !codes.contains(&warning.code.as_str()) {
            codes.push(&warning.code);
        }
    }
    let mut entries: Vec<Vec<String>> = Vec::new();
    for code in codes {
        let mut same = report
            .warnings
            .iter()
            .filter(|warning| warning.code == code);
        if let Some(first) = same.next() {
            let more = match same.count() {
                0 => String::new(),
                1 => " (And one more like this.)".to_owned(),
                more => format!(" (And {more} more like this.)"),
            };
            let mark = match first.severity {
                Severity::Serious => " !! ",
                Severity::Caution => "  ! ",
                Severity::Note => "  - ",
            };
            entries.push(wrapped(mark, &format!("{}{more}", first.message), 3));
        }
    }
    let serious = report.warnings.iter();
    let serious = serious.filter(|warning| warning.severity == Severity::Serious);
    let mut lines = vec![match serious.count() {
        0 => "WARNINGS".to_owned(),
        count => format!(
            "WARNINGS  {count} of {} serious (!!)",
            report.warnings.len()
        ),
    }];
    let kinds = entries.len();
    for (told, entry) in entries.into_iter().enumerate() {
        // One line is kept for the word about what is left out.
        if lines.len() + entry.len() > WARNING_LINES && told + 1 < kinds
            || lines.len() + entry.len() > WARNING_LINES + 1
        {
            lines.push(format!(
                "  ! {} more kinds of warning are in {}.",
                kinds - told,
                output::REPORT_JSON
            ));
            break;
        }
        lines.extend(entry);
    }
    lines.push(String::new());
    lines
}

pub(super) fn results(report: &Report) -> Vec<String> {
    let mut lines = result_table(report);
    lines.push(
        "  Right and left are the patient's. Kidney is kidney without its tumour.".to_owned(),
    );
    if let Some(slice) = report.findings.peak_tumour_slice {
        lines.push(format!("  Slice with the largest tumour area: {slice}"));
    }
    lines.push(String::new());
    lines
}

/// The largest tumours with their sizes and the parts of the score, as many as fit into `room` lines.
pub(super) fn tumours(report: &Report, room: usize) -> Vec<String> {
    const MOST: usize = 2;
    let all = &report.findings.tumours;
    if all.is_empty() {
        return Vec::new();
    }
    let mut shown = all.len().min(MOST);
    loop {
        let mut lines = vec![if shown < all.len() {
            format!(
                "TUMOURS  ({shown} of {}; all are in {})",
                all.len(),
                output::REPORT_JSON
            )
        } else {
            "TUMOURS".to_owned()
        }];
        for (index, tumour) in all.iter().take(shown).enumerate() {
            lines.extend(wrapped(&format!("  {}  ", index + 1), &size(tumour), 1));
            lines.push(format!("     {}", score(tumour)));
        }
        lines.push(String::new());
        if lines.len() <= room || shown == 0 {
            return lines;
        }
        shown -= 1;
    }
}

/// For instance `left, 40.3 mL, slices 12 to 31; 51 x 43 mm in slice 20, 54 mm in space`.
fn size(tumour: &TumourFindings) -> String {
    let side = match tumour.placement {
        Placement::Right => "right",
        Placement::Left => "left",
        Placement::Divided => "midline",
    };
    format!(
        "{side}, {:.1} mL, slices {} to {}; {:.0} x {:.0} mm in slice {}, {:.0} mm in space",
        tumour.volume_ml,
        tumour.first_slice,
        tumour.last_slice,
        tumour.in_plane_diameter.length_mm,
        tumour.in_plane_perpendicular.length_mm,
        tumour.in_plane_diameter.from_slice,
        tumour.largest_diameter.length_mm,
    )
}

/// The parts of the score, those that are approximate after a tilde; never a sum.
fn score(tumour: &TumourFindings) -> String {
    let renal = &tumour.renal;
    let points = |name: &str, points: Option<u8>| {
        points.map_or_else(|| format!("{name}n/a"), |points| format!("{name}{points}"))
    };
    format!(
        "RENAL: {}, {}, N n/a, A {}, {} (~ approximate, n/a not assessable)",
        points("R ", renal.radius.points),
        points("E ~", renal.exophytic.points),
        renal.anterior.letter.as_deref().unwrap_or("n/a"),
        points("L ~", renal.location.points),
    )
}

/// The main numbers: volumes and largest areas of each side. Also what a command prints when it is done.
#[must_use]
pub fn result_table(report: &Report) -> Vec<String> {
    let (right, left) = (&report.findings.sides.right, &report.findings.sides.left);
    let mut lines = vec![table_row(
        "RESULTS",
        ["right", "left", "both"].map(str::to_owned),
    )];
    let volumes: [(&str, Value); 3] = [
        ("Kidney volume, mL", |side| side.kidney_volume_ml),
        ("Tumour volume, mL", |side| side.tumour_volume_ml),
        ("Kidney with tumour, mL", |side| {
            side.kidney_and_tumour_volume_ml
        }),
    ];
    for (name, volume) in volumes {
        let values = [volume(right), volume(left), volume(right) + volume(left)];
        lines.push(table_row(
            &format!("  {name}"),
            values.map(|ml| number(ml, 1)),
        ));
    }
    let areas: [(&str, Value); 2] = [
        ("Largest kidney area, mm²", |side| {
            side.kidney_largest_area_mm2
        }),
        ("Largest tumour area, mm²", |side| {
            side.tumour_largest_area_mm2
        }),
    ];
    for (name, area) in areas {
        let values = [number(area(right), 0), number(area(left), 0), String::new()];
        lines.push(table_row(&format!("  {name}"), values));
    }
    let part = |side: &SideFindings| {
        side.kidney_volume_percent
            .map_or("-".to_owned(), |percent| format!("{percent:.0}"))
    };
    lines.push(table_row(
        "  Part of kidney volume, %",
        [part(right), part(left), String::new()],
    ));
    let slice = |side: &SideFindings| {
        side.mid_kidney_slice
            .map_or("-".to_owned(), |slice| slice.to_string())
    };
    lines.push(table_row(
        "  Middle kidney slice",
        [slice(right), slice(left), String::new()],
    ));
    lines
}

/// As many slices as fit into `room` lines, evenly spaced, always with the largest tumour area.
pub(super) fn areas(report: &Report, room: usize) -> Vec<String> {
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
        lines.push(columns(
            &slice.slice.to_string(),
            areas.map(|mm2| number(mm2, 0)),
        ));
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

pub(super) fn scan(report: &Report) -> Vec<String> {
    let input = &report.input;
    let spacing = input.spacing;
    let midline = if report.findings.midline_estimated {
        "found in the patient"
    } else {
        "middle of the image"
    };
    let mut lines = vec!["SCAN".to_owned()];
    lines.extend(entry("File", &input.file, 2));
    if let Some(hash) = &input.blake3 {
        lines.extend(entry("BLAKE3", hash, 1));
    }
    lines.extend(entry(
        "Grid",
        &format!(
            "{} slices of {} x {} pixels (rows x columns), stored {}",
            input.slices, input.rows, input.cols, input.orientation
        ),
        2,
    ));
    lines.extend(entry("Visited", &visited(report), 2));
    lines.extend(entry(
        "Spacing",
        &format!(
            "{:.3} mm between slices, {:.4} x {:.4} mm pixels",
            spacing.slice_mm, spacing.row_mm, spacing.col_mm
        ),
        1,
    ));
    lines.extend(entry(
        "Midline",
        &format!("column {:.1}, {midline}", report.findings.midline_column),
        1,
    ));
    lines.push(String::new());
    lines
}

/// Which slices the network was shown, in one sentence.
fn visited(report: &Report) -> String {
    let slices = report.input.slices;
    match &report.visited {
        Some(visited) if visited.slices < slices => format!(
            "{} of {slices} slices: some all along the scan, and all near those with kidney or tumour. The others count as background.",
            visited.slices
        ),
        _ => format!("all {slices} slices"),
    }
}

pub(super) fn model(report: &Report) -> Vec<String> {
    let model = &report.model;
    let mut lines = vec!["MODEL".to_owned()];
    lines.extend(entry(
        "Name",
        &format!(
            "{}, version {}, encoder {}",
            model.name, model.version, model.encoder
        ),
        2,
    ));
    lines.extend(entry("BLAKE3", &model.blake3, 1));
    if let Some(engine) = &report.engine {
        lines.extend(entry("Run as", &run_as(engine), 1));
    }
    lines.extend(entry("Test split", &model.test_scores, 3));
    lines.extend(entry("Licence", &model.licence_notice, 4));
    lines.push(String::new());
    lines
}

/// For instance `int8 on cpu, kernels avx2`.
fn run_as(engine: &EngineInfo) -> String {
    let part = engine.device_name.as_ref();
    let kernels = engine.kernels.as_ref();
    format!(
        "{} on {}{}{}",
        engine.arithmetic,
        engine.device,
        part.map_or(String::new(), |part| format!(", {part}")),
        kernels.map_or(String::new(), |kernels| format!(", kernels {kernels}"))
    )
}

/// The files beside the report, the pictures that were not made, and the time.
pub(super) fn files(report: &Report) -> Vec<String> {
    let mut lines = vec!["FILES".to_owned()];
    let names: Vec<&str> = report
        .outputs
        .iter()
        .map(|output| output.file.as_str())
        .collect();
    lines.extend(entry("Written", &names.join("  "), 3));
    for (picture, missing) in absent_pictures(report) {
        lines.extend(entry("Not made", &format!("{picture}: {missing}"), 1));
    }
    let timing = report.timing;
    lines.extend(entry(
        "Time",
        &format!(
            "{:.1} s, of which the network took {:.1} s",
            timing.total_s, timing.network_s
        ),
        1,
    ));
    lines.push("=".repeat(WIDTH));
    lines.push(
        "Slices are numbered from 0 at the head end. docs/report.md explains every field."
            .to_owned(),
    );
    lines
}

/// Pictures that a report does not have, and why.
pub(crate) fn absent_pictures(report: &Report) -> Vec<(&'static str, &'static str)> {
    let kidney = |side| report.findings.sides.get(side).mid_kidney_slice.is_some();
    let candidates = [
        (
            output::OVERLAY_TUMOUR,
            report.findings.peak_tumour_slice.is_some(),
            "no tumour was found",
        ),
        (
            output::OVERLAY_RIGHT,
            kidney(Side::Right),
            "no kidney was found on the right",
        ),
        (
            output::OVERLAY_LEFT,
            kidney(Side::Left),
            "no kidney was found on the left",
        ),
    ];
    candidates
        .into_iter()
        .filter(|(_, made, _)| !made)
        .map(|(name, _, why)| (name, why))
        .collect()
}

fn entry(name: &str, words: &str, most: usize) -> Vec<String> {
    wrapped(&format!("  {name:<NAME$}"), words, most)
}

fn table_row(name: &str, [right, left, both]: [String; 3]) -> String {
    let gap = 34_usize.saturating_sub(columns(name));
    format!("{name}{}{right:>14}{left:>14}{both:>14}", " ".repeat(gap))
}

/// A number for a table; nothing found is a dash, so that a small amount cannot be taken for it.
fn number(value: f64, digits: usize) -> String {
    if value > 0.0 {
        format!("{value:.digits$}")
    } else {
        "-".to_owned()
    }
}
