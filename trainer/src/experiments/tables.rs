//! Tables 2 to 6, found beside published, as Markdown, CSV and HTML.

use std::fmt::Write as _;

use nephrobox_shared::class::Class;

use super::design::Experiment;
use super::paper::{self, Metric, Published};
use super::results::{Column, Results};
use crate::report::html::escape;

/// A table of the paper with what was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Its number in the paper.
    pub number: u8,
    /// Its heading.
    pub caption: String,
    /// Column headings.
    pub labels: Vec<String>,
    /// Names of the values, as in folders.
    pub names: Vec<String>,
    /// (metric, class, a cell for each column).
    pub rows: Vec<(Metric, Class, Vec<Cell>)>,
    /// What a reader must know about columns.
    pub notes: Vec<String>,
}

/// Found and published, percent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cell {
    /// Mean and population standard deviation over the finished runs in which the metric is defined.
    pub found: Option<[f64; 2]>,
    /// How many those are.
    pub runs: u64,
    /// Mean and standard deviation in the paper.
    pub published: Option<Published>,
    /// Dice that the published recall and precision imply, where no Dice is printed.
    pub implied: Option<f64>,
}

impl Cell {
    /// The published mean, printed or implied.
    pub fn reference(&self) -> Option<f64> {
        self.published.map(|[mean, _]| mean).or(self.implied)
    }

    /// Found less published, percentage points.
    pub fn difference(&self) -> Option<f64> {
        Some(self.found?[0] - self.reference()?)
    }

    fn found_text(&self) -> String {
        self.found
            .map_or("–".into(), |[m, d]| format!("{m:.1} ±{d:.1}"))
    }

    fn published_text(&self) -> Option<String> {
        self.published
            .map(|[m, d]| format!("{m:.1} ±{d:.1}"))
            .or_else(|| self.implied.map(|m| format!("≈{m:.1}")))
    }
}

impl Table {
    /// The table of an experiment; `left_out` are values that were not tried, with the reason.
    pub fn new(
        experiment: Experiment,
        results: &Results,
        left_out: &[(String, String)],
    ) -> Option<Self> {
        let published = paper::published().table(experiment)?;
        let found = |name: &str| results.of(experiment).find(|c| c.name == name);
        // The paper's columns first, then extras that only this plan has.
        let mut names = published.settings.clone();
        let mut labels = published.labels.clone();
        for extra in results
            .of(experiment)
            .filter(|c| !published.settings.iter().any(|s| s == c.name))
        {
            names.push(extra.name.into());
            labels.push(format!("{} (not in the paper)", extra.label));
        }
        let cell = |metric, class, name: &String| {
            let spread = found(name)
                .map(|c| c.spread(metric, class))
                .unwrap_or_default();
            let printed = published.printed(metric, class, name);
            let implied = (metric == Metric::Dice && printed.is_none())
                .then(|| published.implied_dice(class, name));
            Cell {
                found: spread.mean().zip(spread.deviation()).map(|(m, d)| [m, d]),
                runs: spread.count(),
                published: printed,
                implied: implied.flatten(),
            }
        };
        let rows = Metric::ALL
            .into_iter()
            .flat_map(|metric| Class::ALL.map(|class| (metric, class)))
            .map(|(metric, class)| {
                (
                    metric,
                    class,
                    names.iter().map(|n| cell(metric, class, n)).collect(),
                )
            })
            .collect();
        let same = |c: &Column| {
            c.same_as.as_ref().map(|other| {
            format!("{}: the very runs of {other}, whose settings are the same. The paper trained them anew.", c.label)
        })
        };
        let mut notes: Vec<String> = results.of(experiment).filter_map(same).collect();
        for (name, reason) in left_out {
            let label = names
                .iter()
                .position(|n| n == name)
                .map_or(name.as_str(), |i| labels[i].as_str());
            notes.push(format!("{label}: not tried, {reason}."));
        }
        if results.of(experiment).next().is_none() {
            notes.push("Not part of this plan.".into());
        }
        Some(Self {
            number: published.number,
            caption: published.caption.clone(),
            labels,
            names,
            rows,
            notes,
        })
    }

    /// As Markdown, with a heading.
    pub fn markdown(&self) -> String {
        let mut text = format!("### Table {}: {}\n\n| | |", self.number, self.caption);
        for label in &self.labels {
            let _ = write!(text, " {label} |");
        }
        let _ = write!(
            text,
            "\n| --- | --- |{}\n",
            " --- |".repeat(self.labels.len())
        );
        for (metric, class, cells) in &self.rows {
            let _ = write!(text, "| {} | {class} |", metric.name());
            for cell in cells {
                let _ = write!(text, " {}", cell.found_text());
                if let Some(published) = cell.published_text() {
                    let _ = write!(text, " (paper {published}");
                    if let Some(difference) = cell.difference() {
                        let _ = write!(text, ", {difference:+.1}");
                    }
                    text.push(')');
                }
                text.push_str(" |");
            }
            text.push('\n');
        }
        text.push('\n');
        for note in &self.notes {
            let _ = writeln!(text, "* {note}");
        }
        text
    }

