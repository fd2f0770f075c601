//! The small print: scan, model, files.

use nephrobox_shared::report::{Confidence, EngineInfo, Report};

use super::{Entry, Section};
use crate::output;

pub(super) fn scan(report: &Report) -> Section {
    let input = &report.input;
    let spacing = input.spacing;
    let midline = if report.findings.midline_estimated {
        "found in the patient"
    } else {
        "middle of the image"
    };
    let mut entries = vec![Entry::new("File", &input.file, 2)];
    if let Some(hash) = &input.blake3 {
        entries.push(Entry::new("BLAKE3", hash, 1));
    }
    entries.extend([
        Entry::new(
            "Grid",
            format!(
                "{} slices of {} x {} pixels (rows x columns), stored {}",
                input.slices, input.rows, input.cols, input.orientation
            ),
            2,
        ),
        Entry::new("Visited", visited(report), 2),
        Entry::new(
            "Spacing",
            format!(
                "{:.3} mm between slices, {:.4} x {:.4} mm pixels",
                spacing.slice_mm, spacing.row_mm, spacing.col_mm
            ),
            1,
        ),
        Entry::new(
            "Midline",
            format!("column {:.1}, {midline}", report.findings.midline_column),
            1,
        ),
    ]);
    Section {
        title: "Scan",
        entries,
    }
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

pub(super) fn model(report: &Report) -> Section {
    let model = &report.model;
    let mut entries = vec![
        Entry::new(
            "Name",
            format!(
                "{}, version {}, encoder {}",
                model.name, model.version, model.encoder
            ),
            2,
        ),
        Entry::new("BLAKE3", &model.blake3, 1),
    ];
    if let Some(engine) = &report.engine {
        entries.push(Entry::new("Run as", run_as(engine), 1));
    }
    if let Some(words) = report.confidence.as_ref().and_then(sureness) {
        entries.push(Entry::new("Confidence", words, 2));
    }
    entries.push(Entry::new("Test split", &model.test_scores, 3));
    entries.push(Entry::new("Licence", &model.licence_notice, 4));
    Section {
        title: "Model",
        entries,
    }
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

/// For instance `probability of kidney 0.97, of tumour 0.91; mirrored, Dice of kidney 0.98, of tumour 0.90`.
fn sureness(confidence: &Confidence) -> Option<String> {
    let pair = |kidney: Option<f64>, tumour: Option<f64>| {
        let named = [("kidney", kidney), ("tumour", tumour)];
        let named = named
            .iter()
            .filter_map(|(name, value)| value.map(|value| format!("of {name} {value:.2}")));
        named.collect::<Vec<_>>().join(", ")
    };
    let parts = [
        (
            "probability ",
            pair(confidence.kidney_probability, confidence.tumour_probability),
        ),
        (
            "mirrored, Dice ",
            pair(
                confidence.flipped_kidney_dice,
                confidence.flipped_tumour_dice,
            ),
        ),
    ];
    let parts = parts.iter().filter(|(_, values)| !values.is_empty());
    let parts: Vec<_> = parts
        .map(|(name, values)| format!("{name}{values}"))
        .collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// The files beside the report, the pictures that were not made, and the time.
pub(super) fn files(report: &Report) -> Section {
    let names: Vec<&str> = report
        .outputs
        .iter()
        .map(|output| output.file.as_str())
        .collect();
    let mut entries = vec![Entry::new("Written", names.join("  "), 3)];
    for (picture, missing) in absent_pictures(report) {
        entries.push(Entry::new("Not made", format!("{picture}: {missing}"), 1));
    }
    let timing = report.timing;
    entries.push(Entry::new(
        "Time",
        format!(
            "{:.1} s, of which the network took {:.1} s",
            timing.total_s, timing.network_s
        ),
        1,
    ));
    Section {
        title: "Files",
        entries,
    }
}

/// Pictures that a report does not have, and why.
fn absent_pictures(report: &Report) -> Vec<(&'static str, &'static str)> {
    let sides = &report.findings.sides;
    let candidates = [
        (
            output::OVERLAY_TUMOUR,
            report.findings.peak_tumour_slice.is_some(),
            "no tumour was found",
        ),
        (
            output::OVERLAY_RIGHT,
            sides.right.mid_kidney_slice.is_some(),
            "no kidney was found on the right",
        ),
        (
            output::OVERLAY_LEFT,
            sides.left.mid_kidney_slice.is_some(),
            "no kidney was found on the left",
        ),
    ];
    candidates
        .into_iter()
        .filter(|(_, made, _)| !made)
        .map(|(name, _, why)| (name, why))
        .collect()
}
