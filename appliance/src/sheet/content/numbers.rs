//! The tables: results, tumours, change.

use nephrobox_shared::measure::{Placement, Side};
use nephrobox_shared::moment;
use nephrobox_shared::report::{
    Change, DiameterChange, RECIST_LEAST_MM, Report, SideChange, SideFindings, TumourFindings,
    VolumeChange,
};

use super::{Table, clean};

/// One number of a side.
type Value = fn(&SideFindings) -> f64;

/// Volumes and largest areas of each side, the patient's right on the left as in the pictures.
pub(super) fn results(report: &Report) -> Table {
    let (right, left) = (&report.findings.sides.right, &report.findings.sides.left);
    let mut rows = Vec::new();
    let mut row = |name: &str, values: [String; 3]| {
        rows.push([vec![name.to_owned()], values.to_vec()].concat());
    };
    let volumes: [(&str, Value); 3] = [
        ("Kidney volume, mL", |side| side.kidney_volume_ml),
        ("Tumour volume, mL", |side| side.tumour_volume_ml),
        ("Kidney with tumour, mL", |side| {
            side.kidney_and_tumour_volume_ml
        }),
    ];
    for (name, volume) in volumes {
        let values = [volume(right), volume(left), volume(right) + volume(left)];
        row(name, values.map(|ml| number(ml, 1)));
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
        row(
            name,
            [number(area(right), 0), number(area(left), 0), String::new()],
        );
    }
    let part = |side: &SideFindings| {
        side.kidney_volume_percent
            .map_or_else(none, |percent| format!("{percent:.0}"))
    };
    row(
        "Part of kidney volume, %",
        [part(right), part(left), String::new()],
    );
    let slice = |side: &SideFindings| {
        side.mid_kidney_slice
            .map_or_else(none, |slice| slice.to_string())
    };
    row(
        "Middle kidney slice",
        [slice(right), slice(left), String::new()],
    );

    let mut notes =
        vec!["Right and left are the patient's. Kidney is kidney without its tumour.".to_owned()];
    if let Some(slice) = report.findings.peak_tumour_slice {
        notes.push(format!("Slice with the largest tumour area: {slice}"));
    }
    Table {
        title: "Results".into(),
        columns: ["", "right", "left", "both"].map(str::to_owned).to_vec(),
        rows,
        notes,
    }
}

/// One row for each tumour, the largest first. Parts of the score that are approximate stand after a tilde; there is never a sum.
pub(super) fn tumours(report: &Report) -> Table {
    let rows = report.findings.tumours.iter().enumerate();
    Table {
        title: "Tumours".into(),
        columns: [
            "",
            "mL",
            "slices",
            "in a slice, mm",
            "in space, mm",
            "R",
            "E",
            "N",
            "A",
            "L",
        ]
        .map(str::to_owned)
        .to_vec(),
        rows: rows
            .map(|(index, tumour)| tumour_row(index, tumour))
            .collect(),
        notes: vec![
            "R.E.N.A.L.: parts only, never a sum. ~ approximate, n/a not assessable.".to_owned(),
        ],
    }
}

fn tumour_row(index: usize, tumour: &TumourFindings) -> Vec<String> {
    let side = match tumour.placement {
        Placement::Right => Side::Right.name(),
        Placement::Left => Side::Left.name(),
        Placement::Divided => "midline",
    };
    let renal = &tumour.renal;
    let absent = || "n/a".to_owned();
    let points = |points: Option<u8>| points.map_or_else(absent, |points| points.to_string());
    let about = |points: Option<u8>| points.map_or_else(absent, |points| format!("~{points}"));
    let letter = renal.anterior.letter.as_deref();
    vec![
        format!("{} {side}", index + 1),
        format!("{:.1}", tumour.volume_ml),
        format!("{}-{}", tumour.first_slice, tumour.last_slice),
        format!(
            "{:.0} × {:.0} (slice {})",
            tumour.in_plane_diameter.length_mm,
            tumour.in_plane_perpendicular.length_mm,
            tumour.in_plane_diameter.from_slice,
        ),
        format!("{:.0}", tumour.largest_diameter.length_mm),
        points(renal.radius.points),
        about(renal.exophytic.points),
        points(renal.nearness.points),
        letter.map_or_else(absent, clean),
        about(renal.location.points),
    ]
}

