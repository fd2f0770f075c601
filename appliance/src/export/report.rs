//! A report without whose it is: an allow-list of its fields.

use nephrobox_shared::report::{OutputFile, Report};
use serde_json::{Map, Value};

/// Fields that may leave, by the object that they stand in. `[]` stands for each element of a list, `*` for either side. A field of another
/// name does not leave, whatever it holds; nor does a text in a field of numbers.
#[rustfmt::skip]
const KEPT: &[(&str, Fields)] = &[
    ("", fields(&["schema_version"], &["notice"])),
    ("program", fields(&[], &["name", "version"])),
    ("model", fields(&["version"], &["name", "blake3", "encoder", "licence_notice", "test_scores"])),
    ("engine", fields(&["threads"], &["device", "device_name", "arithmetic", "kernels"])),
    ("input", fields(&["slices", "rows", "cols"], &["orientation"])),
    ("input.spacing", fields(&["slice_mm", "row_mm", "col_mm"], &[])),
    ("visited", fields(&["slices"], &[])),
    ("visited.runs[]", fields(&["first_slice", "last_slice"], &[])),
    ("findings", fields(&["midline_column", "midline_estimated", "peak_tumour_slice"], &[])),
    ("findings.sides.*", fields(&[
        "kidney_volume_ml", "tumour_volume_ml", "kidney_and_tumour_volume_ml", "kidney_largest_area_mm2", "tumour_largest_area_mm2",
        "mid_kidney_slice", "peak_kidney_slice", "peak_tumour_slice", "kidney_volume_percent", "tumour_components",
        "tumour_in_plane_diameter_mm", "tumour_largest_diameter_mm",
    ], &[])),
    ("findings.component_counts", fields(&["kidney_and_tumour", "kidney", "tumour"], &[])),
    ("findings.components[]", fields(&[
        "volume_ml", "kidney_voxels", "tumour_voxels", "first_slice", "last_slice", "centroid_slice", "centroid_row", "centroid_column",
        "at_scan_end", "at_border", "dropped",
    ], &["structure", "placement"])),
    ("findings.slices[]", fields(&["slice"], &[])),
    ("findings.slices[].*", fields(&["kidney_area_mm2", "tumour_area_mm2"], &[])),
    ("findings.tumours[]", fields(&["volume_ml", "first_slice", "last_slice", "touches_kidney"], &["placement"])),
    ("findings.tumours[].in_plane_diameter", LINE),
    ("findings.tumours[].in_plane_perpendicular", LINE),
    ("findings.tumours[].largest_diameter", LINE),
    ("findings.tumours[].renal", fields(&[
        "outside_kidney_percent", "in_front_percent", "between_polar_lines_percent", "crosses_middle",
    ], &[])),
    ("findings.tumours[].renal.radius", POINTS),
    ("findings.tumours[].renal.exophytic", POINTS),
    ("findings.tumours[].renal.nearness", POINTS),
    ("findings.tumours[].renal.anterior", fields(&[], &["letter", "basis"])),
    ("findings.tumours[].renal.location", POINTS),
    ("findings.hu", fields(&["air_percent", "soft_tissue_percent", "dense_percent", "kidney_mean_hu"], &[])),
    ("confidence", fields(&[
        "slices", "kidney_probability", "tumour_probability", "kidney_unsure_percent", "tumour_unsure_percent",
        "flipped_kidney_dice", "flipped_tumour_dice",
    ], &[])),
    ("warnings[]", fields(&[], &["code", "severity"])),
    ("timing", fields(&["read_s", "network_s", "measure_s", "write_s", "total_s"], &[])),
];

const LINE: Fields = fields(
    &[
        "length_mm",
        "from_slice",
        "from_row",
        "from_column",
        "to_slice",
        "to_row",
        "to_column",
    ],
    &[],
);
const POINTS: Fields = fields(&["points"], &["basis"]);

/// What may leave of one object, beside objects and lists that have an entry of their own.
#[derive(Clone, Copy)]
struct Fields {
    /// Numbers, yes and no.
    numbers: &'static [&'static str],
    /// Texts that come from the program or the model.
    texts: &'static [&'static str],
}

const fn fields(numbers: &'static [&'static str], texts: &'static [&'static str]) -> Fields {
    Fields { numbers, texts }
}