    /// As CSV, a line per cell.
    pub fn csv(&self) -> String {
        let mut text = String::from(
            "table,metric,class,setting,runs,mean_percent,population_sd_percent,published_mean_percent,published_sd_percent,\
             implied_dice_percent,difference_points\n",
        );
        let number = |v: Option<f64>| v.map_or(String::new(), |v| format!("{v:.4}"));
        for (metric, class, cells) in &self.rows {
            for (cell, name) in cells.iter().zip(&self.names) {
                let fields = [
                    cell.found.map(|f| f[0]),
                    cell.found.map(|f| f[1]),
                    cell.published.map(|p| p[0]),
                    cell.published.map(|p| p[1]),
                    cell.implied,
                    cell.difference(),
                ]
                .map(number);
                let metric = metric.name().trim_end_matches(" coeff.").to_lowercase();
                let _ = writeln!(
                    text,
                    "{},{metric},{class},{name},{},{}",
                    self.number,
                    cell.runs,
                    fields.join(",")
                );
            }
        }
        text
    }

    /// As an HTML table. But for the notes, which may quote the plan, nothing in it comes from outside the program.
    pub fn html(&self) -> String {
        let mut text = format!(
            "<h3 id=\"table-{0}\">Table {0}: {1}</h3>\n<table>\n<tr><th></th><th></th>",
            self.number, self.caption
        );
        for label in &self.labels {
            let _ = write!(text, "<th>{label}</th>");
        }
        text.push_str("</tr>\n");
        for (index, (metric, class, cells)) in self.rows.iter().enumerate() {
            text.push_str(if index.is_multiple_of(Class::COUNT) {
                "<tr class=\"first\">"
            } else {
                "<tr>"
            });
            if index.is_multiple_of(Class::COUNT) {
                let _ = write!(
                    text,
                    "<th rowspan=\"{}\">{}</th>",
                    Class::COUNT,
                    metric.name()
                );
            }
            let _ = write!(text, "<th>{class}</th>");
            for cell in cells {
                let _ = write!(text, "<td><b>{}</b>", cell.found_text());
                if let Some(published) = cell.published_text() {
                    let _ = write!(text, "<br><i>{published}</i>");
                }
                if let Some(difference) = cell.difference() {
                    let sign = if difference < 0.0 { "less" } else { "more" };
                    let _ = write!(text, "<br><span class=\"{sign}\">{difference:+.1}</span>");
                }
                text.push_str("</td>");
            }
            text.push_str("</tr>\n");
        }
        text.push_str("</table>\n");
        if !self.notes.is_empty() {
            let notes: Vec<String> = self.notes.iter().map(|note| escape(note)).collect();
            let _ = writeln!(
                text,
                "<ul class=\"notes\"><li>{}</li></ul>",
                notes.join("</li><li>")
            );
        }
        text
    }
}

/// How cells are to be read, for the head of any collection of tables.
pub const LEGEND: &str = "Percent: mean ± population standard deviation (divided by n) over the finished runs, then what the paper \
    printed (which deviation it means it does not say), then the difference of the means in percentage points. ≈ is the Dice that the \
    printed recall and precision imply (their harmonic mean): the paper shows it only as a picture.";

/// What the paper's text states, as (what, published, by the paper's tables, found).
pub fn statements(results: &Results) -> Vec<(String, f64, Option<f64>, Option<f64>)> {
    let paper = paper::published();
    paper
        .statement
        .iter()
        .filter_map(|s| {
            let table = paper.table_with(s.to.first()?)?;
            let label = |names: &[String]| {
                let label = |n: &String| {
                    table
                        .settings
                        .iter()
                        .position(|x| x == n)
                        .map_or("", |i| table.labels[i].as_str())
                };
                names.iter().map(label).collect::<Vec<_>>().join(", ")
            };
            let what = if s.from.is_empty() {
                format!(
                    "{}: {} {} at {}",
                    s.section,
                    s.class,
                    s.metric.name(),
                    label(&s.to)
                )
            } else {
                format!(
                    "{}: {} {}, {} less {}",
                    s.section,
                    s.class,
                    s.metric.name(),
                    label(&s.to),
                    label(&s.from)
                )
            };
            let printed = s.found(|name| match s.metric {
                Metric::Dice => table.implied_dice(s.class, name),
                metric => table.printed(metric, s.class, name).map(|[mean, _]| mean),
            });
            let found = s.found(|name| {
                results
                    .of(table.experiment)
                    .find(|c| c.name == name)?
                    .spread(s.metric, s.class)
                    .mean()
            });
            Some((what, s.value, printed, found))
        })
        .collect()
}
