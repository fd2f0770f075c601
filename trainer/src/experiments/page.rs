//! `collect`: all tables and figures as files, and one self-contained HTML page with everything.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::design::Experiment;
use super::plan::{Choose, Plan};
use super::results::Results;
use super::tables::{self, LEGEND, Table};
use super::{ExperimentError, figures, gallery, write};
use crate::plots::picture;
use crate::report::html::escape;

/// Makes everything from what is finished in `root`, into `out`. Returns the page.
pub fn collect(
    root: &Path,
    plan: &Plan,
    results: &Results,
    out: &Path,
) -> Result<PathBuf, ExperimentError> {
    std::fs::create_dir_all(out)
        .map_err(|e| ExperimentError::file(out, format!("cannot be made: {e}")))?;
    let tables: Vec<Table> = Experiment::ALL
        .into_iter()
        .filter_map(|experiment| {
            let left_out = plan
                .part(experiment)
                .map(|p| p.left_out.clone().into_iter().collect::<Vec<_>>());
            Table::new(experiment, results, &left_out.unwrap_or_default())
        })
        .collect();
    let figure = |n: u8| out.join(format!("figure-{n}"));
    let mut drawn = vec![(
        1,
        "Focal Dice loss over the Dice coefficient",
        picture::write(&figure(1), &figures::FocalCurves)?,
    )];
    for (n, experiment, what) in [
        (
            2,
            Experiment::Augmentation,
            "Dice by data augmentation proportion",
        ),
        (3, Experiment::Loss, "Dice by loss function"),
        (4, Experiment::Encoder, "Dice by U-Net encoder"),
        (5, Experiment::Retrain, "Dice by re-trained encoder layers"),
    ] {
        if let Some(plot) = figures::DicePlot::new(experiment, results) {
            drawn.push((n, what, picture::write(&figure(n), &plot)?));
        }
    }
    drawn.push((
        6,
        "Row-normalised confusion matrix of the final model",
        picture::write(&figure(6), &figures::confusion(results))?,
    ));
    let examples = results
        .examples
        .as_deref()
        .map(gallery::pictures)
        .unwrap_or_default();
    if !examples.is_empty() {
        let svg = gallery::write_figure(&figure(7), &examples)?;
        drawn.push((7, "Segmentations of the final model: dark blue background, light blue kidney, white tumour", svg));
    }
    for table in &tables {
        let stem = format!("table-{}", table.number);
        write(
            &out.join(format!("{stem}.md")),
            &format!("{LEGEND}\n\n{}", table.markdown()),
        )?;
        write(&out.join(format!("{stem}.csv")), &table.csv())?;
        write(
            &out.join(format!("{stem}.html")),
            &document(&stem, &format!("<p>{LEGEND}</p>\n{}", table.html())),
        )?;
    }
    write(
        &out.join("report.md"),
        &markdown(plan, results, &tables, !examples.is_empty()),
    )?;
    let path = out.join("index.html");
    write(
        &path,
        &document(
            "The paper's experiments",
            &body(root, plan, results, &tables, &drawn),
        ),
    )?;
    Ok(path)
}

/// In what the plan departs from the paper, a sentence each. Its numbers are to be compared only if there is none.
pub fn departures(plan: &Plan) -> Vec<String> {
    let mut list = Vec::new();
    if plan.patients != [116, 20, 74] {
        let [train, validation, test] = plan.patients;
        list.push(format!(
            "Other data: {train} patients train, {validation} validate, {test} test; the paper's KiTS19 split has 116, 20 and 74."
        ));
    }
    for part in &plan.parts {
        let papers = if part.experiment == Experiment::Final {
            150
        } else {
            50
        };
        if part.epochs != papers {
            list.push(format!(
                "{}: {} epochs instead of {papers}.",
                part.experiment, part.epochs
            ));
        }
    }
    if plan.repeats != 4 {
        list.push(format!(
            "{} runs of each setting instead of 4.",
            plan.repeats
        ));
    }
    if let Some(encoder) = plan.only_encoder {
        list.push(format!(
            "{encoder} in every run, in place of the paper's encoders."
        ));
    }
    if plan.weights.is_empty() {
        list.push(
            "No pre-trained weights: encoders start from random values, and layers that are not re-trained stay random. \
             The paper's start from ImageNet."
                .into(),
        );
    }
    let keys: Vec<String> = plan
        .shared
        .keys()
        .into_iter()
        .filter(|k| k != "data")
        .collect();
    if !keys.is_empty() {
        list.push(format!(
            "Settings given for all runs, see plan.toml: {}.",
            keys.join(", ")
        ));
    }
    if plan.choose == Choose::Results {
        list.push("Each experiment hands on what was best here, not what the paper chose.".into());
    }
    list
}

/// How far it is, and what each experiment hands on: where every run has one encoder, that.
fn status(plan: &Plan, results: &Results) -> String {
    let all = results.finished + results.missing.len();
    let choices: Vec<String> = results
        .choices
        .iter()
        .filter(|(e, _)| **e != Experiment::Final)
        .map(|(e, name)| {
            let label = e.values().iter().find(|v| v.name == *name);
            match plan.only_encoder {
                Some(only) if *e == Experiment::Encoder => format!("{e} {only}"),
                _ => format!("{e} {}", label.map_or(*name, |v| v.label)),
            }
        })
        .collect();
    format!(
        "{} of {all} runs are finished. Handed on: {}.",
        results.finished,
        choices.join(", ")
    )
}