/// The report in `json` with what may leave of it. `name` stands in the place of the scan's, `files` are those that are exported.
/// `None` if it is no report, or one that does not hold together without what may not leave.
pub(super) fn deidentified(json: &[u8], name: &str, files: &[&str]) -> Option<Report> {
    let original: Value = serde_json::from_slice(json).ok()?;
    let mut kept = keep(original.as_object()?, "");
    let input = kept.get_mut("input")?.as_object_mut()?;
    input.insert("file".into(), name.into());
    // What a warning says may come from the scan's own files; what its code means does not.
    for warning in kept.get_mut("warnings")?.as_array_mut()? {
        let warning = warning.as_object_mut()?;
        let code = warning.get("code")?.as_str()?.replace('_', " ");
        let message = format!("{code} (the sentence stays on the box).");
        warning.insert("message".into(), message.into());
    }
    kept.insert("outputs".into(), Value::Array(Vec::new()));
    let mut report: Report = serde_json::from_value(kept.into()).ok()?;
    let others = files
        .iter()
        .filter(|file| **file != crate::output::REPORT_JSON);
    report.outputs = others.map(|file| output(file)).collect();
    Some(report)
}

/// A file beside the report.
fn output(file: &str) -> OutputFile {
    let kind = match file.rsplit('.').next() {
        Some("txt") => "text",
        Some("png") => "overlay",
        Some("dcm") => "object",
        _ => "labels",
    };
    OutputFile {
        kind: kind.into(),
        file: file.into(),
    }
}

/// What may leave of the object at `place`.
fn keep(object: &Map<String, Value>, place: &str) -> Map<String, Value> {
    let rule = KEPT.iter().find(|(known, _)| *known == place);
    let (numbers, texts) = rule.map_or((&[][..], &[][..]), |(_, rule)| (rule.numbers, rule.texts));
    let mut kept = Map::new();
    for (name, value) in object {
        let below = below(place, name);
        let value = match value {
            Value::Number(_) | Value::Bool(_) if numbers.contains(&name.as_str()) => value.clone(),
            Value::Null if [numbers, texts].concat().contains(&name.as_str()) => Value::Null,
            Value::String(_) if texts.contains(&name.as_str()) => value.clone(),
            Value::Object(object) if is_known(&below) => keep(object, &below).into(),
            Value::Array(list) if is_known(&format!("{below}[]")) => {
                let objects = list.iter().filter_map(Value::as_object);
                objects
                    .map(|object| Value::Object(keep(object, &format!("{below}[]"))))
                    .collect()
            }
            _ => continue,
        };
        kept.insert(name.clone(), value);
    }
    kept
}

/// The place of a field in an object at `place`; both sides of the patient are one.
fn below(place: &str, name: &str) -> String {
    let name = if ["right", "left"].contains(&name) {
        "*"
    } else {
        name
    };
    if place.is_empty() {
        name.to_owned()
    } else {
        format!("{place}.{name}")
    }
}

/// Whether something at this place, or below it, may leave.
fn is_known(place: &str) -> bool {
    KEPT.iter().any(|(known, _)| {
        let rest = known.strip_prefix(place);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_listed_stays_at_whatever_depth_and_in_whatever_form() {
        let original = serde_json::json!({
            "schema_version": 1, "notice": "n", "patient": "MARKER", "subject": { "patient_name": "MARKER" },
            "program": { "name": "p", "version": "1", "host": "MARKER" },
            "input": { "slices": 3, "rows": "MARKER", "file": "MARKER", "blake3": "MARKER", "spacing": ["MARKER"] },
            "warnings": [{ "code": "one_kidney", "message": "MARKER", "severity": "note" }, "MARKER"],
            "findings": { "sides": { "right": { "kidney_volume_ml": 3.5, "note": "MARKER" }, "third": { "kidney_volume_ml": 1 } } },
            "change": { "scan": "MARKER" },
        });
        let kept = Value::Object(keep(original.as_object().expect("an object"), ""));
        assert_eq!(
            kept,
            serde_json::json!({
                "schema_version": 1, "notice": "n",
                "program": { "name": "p", "version": "1" },
                "input": { "slices": 3 },
                "warnings": [{ "code": "one_kidney", "severity": "note" }],
                "findings": { "sides": { "right": { "kidney_volume_ml": 3.5 } } },
            })
        );
    }

    #[test]
    fn the_page_names_every_place() {
        let page = include_str!("../../../docs/privacy.md");
        for (place, _) in KEPT.iter().filter(|(place, _)| !place.is_empty()) {
            let top = place.split(['.', '[']).next().unwrap_or_default();
            assert!(page.contains(&format!("`{top}`")), "{top}");
        }
    }
}
