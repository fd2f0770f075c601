//! The report as one page of text: 80 columns, 60 lines, warnings first.
//!
//! Set from the words of [`Content`](crate::sheet::content::Content) alone, which the drawn page is set from as well, and those follow from the
//! [`Report`]: a page can be made again from `report.json`. What does not fit is cut with a word about where the whole stands; nothing is left
//! out in silence.

mod areas;
mod sections;
mod wrap;

use nephrobox_shared::report::Report;

use crate::sheet::content::Content;
use wrap::WIDTH;

/// Lines of a page.
pub const LINES: usize = 60;

/// Most lines that warnings may take, and those they have on the fullest page.
const WARNINGS: [usize; 2] = [13, 6];

/// Most tumours that are told of.
const TUMOURS: usize = 4;

/// The page, with a line break after its last line.
#[must_use]
pub fn write(report: &Report) -> String {
    let content = Content::of(report);
    let lines = set(&content, report, false)
        .or_else(|| set(&content, report, true))
        .unwrap_or_default();
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
    sections::table(&results, usize::MAX)
}

/// The page's lines. `tight` gives everything as few lines as it can do with; without, `None` if they are too many.
fn set(content: &Content, report: &Report, tight: bool) -> Option<Vec<String>> {
    let head = sections::head(content);
    let subject = sections::subject(&content.subject);
    let results = sections::table(&content.results, usize::MAX);
    let details: Vec<String> = content
        .details
        .iter()
        .flat_map(|section| sections::section(section, tight))
        .chain(sections::foot())
        .collect();
    let change = content.change.as_ref();
    let change = change.map_or_else(Vec::new, |change| sections::table(change, usize::MAX));
    let fixed = head.len() + subject.len() + results.len() + details.len() + change.len();
    let room = LINES.saturating_sub(fixed);
    let fewest = content.tumours.rows.len().min(1);
    let tumours = |most| match most {
        0 => Vec::new(),
        most => sections::table(&content.tumours, most),
    };
    let [most, least] = WARNINGS;
    let (warnings, tumours) = if tight {
        let tumours = tumours(fewest);
        let left = room.saturating_sub(tumours.len());
        (
            sections::warnings(content, left.clamp(least, most)),
            tumours,
        )
    } else {
        let warnings = sections::warnings(content, most);
        let left = room.checked_sub(warnings.len())?;
        let all = (fewest..=TUMOURS.min(content.tumours.rows.len())).rev();
        let tumours = all.map(tumours).find(|lines| lines.len() <= left)?;
        (warnings, tumours)
    };
    let left = room.saturating_sub(warnings.len() + tumours.len());
    let areas = areas::table(report, left);
    Some(
        [
            head, warnings, subject, results, tumours, change, areas, details,
        ]
        .concat(),
    )
}
