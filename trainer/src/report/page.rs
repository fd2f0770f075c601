//! The page's sections in their order.

use std::fmt::Write as _;
use std::path::Path;

use nephrobox_shared::class::Class;
use nephrobox_shared::metrics::{ClassScores, PerClass, SpreadSummary};
use nephrobox_shared::report::RESEARCH_USE_NOTICE;

use super::html::{bar, escape, facts, image, percent, table};
use super::{Report, ReportError};
use crate::data::Split;
use crate::evaluate::results::{Extreme, Kind, Results};
use crate::plots::confusion::Confusion;
use crate::plots::{curves, picture};
use crate::small_parts::Smallest;
use crate::train::EpochRecord;

const STYLE: &str = include_str!("style.css");

pub(super) fn write(report: &Report) -> Result<String, ReportError> {
    let name = escape(&report.name);
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>Run {name}</title><style>\n{STYLE}{}</style></head><body>\n",
        colours()
    );
    head(&mut out, report);
    training(&mut out, report)?;
    if report.evaluations.is_empty() {
        out.push_str(
            "<section><h2>Scores</h2><p>The network has not been scored yet: \
             <code>nephrotrain evaluate --run RUN</code>, then this report again.</p></section>\n",
        );
    }
    for (folder, results) in &report.evaluations {
        evaluation(&mut out, folder, results)?;
    }
    provenance(&mut out, report);
    out.push_str("</body></html>\n");
    Ok(out)
}

/// The classes' colours as on every other picture.
fn colours() -> String {
    let mut css = String::new();
    for class in [Class::Kidney, Class::Tumour] {
        let [r, g, b] = class.colour();
        let _ = writeln!(css, ".{} {{ background: rgb({r},{g},{b}) }}", class.name());
    }
    css
}

fn head(out: &mut String, report: &Report) {
    let config = &report.config;
    let done = report.records.len();
    let _ = writeln!(
        out,
        "<header><h1>Run {}</h1><p>{} U-Net, loss {}, batch {}, learning rate {}, {done} of {} epochs</p>\
         <p class=\"notice\">{RESEARCH_USE_NOTICE}</p></header>",
        escape(&report.name),
        config.encoder,
        config.loss,
        config.batch,
        config.learning_rate,
        config.epochs
    );
    if done < config.epochs {
        out.push_str("<p class=\"warning\">This run is not finished; what follows is its state so far.</p>\n");
    }
    let mut tiles: Vec<(String, String)> = Vec::new();
    for (_, results) in &report.evaluations {
        for class in [Class::Kidney, Class::Tumour] {
            let dice = results.scores.paper.get(class).dice;
            tiles.push((
                percent(dice),
                format!("{} Dice, {} split", class.name(), results.split),
            ));
        }
    }
    if let Some(best) = report.best() {
        tiles.push((format!("{}", best.epoch), "best epoch on validation".into()));
    }
    let seconds: f64 = report.records.iter().map(|r| r.seconds).sum();
    tiles.push((hours(seconds), "of training steps".into()));
    out.push_str("<div class=\"tiles\">");
    for (number, what) in tiles {
        let _ = write!(
            out,
            "<div><strong>{number}</strong><span>{}</span></div>",
            escape(&what)
        );
    }
    out.push_str("</div>\n");
}

fn hours(seconds: f64) -> String {
    if seconds < 5400.0 {
        format!("{:.1} min", seconds / 60.0)
    } else {
        format!("{:.1} h", seconds / 3600.0)
    }
}

fn training(out: &mut String, report: &Report) -> Result<(), ReportError> {
    let records = &report.records;
    let _ = writeln!(
        out,
        "<section><h2>Training</h2><figure>{}<figcaption>Mean loss of the training slices, and Dice on the \
         validation split (pooled, patients weighted), epoch by epoch.</figcaption></figure>",
        curves::svg(records)?
    );
    let images: f64 = records
        .iter()
        .map(|r| r.slices_per_second * r.seconds)
        .sum();
    let seconds: f64 = records.iter().map(|r| r.seconds).sum();
    let waited: f64 = records.iter().map(|r| r.waited_share * r.seconds).sum();
    let seconds = seconds.max(1e-9);
    let mut list = vec![
        ("speed", format!("{:.2} slices/s", images / seconds)),
        (
            "steps waited for data",
            format!("{:.2} % of the time", 100.0 * waited / seconds),
        ),
    ];
    let epoch = |record: &EpochRecord| {
        let dice = |class| {
            let validation = record.validation.as_ref();
            percent(validation.and_then(|v| v.paper.get(class).dice))
        };
        format!(
            "{}: loss {:.4}, validation Dice kidney {}, tumour {}",
            record.epoch,
            record.loss,
            dice(Class::Kidney),
            dice(Class::Tumour)
        )
    };
    if let Some(best) = report.best() {
        list.push(("best epoch", epoch(best)));
    }
    if let Some(last) = records.last() {
        list.push(("last epoch", epoch(last)));
    }
    out.push_str(&facts(&list));
    out.push_str("</section>\n");
    Ok(())
}

