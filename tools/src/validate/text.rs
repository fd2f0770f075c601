//! A validation as text.

use std::fmt::Write as _;

use nephrobox_shared::class::Class;

use super::cases::short;
use super::outcome::{Outcome, percent, points};

/// The whole report.
pub(super) fn document(outcome: &Outcome) -> String {
    let Outcome {
        model,
        data,
        rules,
        r#box: of,
        ..
    } = outcome;
    let mut text = String::new();
    let _ = writeln!(text, "VALIDATION OF A BOX: {}", outcome.verdict);
    let _ = writeln!(text, "{}\n", outcome.notice);
    let [rows, cols] = data.scored_at;
    for (what, value) in [
        (
            "verdict",
            format!("{}: {}", outcome.verdict, outcome.reason()),
        ),
        (
            "made",
            format!(
                "{} by {} {}",
                outcome.made, outcome.program.name, outcome.program.version
            ),
        ),
        (
            "box",
            format!("{}, {}, on {}", of.name, of.software, of.line),
        ),
        (
            "model",
            format!("{} version {}, {}", model.name, model.version, model.blake3),
        ),
        ("arithmetic", model.arithmetic.clone()),
        (
            "cases",
            format!(
                "{} patients of the test split, {} scans, {} scored slices at {rows} x {cols}",
                data.cases, data.scans, data.slices
            ),
        ),
        (
            "data",
            format!(
                "fingerprint {}, split {}",
                short(&data.fingerprint),
                short(&data.split)
            ),
        ),
        ("label maps", outcome.maps_sentence()),
    ] {
        let _ = writeln!(text, "{what:<12}{value}");
    }
    let _ = writeln!(
        text,
        "\n{:<22}{:>10}{:>11}{:>9}   {:<20}",
        "patients weigh alike", "packed", "measured", "points", "95 % of patients"
    );
    for class in Class::ALL {
        let judged = outcome.classes.get(class);
        let _ = writeln!(text, "{:<52}{:>24}", class.name(), judged.verdict);
        for (metric, compared) in judged.metrics() {
            let interval = compared.interval.map_or("no interval".into(), |interval| {
                format!(
                    "{} .. {}",
                    percent(Some(interval.low)),
                    percent(Some(interval.high))
                )
            });
            let row = format!(
                "  {metric:<20}{:>10}{:>11}{:>9}   {interval:<20}",
                percent(compared.packed),
                percent(compared.measured),
                points(compared.difference),
            );
            let _ = writeln!(text, "{}", row.trim_end());
        }
    }
    let _ = writeln!(
        text,
        "\nPASS: within {:.2} points of the packed score. FAIL: worse by more, and either by more than {:.2} points or with the\n\
         packed score above the interval. DRIFT: any other difference. Interval: {} draws of patients, seed {}.",
        100.0 * rules.tolerance,
        100.0 * rules.tolerance * rules.limit,
        rules.resamples,
        rules.seed
    );
    for class in outcome.undefined() {
        let _ = writeln!(
            text,
            "No case shows {class}, neither in truth nor in the box's labels: it is not judged."
        );
    }
    if data.lost_pixels > 0 {
        let _ = writeln!(
            text,
            "{} pixels are not shown by label maps at the scans' own size and count as background.",
            data.lost_pixels
        );
    }
    text
}