fn number(value: Option<f64>) -> String {
    value.map_or("–".into(), |v| format!("{v:.1}"))
}

fn markdown(plan: &Plan, results: &Results, tables: &[Table], examples: bool) -> String {
    let mut text = format!("# The paper's experiments\n\n{}\n", status(plan, results));
    let mut list = |title: &str, items: Vec<String>| {
        if !items.is_empty() {
            let _ = write!(text, "\n## {title}\n\n* {}\n", items.join("\n* "));
        }
    };
    list("Where this is not what the paper did", departures(plan));
    list(
        "Missing",
        results
            .missing
            .iter()
            .map(|m| format!("`{}`: {}", m.name, m.why))
            .collect(),
    );
    let _ = write!(text, "\n## Tables\n\n{LEGEND}\n\n");
    for table in tables {
        text.push_str(&table.markdown());
        text.push('\n');
    }
    text.push_str("## Numbers in the paper's text\n\n| what | text | paper's tables | found |\n| --- | --- | --- | --- |\n");
    for (what, said, printed, found) in tables::statements(results) {
        let _ = writeln!(
            text,
            "| {what} | {said:.1} | {} | {} |",
            number(printed),
            number(found)
        );
    }
    text.push_str("\n## Figures\n\n");
    for n in (1..=6).chain(examples.then_some(7)) {
        let _ = writeln!(text, "![Figure {n}](figure-{n}.svg)\n");
    }
    text
}

fn body(
    root: &Path,
    plan: &Plan,
    results: &Results,
    tables: &[Table],
    drawn: &[(u8, &str, String)],
) -> String {
    let mut text = format!(
        "<h1>The paper's experiments</h1>\n<p>{}</p>\n<p class=\"small\">Research use only. Bracke and Brinker, BIOSTEC 2022, \
         doi 10.5220/0010770900003123. nephrotrain {}; data fingerprint <code>{}</code>, split <code>{}</code>; plan in <code>{}</code>.</p>\n",
        status(plan, results),
        env!("CARGO_PKG_VERSION"),
        short(&plan.fingerprint),
        short(&plan.split_hash),
        escape(&root.file_name().unwrap_or_default().to_string_lossy()),
    );
    let mut list = |title: &str, items: Vec<String>| {
        if !items.is_empty() {
            let items: Vec<String> = items.iter().map(|i| escape(i)).collect();
            let _ = write!(
                text,
                "<h2>{title}</h2>\n<ul><li>{}</li></ul>\n",
                items.join("</li><li>")
            );
        }
    };
    list("Where this is not what the paper did", departures(plan));
    list(
        "Missing runs",
        results
            .missing
            .iter()
            .map(|m| format!("{}: {}", m.name, m.why))
            .collect(),
    );
    let _ = write!(text, "<h2>Tables</h2>\n<p>{LEGEND}</p>\n");
    let place = |n: u8| drawn.iter().find(|(number, ..)| *number == n);
    let show = |text: &mut String, n: u8| match place(n) {
        Some((_, what, svg)) => {
            let _ = writeln!(
                text,
                "<figure id=\"figure-{n}\">{}<figcaption>Figure {n}: {what}.</figcaption></figure>",
                inline(svg)
            );
        }
        None => {
            let _ = writeln!(
                text,
                "<p>Figure {n}: no run of the final model is finished.</p>"
            );
        }
    };
    show(&mut text, 1);
    for table in tables {
        text.push_str(&table.html());
        show(&mut text, table.number);
    }
    show(&mut text, 7);
    text.push_str("<h2>Numbers in the paper's text</h2>\n<table>\n<tr><th>what</th><th>text</th><th>paper's tables</th><th>found</th></tr>\n");
    for (what, said, printed, found) in tables::statements(results) {
        let _ = writeln!(
            text,
            "<tr><th>{what}</th><td>{said:.1}</td><td>{}</td><td><b>{}</b></td></tr>",
            number(printed),
            number(found)
        );
    }
    text.push_str("</table>\n");
    text
}

fn document(title: &str, body: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>{title}</title>\n<style>\n\
         body {{ font: 15px/1.45 sans-serif; margin: 2em auto; max-width: 1220px; padding: 0 1em; color: #222; background: #fff }}\n\
         table {{ border-collapse: collapse; margin: .5em 0 1em }}\n\
         th, td {{ padding: .25em .7em; border-bottom: 1px solid #ddd; text-align: right; font-weight: normal }}\n\
         th {{ text-align: left; background: #f4f6f8 }} tr.first > * {{ border-top: 2px solid #888 }}\n\
         td i {{ color: #666 }} td .less {{ color: #a33b00 }} td .more {{ color: #00568f }}\n\
         figure {{ margin: 1em 0 2em }} svg {{ max-width: 100%; height: auto }} .small, .notes, figcaption {{ font-size: .9em; color: #555 }}\n\
         </style>\n</head>\n<body>\n{body}</body>\n</html>\n"
    )
}

/// An SVG inside a page: without the line that only a file of its own may have.
fn inline(svg: &str) -> &str {
    svg.find("<svg").map_or(svg, |at| &svg[at..])
}

fn short(hash: &str) -> &str {
    hash.get(..16).unwrap_or(hash)
}