fn evaluation(out: &mut String, folder: &Path, results: &Results) -> Result<(), ReportError> {
    let scores = &results.scores;
    let title = format!(
        "{} split, {} cases, {} slices",
        results.split, scores.cases, scores.slices
    );
    let _ = writeln!(
        out,
        "<section><h2>Scores on the {} split</h2><p>{} cases, {} slices of {} x {} pixels, state <em>{}</em>.</p>",
        escape(&results.split),
        scores.cases,
        scores.slices,
        results.resolution,
        results.resolution,
        escape(&results.checkpoint)
    );
    if results.flips {
        out.push_str("<p>Labels from the mean over four mirror images.</p>\n");
    }
    let smallest = results.smallest_component_pixels;
    if smallest != Smallest::default() {
        let _ = writeln!(
            out,
            "<p>Removed within each slice: kidneys below {} pixels, tumours below {} (chosen on the validation split).</p>",
            smallest.kidney, smallest.tumour
        );
    }
    out.push_str("<div class=\"beside\"><div>");
    readings(out, results);
    out.push_str("</div><figure>");
    out.push_str(&picture::inline(&Confusion {
        title,
        rows: results.confusion_row_normalised,
        notes: Default::default(),
    })?);
    out.push_str(
        "<figcaption>Rows are the truth, columns the prediction, patients weighted.</figcaption></figure></div>\n",
    );
    extremes(out, folder, &results.extremes)?;
    cases(out, results);
    out.push_str("</section>\n");
    Ok(())
}

/// One row of a table of scores.
type Metric = fn(&ClassScores) -> Option<f64>;

fn readings(out: &mut String, results: &Results) {
    let scores = &results.scores;
    let mut rows = Vec::new();
    let mut pooled = |reading: &str, scores: &PerClass<ClassScores>| {
        let metrics: [(&str, Metric); 3] = [
            ("Dice", |s| s.dice),
            ("recall", |s| s.recall),
            ("precision", |s| s.precision),
        ];
        for (name, metric) in metrics {
            let mut row = vec![format!("{reading}, {name}")];
            row.extend(Class::ALL.map(|class| percent(metric(scores.get(class)))));
            rows.push(row);
        }
    };
    pooled("patients weighted (the paper's)", &scores.paper);
    pooled("all slices alike", &scores.pooled);
    let mut row = vec!["mean over cases, Dice".to_owned()];
    row.extend(Class::ALL.map(|class| spread(&scores.per_case.get(class).dice)));
    rows.push(row);
    out.push_str(&table(
        &["reading", "background", "kidney", "tumour"],
        &rows,
    ));
    let kits = &scores.kits;
    let _ = writeln!(
        out,
        "<p>As the KiTS19 challenge counts, mean over cases: kidney with tumour {}, tumour {}, composite {}.</p>",
        spread(&kits.kidney_and_tumour_dice),
        spread(&kits.tumour_dice),
        spread(&kits.composite_dice)
    );
}

fn spread(summary: &SpreadSummary) -> String {
    match (summary.mean, summary.population_deviation) {
        (Some(mean), Some(deviation)) => {
            format!("{:.1} ± {:.1} %", 100.0 * mean, 100.0 * deviation)
        }
        _ => percent(None),
    }
}

