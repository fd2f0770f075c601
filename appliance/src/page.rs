//! The report as one page of text: 80 columns, 60 lines, warnings first.
//!
//! Written from a [`Report`] alone, so that a page can be made again from `report.json`. What does not fit is cut with
//! a word about where the whole stands; nothing is left out in silence.

mod sections;
mod wrap;

use nephrobox_shared::report::Report;

pub use sections::result_table;
use wrap::WIDTH;

/// Lines of a page.
pub const LINES: usize = 60;

/// The page, with a line break after its last line.
#[must_use]
pub fn write(report: &Report) -> String {
    let before = [
        sections::head(report),
        sections::warnings(report),
        sections::results(report),
    ]
    .concat();
    let after = [
        sections::scan(report),
        sections::model(report),
        sections::files(report),
    ]
    .concat();
    // Tumours and areas take what is left of the page.
    let room = LINES.saturating_sub(before.len() + after.len());
    let tumours = sections::tumours(report, room);
    let areas = sections::areas(report, room.saturating_sub(tumours.len()));
    let lines = [before, tumours, areas, after].concat();
    let mut page = String::with_capacity(lines.len() * (WIDTH + 1));
    for line in lines {
        page.push_str(line.trim_end());
        page.push('\n');
    }
    page
}
