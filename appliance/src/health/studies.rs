//! The pages of studies: the list, and one study with its flags, measures and pictures.

use std::cmp::Reverse;
use std::fmt::Write;
use std::time::Duration;

use nephrobox_shared::measure::{Side, Sides};
use nephrobox_shared::moment::{date, rfc3339};
use nephrobox_shared::report::{
    Change, RESEARCH_USE_NOTICE, Report, Severity, SideFindings, Subject, Warning,
};

use super::html::{self, card, escape};
use super::shelf::{List, Study};
use crate::output::{OVERLAY_KEY, OVERLAY_LEFT, OVERLAY_RIGHT, OVERLAY_TUMOUR, REPORT_PNG};
use crate::spool::{Outcome, State};

/// Seconds until a page whose content still changes is asked for again.
const AGAIN_S: u32 = 30;

/// A picture of a study: its file, what stands beneath it, what it is called for those who do not see it.
const PICTURES: [(&str, &str, &str); 3] = [
    (
        OVERLAY_TUMOUR,
        "Largest area of tumour",
        "The slice with the largest area of tumour, kidney and tumour outlined",
    ),
    (
        OVERLAY_RIGHT,
        "Right kidney",
        "The middle slice of the kidney on the patient's right, kidney and tumour outlined",
    ),
    (
        OVERLAY_LEFT,
        "Left kidney",
        "The middle slice of the kidney on the patient's left, kidney and tumour outlined",
    ),
];

