//! The sections of the page, each a list of lines.

use nephrobox_shared::report::Severity;

use super::wrap::{WIDTH, columns, ends, wrapped};
use crate::output;
use crate::sheet::content::{Content, Section, Table};

/// Width of the name before each entry of a section.
const NAME: usize = 12;

/// Width of the first column of a table, and between two others at least.
const FIRST: usize = 31;
const GAP: usize = 2;

pub(super) fn head(content: &Content) -> Vec<String> {
    let mut lines = vec![ends(&content.title.to_uppercase(), &content.program)];
    lines.extend(wrapped("", &content.notice, 2));
    lines.push("=".repeat(WIDTH));
    lines
}

/// The warnings in at most `most` lines, the empty one after them included.
pub(super) fn warnings(content: &Content, most: usize) -> Vec<String> {
    let flags = &content.flags;
    let headline = content.headline.as_deref().unwrap_or("none");
    let mut lines = vec![format!("WARNINGS  {headline}")];
    for (told, flag) in flags.iter().enumerate() {
        let mark = match flag.severity {
            Severity::Serious => " !! ",
            Severity::Caution => "  ! ",
            Severity::Note => "  - ",
        };
        let left = flags.len() - told;
        // One line is kept for the empty one, and one for the word about what is left out.
        let room = most.saturating_sub(lines.len() + 1 + usize::from(left > 1));
        let entry = wrapped(mark, &flag.words, 3);
        let entry = match room {
            0 => Vec::new(),
            // The first is told in part rather than not at all.
            room if told == 0 => wrapped(mark, &flag.words, room.min(3)),
            room if entry.len() > room => Vec::new(),
            _ => entry,
        };
        if entry.is_empty() {
            lines.push(format!(
                "  ! {left} more kinds of warning are in {}.",
                output::REPORT_JSON
            ));
            break;
        }
        lines.extend(entry);
    }
    lines.push(String::new());
    lines
}

/// A table with at most `most` rows.
pub(super) fn table(table: &Table, most: usize) -> Vec<String> {
    let shown = table.rows.len().min(most);
    let title = table.title.to_uppercase();
    let rows = &table.rows[..shown];
    let widths: Vec<usize> = (1..table.columns.len())
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            let widest = cells.map(|cell| columns(cell)).max().unwrap_or(0);
            widest.max(columns(&table.columns[column]))
        })
        .collect();
    // Columns share what the page leaves them, so that short tables do not crowd.
    let all: usize = widths.iter().sum();
    let room = WIDTH.saturating_sub(FIRST);
    let gap = (room.saturating_sub(all) / widths.len().max(1)).clamp(GAP, 10);
    let first = WIDTH.saturating_sub(all + gap * widths.len()).min(FIRST);
    let row = |indent: &str, name: &str, cells: &[String]| {
        let mut line = format!("{indent}{name}");
        line.push_str(&" ".repeat(first.saturating_sub(columns(&line))));
        for (cell, width) in cells.iter().zip(&widths) {
            line.push_str(&" ".repeat((gap + width).saturating_sub(columns(cell))));
            line.push_str(cell);
        }
        line
    };
    let mut lines = Vec::new();
    if columns(&title) > first || shown < table.rows.len() {
        let left_out = match table.rows.len() - shown {
            0 => String::new(),
            _ => format!(
                "  ({shown} of {}; all are in {})",
                table.rows.len(),
                output::REPORT_JSON
            ),
        };
        lines.push(format!("{title}{left_out}"));
        lines.push(row("", "", &table.columns[1..]));
    } else {
        lines.push(row("", &title, &table.columns[1..]));
    }
    lines.extend(
        rows.iter()
            .filter_map(|cells| cells.split_first())
            .map(|(name, cells)| row("  ", name, cells)),
    );
    lines.extend(table.notes.iter().flat_map(|note| wrapped("  ", note, 2)));
    lines.push(String::new());
    lines
}

/// Whose scan it is: names with their words, without a title, which would say the same.
pub(super) fn subject(section: &Section) -> Vec<String> {
    let mut lines = entries(section, true);
    lines.push(String::new());
    lines
}

/// A title and names with their words. `tight` gives each one line and leaves out the empty one after the last.
pub(super) fn section(section: &Section, tight: bool) -> Vec<String> {
    let mut lines = vec![section.title.to_uppercase()];
    lines.extend(entries(section, tight));
    if !tight {
        lines.push(String::new());
    }
    lines
}

fn entries(section: &Section, tight: bool) -> Vec<String> {
    let mut lines = Vec::new();
    for entry in &section.entries {
        let most = if tight { 1 } else { entry.lines };
        lines.extend(wrapped(
            &format!("  {:<NAME$}", entry.name),
            &entry.all(),
            most,
        ));
    }
    lines
}

pub(super) fn foot() -> [String; 2] {
    [
        "=".repeat(WIDTH),
        "Slices are numbered from 0 at the head end. docs/report.md explains every field."
            .to_owned(),
    ]
}
