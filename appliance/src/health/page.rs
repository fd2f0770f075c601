//! The status page: HTML made here, without scripts; it reloads itself.

use std::fmt::Write;

use super::readiness;
use crate::snapshot::{Activity, ResultSummary, Snapshot};

const STYLE: &str = "\
:root{color-scheme:light dark;--bg:#f5f6f8;--card:#fff;--ink:#1a2230;--soft:#566173;--line:#dfe3e9;--good:#17703f;--bad:#b3261e;--bar:#2f6fb5}
@media(prefers-color-scheme:dark){:root{--bg:#11151b;--card:#1a2029;--ink:#e8ecf2;--soft:#a3aebd;--line:#2d3643;--good:#6fd39b;--bad:#ff8a80;--bar:#6ca8e8}}
*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
main,header,footer{max-width:64rem;margin:auto;padding:1rem}header{display:flex;flex-wrap:wrap;gap:.5rem 1rem;align-items:baseline}
h1{font-size:1.5rem;margin:0}h2{font-size:1rem;margin:0 0 .5rem;color:var(--soft)}p{margin:.25rem 0}
.grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(17rem,1fr));gap:1rem}
section{background:var(--card);border:1px solid var(--line);border-radius:.75rem;padding:1rem}.wide{grid-column:1/-1}
.big{font-size:1.35rem;font-weight:600}.soft,footer{color:var(--soft)}.good{color:var(--good);font-weight:600}.bad{color:var(--bad);font-weight:600}
progress{width:100%;height:.75rem;accent-color:var(--bar)}table{border-collapse:collapse;width:100%}
th,td{text-align:left;white-space:nowrap;padding:.4rem .75rem .4rem 0;border-bottom:1px solid var(--line)}td.n,th.n{text-align:right}
.results{display:flex;flex-wrap:wrap;gap:1rem;align-items:flex-start}.results img{flex:1 1 16rem;min-width:0;max-width:26rem;border-radius:.5rem;background:#000}\
.scroll{flex:1 1 24rem;overflow-x:auto}";

/// The page for one snapshot.
pub(super) fn html(state: &Snapshot) -> String {
    let name = escape(&state.name);
    let answer = readiness(state);
    let (mark, word) = if answer.ready {
        ("good", "✓ ready")
    } else {
        ("bad", "✗ not ready")
    };
    let mut out = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <meta http-equiv=\"refresh\" content=\"5\"><title>{name}: {word}</title><style>{STYLE}</style></head><body>\
         <header><h1>{name}</h1><span class=\"{mark}\">{word}</span></header><main class=\"grid\">"
    );
    let mut faults: Vec<_> = answer.reasons.clone();
    faults.extend(
        state
            .faults
            .iter()
            .filter(|fault| !fault.blocks)
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
    let queue = format!(
        "<p class=\"big\">{} waiting</p><p class=\"soft\">{} set aside</p>\
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

fn card(out: &mut String, class: &str, title: &str, body: &str) {
    let _ = write!(
        out,
        "<section class=\"{class}\"><h2>{title}</h2>{body}</section>"
    );
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
            "<img src=\"/overlay/{scan}\" alt=\"Slice of scan {scan} with kidney and tumour outlined\">"
        );
    }
    out += "<div class=\"scroll\"><table><thead><tr><th scope=\"col\">Scan</th><th scope=\"col\" class=\"n\">Kidney, ml</th>\
            <th scope=\"col\" class=\"n\">Tumour, ml</th><th scope=\"col\" class=\"n\">Time, s</th><th scope=\"col\" class=\"n\">Warnings</th></tr></thead><tbody>";
    for result in results {
        let _ = write!(
            out,
            "<tr><td>{}</td><td class=\"n\">{:.1}</td><td class=\"n\">{:.1}</td><td class=\"n\">{:.1}</td><td class=\"n\">{}</td></tr>",
            escape(&result.scan),
            result.kidney_ml,
            result.tumour_ml,
            result.seconds,
            result.warnings
        );
    }
    out + "</tbody></table></div></div>"
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}