/// A measure of a side: its name, its value, its number of decimals.
type Measure = (&'static str, fn(&SideFindings) -> Option<f64>, usize);

/// The measures of the table, each with a sum of both sides where that means something.
#[rustfmt::skip]
const MEASURES: [(Measure, bool); 5] = [
    (("Kidney without tumour, mL", |side| Some(side.kidney_volume_ml), 1), true),
    (("Tumour, mL", |side| Some(side.tumour_volume_ml), 1), true),
    (("Tumours", |side| Some(side.tumour_components as f64), 0), true),
    (("Tumour's largest diameter in a slice, mm", |side| side.tumour_in_plane_diameter_mm, 1), false),
    (("Tumour's largest diameter in space, mm", |side| side.tumour_largest_diameter_mm, 1), false),
];

/// What a word of the list means to the eye.
fn state(state: &State) -> (&'static str, &'static str) {
    match state {
        State::Receiving { .. } => ("soft", "being received"),
        State::Waiting { .. } => ("soft", "waiting"),
        State::Working { .. } => ("soft", "in work"),
        State::Ended(Outcome::Finished) => ("good", "✓ finished"),
        State::Ended(Outcome::Refused { .. }) => ("bad", "✗ not usable"),
        State::Ended(Outcome::SetAside { .. }) => ("bad", "✗ set aside"),
    }
}

/// A page of the list. `identity` is whether it says whose each study is.
pub(super) fn list(name: &str, list: &List, identity: bool) -> String {
    let heading = format!("Studies on {}", escape(name));
    let aside = format!(
        "<span class=\"soft\">{} in all</span><a href=\"/\">Status</a><p class=\"notice\">{RESEARCH_USE_NOTICE}</p>",
        list.all
    );
    // Older pages are read, not watched.
    let refresh = (list.page == 1).then_some(AGAIN_S);
    let mut out = html::head(&heading, refresh, &heading, &aside, "");
    if list.studies.is_empty() {
        out += "<section><p class=\"big\">No studies yet</p><p class=\"soft\">A scan appears here once it is sent.</p></section>";
    }
    out += "<ol class=\"studies\">";
    for study in &list.studies {
        item(&mut out, study, identity);
    }
    out += "</ol>";
    if list.pages > 1 {
        pages(&mut out, list);
    }
    finish(out)
}

fn item(out: &mut String, study: &Study, identity: bool) {
    let id = study.listed.id;
    out.push_str("<li>");
    if study.has(OVERLAY_KEY) {
        let _ = write!(
            out,
            "<div class=\"thumb\"><img src=\"/studies/{id}/{OVERLAY_KEY}\" alt=\"Slice of study {id} with kidney and tumour outlined\"></div>"
        );
    } else {
        out.push_str("<div class=\"thumb none\" aria-hidden=\"true\">no picture</div>");
    }
    let report = study.report.as_ref().and_then(|read| read.as_ref().ok());
    let subject = report.and_then(|report| report.subject.as_ref());
    let whose = subject.filter(|_| identity).map(whose).unwrap_or_default();
    let title = if whose.is_empty() {
        format!("Scan {id}")
    } else {
        escape(&whose)
    };
    let _ = write!(
        out,
        "<div><h2><a href=\"/studies/{id}\">{title}</a></h2><p class=\"soft\">"
    );
    let mut words = Vec::new();
    if !whose.is_empty() {
        words.push(format!("scan {id}"));
    }
    if let Some(subject) = subject.filter(|_| identity)
        && !subject.study_date.is_empty()
    {
        words.push(format!("study of {}", escape(&date(&subject.study_date))));
    }
    if let Some(seconds) = study.ended_unix_s {
        words.push(format!("report of {}", moment(seconds)));
    }
    if words.is_empty() {
        words.push(format!("from {}", escape(&study.listed.record.source)));
    }
    let _ = write!(out, "{}</p></div>", words.join(" · "));
    let (mark, word) = state(&study.listed.state);
    let _ = write!(
        out,
        "<p class=\"state {mark}\">{word}</p><div class=\"numbers\">"
    );
    match (&study.report, &study.listed.state) {
        (Some(Ok(report)), _) => numbers(out, report),
        (Some(Err(why)), _) => {
            let _ = write!(
                out,
                "<span class=\"bad\">The report cannot be shown: {why}.</span>"
            );
        }
        (None, State::Ended(outcome)) => {
            let reason = escape(outcome.reason().unwrap_or_default());
            let _ = write!(out, "<span>{reason}</span>");
        }
        (None, State::Waiting { ahead, .. }) => {
            let words = match ahead {
                0 => "it is next".to_owned(),
                ahead => format!("{ahead} before it"),
            };
            let _ = write!(out, "<span class=\"soft\">{words}</span>");
        }
        (None, State::Receiving { received, bytes }) => {
            let percent = received * 100 / (*bytes).max(1);
            let _ = write!(out, "<span class=\"soft\">{percent} % received</span>");
        }
        (None, State::Working { .. }) => {}
    }
    out.push_str("</div></li>");
}

/// Volumes and flags in one line.
fn numbers(out: &mut String, report: &Report) {
    let sides = &report.findings.sides;
    for (what, value) in [
        (
            "Kidney",
            Sides::from_fn(|side| sides.get(side).kidney_volume_ml),
        ),
        (
            "Tumour",
            Sides::from_fn(|side| sides.get(side).tumour_volume_ml),
        ),
    ] {
        let _ = write!(
            out,
            "<span>{what} R {:.1}, L {:.1} mL</span>",
            value.right, value.left
        );
    }
    let count = |severity| {
        let flags = report.warnings.iter();
        flags.filter(|flag| flag.severity == severity).count()
    };
    for (severity, mark) in [(Severity::Serious, "bad"), (Severity::Caution, "warn")] {
        let count = count(severity);
        if count > 0 {
            let _ = write!(
                out,
                "<span class=\"{mark}\">{count} {}</span>",
                severity.name()
            );
        }
    }
}

fn pages(out: &mut String, list: &List) {
    let link = |page: usize, word: &str| format!("<a href=\"/studies?page={page}\">{word}</a>");
    let newer = (list.page > 1).then(|| link(list.page - 1, "← Newer"));
    let older = (list.page < list.pages).then(|| link(list.page + 1, "Older →"));
    let _ = write!(
        out,
        "<nav class=\"pages\" aria-label=\"Pages\"><span>{}</span><span class=\"soft\">Page {} of {}</span><span>{}</span></nav>",
        newer.unwrap_or_default(),
        list.page,
        list.pages,
        older.unwrap_or_default()
    );
}

/// The page of one study. `identity` is whether it says whose it is. The browser's history gets the scan's id alone.
pub(super) fn study(name: &str, study: &Study, identity: bool) -> String {
    let id = study.listed.id;
    let (mark, word) = state(&study.listed.state);
    let aside = format!(
        "<span class=\"{mark}\">{word}</span><a href=\"/studies\">All studies</a><p class=\"notice\">{RESEARCH_USE_NOTICE}</p>"
    );
    let refresh = (!matches!(study.listed.state, State::Ended(_))).then_some(AGAIN_S);
    let title = format!("Scan {id}: {}", escape(name));
    let mut out = html::head(&title, refresh, &format!("Scan {id}"), &aside, "grid two");
    match (&study.report, &study.listed.state) {
        (Some(Ok(report)), _) => reported(&mut out, study, report, identity),
        (Some(Err(why)), _) => {
            let body = format!("<p class=\"bad\">The report cannot be shown: {why}.</p>");
            card(&mut out, "wide", "Report", &body);
            came(&mut out, study, identity);
        }
        (None, State::Ended(outcome)) => {
            let reason = escape(outcome.reason().unwrap_or_default());
            let body = format!("<p class=\"bad\">{reason}</p>");
            card(&mut out, "wide", "Why there is no report", &body);
            came(&mut out, study, identity);
        }
        (None, _) => {
            let body = "<p class=\"soft\">Its report appears here once it has been worked on.</p>";
            card(&mut out, "wide", "Report", body);
            came(&mut out, study, identity);
        }
    }
    downloads(&mut out, study);
    finish(out)
}

fn reported(out: &mut String, study: &Study, report: &Report, identity: bool) {
    card(out, "wide", "Flags", &flags(&report.warnings));
    match report.subject.as_ref().filter(|_| identity) {
        Some(subject) => card(out, "", "Patient", &patient(subject)),
        None => came(out, study, identity),
    }
    card(out, "", "Scan", &scan(study, report));
    card(out, "wide", "Measures", &measures(report));
    if let Some(change) = &report.change {
        card(out, "wide", "Since the last study", &changed(change));
    }
    let id = study.listed.id;
    let mut pictures = String::new();
    for (file, caption, words) in PICTURES {
        if study.has(file) {
            let _ = write!(
                pictures,
                "<figure><a href=\"/studies/{id}/{file}\"><img src=\"/studies/{id}/{file}\" alt=\"{words}\"></a>\
                 <figcaption>{caption}</figcaption></figure>"
            );
        }
    }
    if pictures.is_empty() {
        pictures += "<p class=\"soft\">Nothing was outlined, so there is no picture.</p>";
    } else {
        pictures = format!("<div class=\"pictures\">{pictures}</div>");
    }
    card(out, "wide", "Outlines", &pictures);
    if study.has(REPORT_PNG) {
        let body = format!(
            "<a href=\"/studies/{id}/{REPORT_PNG}\"><img src=\"/studies/{id}/{REPORT_PNG}\" alt=\"The report on one page; its content is above, and as text below\"></a>"
        );
        card(out, "wide", "Report", &body);
    }
}

/// The most serious first, whatever order the report has.
fn flags(warnings: &[Warning]) -> String {
    if warnings.is_empty() {
        return "<p class=\"soft\">None.</p>".to_owned();
    }
    let mut sorted: Vec<_> = warnings.iter().collect();
    sorted.sort_by_key(|warning| Reverse(warning.severity));
    let mut out = "<ul class=\"flags\">".to_owned();
    for warning in sorted {
        let mark = match warning.severity {
            Severity::Serious => "bad",
            Severity::Caution => "warn",
            Severity::Note => "soft",
        };
        let severity = warning.severity.name();
        let _ = write!(
            out,
            "<li class=\"{severity}\"><span class=\"{mark}\">{severity}</span> {}</li>",
            escape(&warning.message)
        );
    }
    out + "</ul>"
}

/// Names beside values; what is empty is left out.
fn facts<'a>(facts: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let mut out = "<dl>".to_owned();
    for (name, value) in facts {
        if !value.is_empty() {
            let _ = write!(out, "<dt>{name}</dt><dd>{}</dd>", escape(&value));
        }
    }
    out + "</dl>"
}

