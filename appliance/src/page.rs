//! The report as one page of text: 80 columns, 66 lines as a printer sets them on a page, warnings first.
//!
//! Set from the words of [`Content`] alone, which the drawn page is set from as well, and those follow from the
//! [`Report`]: a page can be made again from `report.json`. What does not fit is cut with a word about where the whole stands; nothing is left
//! out in silence.

mod areas;
mod sections;
mod wrap;

use nephrobox_shared::report::Report;

use crate::sheet::content::Content;
use wrap::WIDTH;

/// Lines of a page.
pub const LINES: usize = 66;

/// Ways to set the page, the roomiest first: whether small print is tight, and how many lines warnings may take.
const WAYS: [(bool, usize); 5] = [(false, 13), (true, 13), (true, 10), (true, 8), (true, 6)];

/// Most tumours that are told of.
const TUMOURS: usize = 4;

/// The page, with a line break after its last line.
#[must_use]
pub fn write(report: &Report) -> String {
    let content = Content::of(report);
    let mut ways = WAYS.into_iter();
    let lines = ways.find_map(|(tight, warnings)| set(&content, report, tight, warnings));
    let lines = lines.unwrap_or_default();
    let mut page = String::with_capacity(lines.len() * (WIDTH + 1));
    for line in lines {
        page.push_str(line.trim_end());
        page.push('\n');
    }
    page
}

/// The main numbers: volumes and largest areas of each side. Also what a command prints when it is done.
#[must_use]
pub fn result_table(report: &Report) -> Vec<String> {
    let mut results = Content::of(report).results;
    results.notes.clear();
    let lines = sections::table(&results, usize::MAX);
    let lines = lines.iter().map(|line| line.trim_end().to_owned());
    lines.filter(|line| !line.is_empty()).collect()
}

/// The page's lines; `None` if they are too many.
fn set(content: &Content, report: &Report, tight: bool, warnings: usize) -> Option<Vec<String>> {
    let head = sections::head(content);
    let warnings = sections::warnings(content, warnings);
    let subject = sections::subject(&content.subject);
    let results = sections::table(&content.results, usize::MAX);
    let change = content.change.as_ref();
    let change = change.map_or_else(Vec::new, |change| sections::table(change, usize::MAX));
    let details = content.details.iter();
    let details = details.flat_map(|section| sections::section(section, tight));
    let details: Vec<String> = details.chain(sections::foot()).collect();
    let before = [head, warnings, subject, results].concat();
    let room = LINES.checked_sub(before.len() + change.len() + details.len())?;
    // One tumour at least, and as many as there is room for.
    let count = content.tumours.rows.len().min(TUMOURS);
    let tumours = (count.min(1)..=count).rev().map(|most| match most {
        0 => Vec::new(),
        most => sections::table(&content.tumours, most),
    });
    let tumours = tumours.into_iter().find(|lines| lines.len() <= room)?;
    let areas = areas::table(report, room - tumours.len());
    Some([before, tumours, change, areas, details].concat())
}
