//! A validation as one page of A4 to print, sign and file. It is one file without scripts and asks for nothing on a network.

use std::fmt::Write as _;

use nephrobox_shared::class::Class;

use super::cases::short;
use super::judge::{Compared, Verdict};
use super::outcome::{Outcome, grouped, percent, points};

const STYLE: &str = include_str!("page.css");

/// Cases that the page names; `validation.json` has all.
const CASES: usize = 8;

/// The whole page.
pub(super) fn document(outcome: &Outcome) -> String {
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>Validation of {}, {}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n",
        escape(&outcome.model.name),
        outcome.verdict
    );
    head(&mut page, outcome);
    facts(&mut page, outcome);
    scores(&mut page, outcome);
    maps(&mut page, outcome);
    cases(&mut page, outcome);
    page.push_str(
        "<div class=\"sign\"><div>Validated by (name)</div><div>Signature</div><div>Date</div></div>\n</body>\n</html>\n",
    );
    page
}

fn head(page: &mut String, outcome: &Outcome) {
    let model = &outcome.model;
    let day = outcome.made.get(..10).unwrap_or(&outcome.made);
    let time = outcome.made.get(11..16).unwrap_or_default();
    let _ = write!(
        page,
        "<header><div><h1>Validation of a box</h1><p>{} version {} on {}, {day} {time} UTC</p></div>{}</header>\n<p class=\"notice\">{}</p>\n\
         <p class=\"reason\">{}.</p>\n",
        escape(&model.name),
        model.version,
        escape(&outcome.r#box.name),
        badge(outcome.verdict),
        escape(&outcome.notice),
        escape(&capital(&outcome.reason()))
    );
}

fn facts(page: &mut String, outcome: &Outcome) {
    let Outcome {
        model,
        data,
        r#box: of,
        program,
        ..
    } = outcome;
    let [rows, cols] = data.scored_at;
    let rows = [
        (
            "Box",
            format!("{}, {}, on {}", of.name, of.software, of.line),
        ),
        (
            "Model",
            format!(
                "{} version {}, computed in {}",
                model.name, model.version, model.arithmetic
            ),
        ),
        ("Package", model.blake3.clone()),
        (
            "Cases",
            format!(
                "{} patients of the test split, held back from training; {} scans, {} scored slices at {rows} x {cols} pixels",
                data.cases,
                data.scans,
                grouped(data.slices)
            ),
        ),
        (
            "Data",
            format!(
                "fingerprint {}, split {}",
                short(&data.fingerprint),
                short(&data.split)
            ),
        ),
        ("Judged by", format!("{} {}", program.name, program.version)),
    ];
    page.push_str("<dl>");
    for (what, value) in rows {
        let _ = write!(page, "<dt>{what}</dt><dd>{}</dd>", escape(&value));
    }
    page.push_str("</dl>\n");
}

fn scores(page: &mut String, outcome: &Outcome) {
    let rules = &outcome.rules;
    page.push_str(
        "<h2>Scores beside the packed ones</h2>\n<table><thead><tr><th></th><th>packed</th><th>measured</th>\
         <th>points</th><th>95 % of patients</th><th></th><th>verdict</th></tr></thead><tbody>\n",
    );
    for class in Class::ALL {
        let judged = outcome.classes.get(class);
        let _ = writeln!(
            page,
            "<tr class=\"class\"><td colspan=\"6\">{}</td><td>{}</td></tr>",
            capital(class.name()),
            badge(judged.verdict)
        );
        for (metric, compared) in judged.metrics() {
            let interval = compared.interval.map_or("–".into(), |interval| {
                format!(
                    "{:.2} – {:.2} %",
                    100.0 * interval.low,
                    100.0 * interval.high
                )
            });
            let _ = writeln!(
                page,
                "<tr class=\"metric\"><td>{metric}</td><td>{}</td><td>{}</td><td>{}</td><td>{interval}</td><td>{}</td><td class=\"small\">{}</td></tr>",
                percent(compared.packed),
                percent(compared.measured),
                points(compared.difference),
                picture(compared),
                if compared.verdict == judged.verdict {
                    ""
                } else {
                    compared.verdict.name()
                },
            );
        }
    }
    page.push_str("</tbody></table>\n");
    let _ = writeln!(
        page,
        "<p class=\"small\">Pixels of all scored slices, every patient weighing alike. PASS: within {:.2} points of the packed score. FAIL: worse by \
         more, and either by more than {:.2} points or with the packed score above the interval. DRIFT: any other difference. \
         Interval: {} draws of patients with replacement, seed {}. In the pictures the bar is the interval, the dot the measured \
         and the stroke the packed score.</p>",
        100.0 * rules.tolerance,
        100.0 * rules.tolerance * rules.limit,
        grouped(u64::from(rules.resamples)),
        rules.seed
    );
    for class in outcome.undefined() {
        let _ = writeln!(
            page,
            "<p>No case shows {class}, neither in truth nor in the box's labels: it is not judged.</p>"
        );
    }
}

/// Interval, measured and packed score of one row.
fn picture(compared: &Compared) -> String {
    let ends = compared
        .interval
        .map(|interval| [interval.low, interval.high]);
    let all = [compared.packed, compared.measured]
        .into_iter()
        .flatten()
        .chain(ends.into_iter().flatten());
    let (low, high) = all.fold((f64::MAX, f64::MIN), |(low, high), x| {
        (low.min(x), high.max(x))
    });
    if low > high {
        return String::new();
    }
    // A tenth of room on both sides, and something to divide by where all are the same.
    let room = (0.1 * (high - low)).max(1e-4);
    let at = |x: f64| 200.0 * (x - low + room) / (high - low + 2.0 * room);
    let mut svg = String::from(
        "<svg viewBox=\"0 0 200 18\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"interval\">",
    );
    if let Some([low, high]) = ends {
        let (from, to) = (at(low), at(high));
        let _ = write!(
            svg,
            "<rect x=\"{from:.1}\" y=\"6\" width=\"{:.1}\" height=\"6\" rx=\"3\" fill=\"#b6c6d8\"/>",
            (to - from).max(1.0)
        );
    }
    if let Some(measured) = compared.measured {
        let _ = write!(
            svg,
            "<circle cx=\"{:.1}\" cy=\"9\" r=\"5\" fill=\"#1f5fa8\"/>",
            at(measured)
        );
    }
    if let Some(packed) = compared.packed {
        let _ = write!(
            svg,
            "<rect x=\"{:.1}\" y=\"0\" width=\"2.4\" height=\"18\" fill=\"#1b1f24\"/>",
            at(packed) - 1.2
        );
    }
    svg.push_str("</svg>");
    svg
}

fn maps(page: &mut String, outcome: &Outcome) {
    let maps = &outcome.maps;
    let _ = writeln!(
        page,
        "<h2>Label maps beside the workstation's {}</h2>\n<p>{}.</p>",
        if maps.verdict == Verdict::NotJudged {
            String::new()
        } else {
            badge(maps.verdict)
        },
        escape(&capital(&outcome.maps_sentence()))
    );
    let lost = outcome.data.lost_pixels;
    if lost > 0 {
        let _ = writeln!(
            page,
            "<p class=\"small\">{} pixels of the scored slices are not shown by label maps at the scans' own size and count as background.</p>",
            grouped(lost)
        );
    }
}

fn cases(page: &mut String, outcome: &Outcome) {
    let shown = outcome.by_need();
    let all = shown.len();
    let _ = write!(
        page,
        "<h2>{}</h2>\n<table><thead><tr><th>case</th><th>slices</th><th>Dice, kidney</th><th>Dice, tumour</th>\
         <th>voxels that differ</th><th>seconds</th></tr></thead><tbody>\n",
        if all > CASES {
            format!("The {CASES} cases of {all} that most need a look; validation.json has all")
        } else {
            "Cases".to_owned()
        }
    );
    for case in shown.into_iter().take(CASES) {
        let _ = writeln!(
            page,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{:.1}</td></tr>",
            escape(&case.case),
            case.slices,
            percent(case.scores.kidney.dice),
            percent(case.scores.tumour.dice),
            grouped(case.different_voxels),
            case.seconds
        );
    }
    page.push_str("</tbody></table>\n");
}

fn badge(verdict: Verdict) -> String {
    let name = verdict.name();
    let class = name.to_lowercase().replace(' ', "-");
    format!("<span class=\"verdict {class}\">{name}</span>")
}

/// With a capital at the beginning.
fn capital(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map_or(String::new(), |first| {
        first.to_uppercase().chain(rest).collect()
    })
}

/// Text that is no markup.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