fn patient(subject: &Subject) -> String {
    let name = match person(&subject.patient_name) {
        name if name.is_empty() => "no name".to_owned(),
        name => name,
    };
    let facts = facts([
        ("ID", subject.patient_id.clone()),
        ("Born", date(&subject.birth_date)),
        ("Sex", subject.sex.clone()),
        ("Study", date(&subject.study_date)),
        ("Description", subject.study_description.clone()),
        ("Accession", subject.accession_number.clone()),
    ]);
    format!("<p class=\"big\">{}</p>{facts}", escape(&name))
}

/// How a scan came, where its report does not say whose it is.
fn came(out: &mut String, study: &Study, identity: bool) {
    let record = &study.listed.record;
    let file = if identity {
        record.file_name.clone()
    } else {
        String::new()
    };
    let body = facts([
        ("File", file),
        ("From", record.source.clone()),
        ("Size", format!("{:.1} MB", record.bytes as f64 / 1e6)),
    ]);
    card(out, "", "How it came", &body);
}

fn scan(study: &Study, report: &Report) -> String {
    let (input, spacing) = (&report.input, report.input.spacing);
    facts([
        ("Report", study.ended_unix_s.map(moment).unwrap_or_default()),
        (
            "Slices",
            format!("{} of {} × {} pixels", input.slices, input.rows, input.cols),
        ),
        (
            "Spacing",
            format!(
                "{:.2} mm, pixels {:.2} × {:.2} mm",
                spacing.slice_mm, spacing.row_mm, spacing.col_mm
            ),
        ),
        (
            "Model",
            format!("{}, version {}", report.model.name, report.model.version),
        ),
        ("Its test", report.model.test_scores.clone()),
    ])
}