/// Then, now and the difference on each side.
pub(super) fn change(change: &Change) -> Table {
    let sides =
        |words: &dyn Fn(&SideChange) -> String| Side::ALL.map(|side| words(change.sides.get(side)));
    let volume = |volume: VolumeChange| {
        let values = [volume.earlier_ml, volume.later_ml, volume.difference_ml];
        then_and_now(values, volume.difference_percent, 1)
    };
    let diameter = |diameter: DiameterChange| {
        let values = [
            diameter.earlier_mm,
            diameter.later_mm,
            diameter.difference_mm,
        ];
        then_and_now(values, diameter.difference_percent, 0)
    };
    let measures = [
        (
            "Kidney volume, mL",
            sides(&|side| volume(side.kidney_volume)),
        ),
        (
            "Tumour volume, mL",
            sides(&|side| volume(side.tumour_volume)),
        ),
        (
            "Tumour in a slice, mm",
            sides(&|side| side.tumour_in_plane_diameter.map_or_else(none, diameter)),
        ),
    ];
    let diameters = Side::ALL.map(|side| change.sides.get(side).tumour_in_plane_diameter);
    let mut notes = Vec::new();
    if diameters.iter().flatten().any(DiameterChange::is_small) {
        notes.push(format!(
            "Of diameters, RECIST 1.1 counts no growth below {RECIST_LEAST_MM:.0} mm."
        ));
    }
    if !change.same_model {
        notes.push(
            "Another model or arithmetic outlined the earlier scan; part may be due to it.".into(),
        );
    }
    let days = match change.days {
        Some(1) => ", 1 day".to_owned(),
        Some(days) => format!(", {days} days"),
        None => String::new(),
    };
    Table {
        title: format!(
            "Change since {}{days}",
            moment::date(&clean(&change.study_date))
        ),
        columns: ["", "right", "left"].map(str::to_owned).to_vec(),
        rows: measures
            .into_iter()
            .map(|(name, [right, left])| vec![name.to_owned(), right, left])
            .collect(),
        notes,
    }
}

/// For instance `12.1 → 14.6 (+2.5, +21 %)`.
fn then_and_now(
    [earlier, later, difference]: [f64; 3],
    percent: Option<f64>,
    digits: usize,
) -> String {
    if earlier <= 0.0 && later <= 0.0 {
        return none();
    }
    let percent = percent.map_or_else(String::new, |percent| format!(", {} %", signed(percent, 0)));
    format!(
        "{} → {} ({}{percent})",
        number(earlier, digits),
        number(later, digits),
        signed(difference, digits)
    )
}

/// A number for a table; nothing found is a dash, so that a small amount cannot be taken for it.
fn number(value: f64, digits: usize) -> String {
    if value > 0.0 {
        format!("{value:.digits$}")
    } else {
        none()
    }
}

/// A difference with its sign; one that is written as nothing has none.
fn signed(value: f64, digits: usize) -> String {
    let written = format!("{value:+.digits$}");
    if written.chars().any(|digit| ('1'..='9').contains(&digit)) {
        written
    } else {
        written[1..].to_owned()
    }
}

fn none() -> String {
    "-".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_carry_their_sign_unless_they_are_nothing() {
        assert_eq!(signed(3.12, 1), "+3.1");
        assert_eq!(signed(-3.12, 1), "-3.1");
        assert_eq!(
            (signed(0.04, 1), signed(-0.04, 1)),
            ("0.0".into(), "0.0".into())
        );
    }
}
