//! The status page: HTML made here, without scripts; it reloads itself.

use std::fmt::Write;

use super::html::{self, card, escape};
use super::readiness;
use crate::snapshot::{Activity, ResultSummary, Snapshot};

/// The page for one snapshot.
pub(super) fn html(state: &Snapshot) -> String {
    let name = escape(&state.name);
    let answer = readiness(state);
    let (mark, word) = if answer.ready {
        ("good", "✓ ready")
    } else {
        ("bad", "✗ not ready")
    };
    let title = format!("{name}: {word}");
    let aside =
        format!("<span class=\"{mark}\">{word}</span><a href=\"/studies\">Recent studies</a>");
    let mut out = html::head(&title, Some(5), &name, &aside, "grid");
    let mut faults: Vec<_> = answer.reasons.clone();
    faults.extend(
        state
            .faults
            .iter()
            .filter(|fault| !fault.blocks())
            .map(|fault| fault.message.clone()),
    );
    if !faults.is_empty() {
        let mut list = "<ul class=\"bad\">".to_owned();
        for fault in &faults {
            let _ = write!(list, "<li>{}</li>", escape(fault));
        }
        list += "</ul>";
        card(&mut out, "wide", "Needs attention", &list);
    }
    card(&mut out, "", "Now", &now(&state.activity));
    let model = state
        .active_model
        .as_deref()
        .map_or_else(|| "none".to_owned(), escape);
    let mut models = format!("<p class=\"big\">{model}</p>");
    for (letter, slot) in ["A", "B"].iter().zip(&state.slots) {
        let model = slot.model.as_deref().map(escape);
        let model = model.map(|model| model + ", ").unwrap_or_default();
        let _ = write!(
            models,
            "<p class=\"soft\">Slot {letter}: {model}{}</p>",
            slot.state.word()
        );
    }
    card(&mut out, "", "Model", &models);
    let (used, limit) = (
        state.used_bytes as f64 / 1e9,
        state.limit_bytes as f64 / 1e9,
    );
    let arriving = match (state.arriving_series, state.arriving_slices) {
        (0, _) => String::new(),
        (1, slices) => format!("<p>A series is coming in: {slices} slices are here.</p>"),
        (series, slices) => {
            format!("<p>{series} series are coming in: {slices} slices are here.</p>")
        }
    };
    let silent = if state.silent {
        "<p>Silent mode: results stay here, and nobody gets them.</p>"
    } else {
        ""
    };
    let queue = format!(
        "<p class=\"big\">{} waiting</p>{silent}{arriving}<p class=\"soft\">{} set aside</p>\
         <p class=\"soft\">{used:.1} of {limit:.1} GB used</p><progress aria-label=\"room used\" value=\"{used}\" max=\"{}\"></progress>",
        state.queued,
        state.aside,
        limit.max(f64::MIN_POSITIVE)
    );
    card(&mut out, "", "Queue", &queue);
    card(&mut out, "wide", "Last results", &results(&state.results));
    let _ = writeln!(
        out,
        "</main><footer>For research use only. Not for diagnosis. nephrobox {} · {} scans finished, {} failed since the start</footer></body></html>",
        escape(&state.version),
        state.counters.finished,
        state.counters.failed
    );
    out
}

fn now(activity: &Activity) -> String {
    let bar = |label: &str, done: u64, all: u64| {
        format!(
            "<progress aria-label=\"{label}\" value=\"{}\" max=\"{}\"></progress>",
            done.min(all),
            all.max(1)
        )
    };
    match activity {
        Activity::Idle => {
            "<p class=\"big\">idle</p><p class=\"soft\">Waiting for a scan.</p>".to_owned()
        }
        Activity::Receiving {
            scan,
            done_bytes,
            total_bytes,
        } => format!(
            "<p class=\"big\">receiving</p><p class=\"soft\">Scan {}, {:.1} of {:.1} MB</p>{}",
            escape(scan),
            *done_bytes as f64 / 1e6,
            *total_bytes as f64 / 1e6,
            bar("bytes received", *done_bytes, *total_bytes)
        ),
        Activity::Working {
            scan,
            slice,
            slices,
        } => format!(
            "<p class=\"big\">working</p><p class=\"soft\">Scan {}, slice {slice} of {slices}</p>{}",
            escape(scan),
            bar("slices done", u64::from(*slice), u64::from(*slices))
        ),
        Activity::Flashing { step } => {
            format!(
                "<p class=\"big\">installing a model</p><p class=\"soft\">{}</p>",
                escape(step)
            )
        }
    }
}

fn results(results: &[ResultSummary]) -> String {
    let Some(last) = results.first() else {
        return "<p class=\"soft\">None yet.</p>".to_owned();
    };
    // Side by side where there is room, so that the numbers are seen without scrolling.
    let mut out = "<div class=\"results\">".to_owned();
    if last.overlay_png.is_some() {
        let scan = escape(&last.scan);
        let _ = write!(
            out,
            "<a class=\"picture\" href=\"/studies/{scan}\"><img src=\"/overlay/{scan}\" alt=\"Slice of scan {scan} with kidney and tumour outlined\"></a>"
        );
    }
    out += "<div class=\"scroll\"><table><thead><tr><th scope=\"col\">Scan</th><th scope=\"col\" class=\"n\">Kidney, mL</th>\
            <th scope=\"col\" class=\"n\">Tumour, mL</th><th scope=\"col\" class=\"n\">Time, s</th><th scope=\"col\" class=\"n\">Warnings</th></tr></thead><tbody>";
    for result in results {
        let scan = escape(&result.scan);
        let _ = write!(
            out,
            "<tr><td><a href=\"/studies/{scan}\">{scan}</a></td><td class=\"n\">{:.1}</td><td class=\"n\">{:.1}</td><td class=\"n\">{:.1}</td><td class=\"n\">{}</td></tr>",
            result.kidney_ml, result.tumour_ml, result.seconds, result.warnings
        );
    }
    out + "</tbody></table></div></div>"
}