fn measures(report: &Report) -> String {
    let sides = &report.findings.sides;
    let shown = |value: Option<f64>, decimals: usize| {
        value.map_or_else(|| "–".to_owned(), |value| format!("{value:.decimals$}"))
    };
    let mut out = "<div class=\"scroll\"><table><thead><tr><td></td><th scope=\"col\" class=\"n\">Right</th>\
                   <th scope=\"col\" class=\"n\">Left</th><th scope=\"col\" class=\"n\">Both</th></tr></thead><tbody>"
        .to_owned();
    for ((name, value, decimals), sums) in MEASURES {
        let [right, left] = Side::ALL.map(|side| value(sides.get(side)));
        let both = if sums {
            right.zip(left).map(|(right, left)| right + left)
        } else {
            right.into_iter().chain(left).reduce(f64::max)
        };
        let _ = write!(
            out,
            "<tr><th scope=\"row\">{name}</th><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
            shown(right, decimals),
            shown(left, decimals),
            shown(both, decimals)
        );
    }
    out + "</tbody></table></div><p class=\"soft\">Right and left are the patient's.</p>"
}

fn changed(change: &Change) -> String {
    let since = match (change.study_date.is_empty(), change.days) {
        (false, Some(days)) => format!("{}, {days} days before", date(&change.study_date)),
        (false, None) => date(&change.study_date),
        (true, Some(days)) => format!("{days} days before"),
        (true, None) => "an unknown date".to_owned(),
    };
    let mut out = format!("<p>The study of {}.", escape(&since));
    if !change.same_model {
        out += " Another model outlined it, so part of the difference may be the models'.";
    }
    out += "</p><div class=\"scroll\"><table><thead><tr><td></td><th scope=\"col\" class=\"n\">Right</th>\
            <th scope=\"col\" class=\"n\">Left</th></tr></thead><tbody>";
    let sides = &change.sides;
    for (name, values) in [
        (
            "Kidney, mL",
            Side::ALL.map(|side| Some(sides.get(side).kidney_volume.difference_ml)),
        ),
        (
            "Tumour, mL",
            Side::ALL.map(|side| Some(sides.get(side).tumour_volume.difference_ml)),
        ),
        (
            "Tumour's diameter, mm",
            Side::ALL.map(|side| {
                let diameter = sides.get(side).tumour_in_plane_diameter;
                diameter.map(|diameter| diameter.difference_mm)
            }),
        ),
    ] {
        let _ = write!(out, "<tr><th scope=\"row\">{name}</th>");
        for value in values {
            let value = value.map_or_else(|| "–".to_owned(), |value| format!("{value:+.1}"));
            let _ = write!(out, "<td class=\"n\">{value}</td>");
        }
        out += "</tr>";
    }
    out + "</tbody></table></div>"
}