fn extremes(out: &mut String, folder: &Path, extremes: &[Extreme]) -> Result<(), ReportError> {
    for (kind, title) in [(Kind::Worst, "Worst cases"), (Kind::Best, "Best cases")] {
        let mut shown = extremes.iter().filter(|e| e.kind == kind).peekable();
        if shown.peek().is_none() {
            continue;
        }
        let _ = writeln!(
            out,
            "<h3>{title}</h3><p>Image, truth and prediction, outlined: <span class=\"key kidney\"></span> kidney, \
             <span class=\"key tumour\"></span> tumour.</p>"
        );
        for extreme in shown {
            let path = folder.join(&extreme.picture);
            let alt = format!("{} slice {}", extreme.case, extreme.slice);
            let image = image(&path, &alt).map_err(|e| ReportError::Evaluation {
                path,
                reason: format!("cannot be read: {e}"),
            })?;
            let _ = writeln!(
                out,
                "<figure class=\"slice\">{image}<figcaption>{} (mean of kidney and tumour Dice over the case {}), slice {}: \
                 kidney {}, tumour {}</figcaption></figure>",
                escape(&extreme.case),
                percent(Some(extreme.case_score)),
                extreme.slice,
                percent(extreme.kidney_dice),
                percent(extreme.tumour_dice)
            );
        }
    }
    Ok(())
}

fn cases(out: &mut String, results: &Results) {
    let mut cases: Vec<_> = results.cases.iter().collect();
    let dice = |scores: &PerClass<ClassScores>| {
        let dice = [Class::Kidney, Class::Tumour].map(|c| scores.get(c).dice);
        let defined: Vec<f64> = dice.into_iter().flatten().collect();
        defined.iter().sum::<f64>() / defined.len().max(1) as f64
    };
    cases.sort_by(|a, b| {
        dice(&a.scores)
            .total_cmp(&dice(&b.scores))
            .then_with(|| a.case.cmp(&b.case))
    });
    let rows: Vec<Vec<String>> = cases
        .iter()
        .map(|case| {
            let [_, kidney, tumour] = case.confusion.map(|row| row.iter().sum::<f64>());
            vec![
                escape(&case.case),
                bar(case.scores.kidney.dice, "kidney"),
                bar(case.scores.tumour.dice, "tumour"),
                format!("{kidney:.0}"),
                format!("{tumour:.0}"),
            ]
        })
        .collect();
    out.push_str("<h3>Every case, worst first</h3>\n");
    out.push_str(&table(
        &[
            "case",
            "kidney Dice",
            "tumour Dice",
            "kidney pixels",
            "tumour pixels",
        ],
        &rows,
    ));
}

fn provenance(out: &mut String, report: &Report) {
    let fingerprint = &report.fingerprint;
    let (volumes, kept): (usize, usize) = (
        fingerprint.volumes.len(),
        fingerprint.volumes.iter().map(|v| v.kept).sum(),
    );
    let value = |v: &serde_json::Value| {
        let text = v.as_str().map_or_else(|| v.to_string(), str::to_owned);
        format!("<code>{}</code>", escape(&text))
    };
    out.push_str("<section><h2>Provenance</h2>\n");
    let mut list: Vec<(&str, String)> = report
        .versions
        .iter()
        .map(|(key, v)| (key.as_str(), value(v)))
        .collect();
    list.push((
        "data fingerprint",
        format!("<code>{}</code>", escape(&fingerprint.overall)),
    ));
    list.push(("data", format!("{volumes} volumes, {kept} slices kept")));
    let p = &fingerprint.options.preprocess;
    list.push((
        "images",
        format!(
            "window {} to {} HU, {} x {} pixels",
            p.window.low_hu, p.window.high_hu, p.rows, p.cols
        ),
    ));
    let parts = report.parts.map_or_else(
        || "the prepared set is no longer where it was".to_owned(),
        |parts| {
            let part = |(split, (patients, slices)): (Split, (usize, usize))| {
                format!("{split} {patients} patients, {slices} slices")
            };
            let parts: Vec<String> = Split::ALL.into_iter().zip(parts).map(part).collect();
            parts.join("; ")
        },
    );
    list.push(("split", parts));
    list.push((
        "licence of the training data",
        report.licence.as_deref().map_or_else(
            || "not stated (--licence-notice); it binds the network too".into(),
            escape,
        ),
    ));
    list.push((
        "this page",
        format!("nephrotrain {}", env!("CARGO_PKG_VERSION")),
    ));
    out.push_str(&facts(&list));
    let _ = writeln!(
        out,
        "<h3>Settings (config.toml)</h3><pre>{}</pre></section>",
        escape(&report.settings)
    );
}