fn downloads(out: &mut String, study: &Study) {
    let id = study.listed.id;
    let mut links = String::new();
    for file in study.files.iter().filter(|file| !file.title.is_empty()) {
        let _ = write!(
            links,
            "<li><a href=\"/studies/{id}/{}\">{}</a></li>",
            file.name, file.title
        );
    }
    if !links.is_empty() {
        let body = format!("<ul class=\"files\">{links}</ul>");
        card(out, "wide", "Files", &body);
    }
}

/// A page that says only what went wrong.
pub(super) fn trouble(words: &str) -> String {
    let aside = "<a href=\"/studies\">All studies</a>";
    let mut out = html::head("Studies", None, "Studies", aside, "");
    let _ = write!(
        out,
        "<section><p class=\"big\">{}</p></section>",
        escape(words)
    );
    finish(out)
}

fn finish(out: String) -> String {
    out + "</main><footer>For research use only. Not for diagnosis. This page can only be read.</footer></body></html>\n"
}

/// Whose a study is in a few words; empty if its files do not say.
fn whose(subject: &Subject) -> String {
    let words = [person(&subject.patient_name), subject.patient_id.clone()];
    let words: Vec<_> = words.into_iter().filter(|word| !word.is_empty()).collect();
    words.join(" · ")
}

/// A DICOM person name as people write it: `Doe^Jane^^Dr` as `Doe, Jane`.
fn person(name: &str) -> String {
    let alphabetic = name.split('=').next().unwrap_or_default();
    let mut parts = alphabetic.split('^').map(str::trim);
    let (family, given) = (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    );
    match (family, given) {
        (family, "") => family.to_owned(),
        ("", given) => given.to_owned(),
        (family, given) => format!("{family}, {given}"),
    }
}

/// A moment to the minute.
fn moment(unix_s: u64) -> String {
    let text = rfc3339(Duration::from_secs(unix_s));
    match text.split_once('T') {
        Some((date, time)) => format!("{date} {} UTC", time.get(..5).unwrap_or(time)),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_dates_of_dicom_are_written_as_people_write_them() {
        for (dicom, written) in [
            ("Doe^Jane^^Dr", "Doe, Jane"),
            ("Doe", "Doe"),
            ("^Jane", "Jane"),
            ("Yamada^Tarou=山田^太郎", "Yamada, Tarou"),
            ("", ""),
        ] {
            assert_eq!(person(dicom), written);
        }
        assert_eq!(date("20260301"), "2026-03-01");
        assert_eq!(date("spring"), "spring");
        assert_eq!(moment(1_772_368_496), "2026-03-01 12:34 UTC");
    }
}
