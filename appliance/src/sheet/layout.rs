//! Where the pieces of the page stand.
//!
//! Numbers, pictures and small print have the room that they need; warnings get what is left, and what does not fit is said to be in
//! `report.json`. So nothing can run over, whatever a report holds.

use nephrobox_shared::report::Report;

use super::blocks::{self, Block};
use super::canvas::{Anchor, Canvas, Faces, RULE, Style};
use super::content::Content;
use super::{PAGE, Picture, SheetError, figures};

/// Most pictures on a page.
pub(super) const PICTURES: usize = 3;

/// Most rows of tumours.
const TUMOURS: usize = 4;

const MARGIN: [f32; 2] = [40.0, 26.0];
/// Between two pieces.
const GAP: f32 = 11.0;
/// What warnings get at least: room for two.
const FLAGS: f32 = 48.0;
/// Heights between which pictures are made to fit.
const FIGURES: [f32; 2] = [120.0, 300.0];
/// Between two columns, and the part of the width that the left one has.
const GUTTER: f32 = 22.0;
const LEFT: f32 = 0.54;
/// The notice at the foot.
const FOOT: f32 = 14.0;

/// The page as SVG.
pub(super) fn page(
    content: &Content,
    report: &Report,
    pictures: &[Picture],
) -> Result<String, SheetError> {
    let faces = &Faces::load()?;
    let width = PAGE[0] - 2.0 * MARGIN[0];
    let left = (width - GUTTER) * LEFT;
    let right = width - GUTTER - left;

    let head = blocks::head(content, faces, width);
    let subject = blocks::subject(&content.subject, faces, width);
    let results = blocks::table(&content.results, faces, left, usize::MAX);
    let areas = figures::areas(report, right, results.height);
    let tumours = match content.tumours.rows.len() {
        0 => Block::default(),
        _ => blocks::table(&content.tumours, faces, width, TUMOURS),
    };
    let change = content.change.as_ref();
    let change = change.map_or_else(Block::default, |change| {
        blocks::table(change, faces, width, usize::MAX)
    });
    let [scan, model, files] = &content.details;
    let half = (width - GUTTER) / 2.0;
    let [scan, model, files] = [
        blocks::section(scan, faces, half),
        blocks::section(model, faces, half),
        blocks::section(files, faces, half),
    ];
    let details = (scan.height + 3.0 + files.height).max(model.height);

    // From the foot upwards.
    let foot = PAGE[1] - MARGIN[1] - FOOT;
    let details_at = foot - 8.0 - details;
    let middle = [&results, &tumours, &change];
    let middle: f32 = middle
        .into_iter()
        .filter(|block| block.height > 0.0)
        .map(|block| block.height + GAP)
        .sum();
    let top = head.height + subject.height + 9.0 + 9.0;
    let mut room = details_at - MARGIN[1] - GAP - top - middle;
    let least = if pictures.is_empty() {
        0.0
    } else {
        FIGURES[0] + GAP
    };
    let flags = blocks::flags(&content.flags, faces, width, (room - least).max(FLAGS));
    room -= flags.height + GAP;
    let figures = figures::pictures(
        pictures,
        faces,
        width,
        (room - GAP).clamp(FIGURES[0], FIGURES[1]),
    );

    // What is left over after that makes the page airier.
    let spare = room - GAP - figures.height;
    let gap = GAP + (spare / 5.0).clamp(0.0, 10.0);

    let mut page = Canvas::default();
    let mut y = MARGIN[1];
    let mut put = |block: &Block, gap: f32| {
        if block.height > 0.0 {
            page.place([MARGIN[0], y], 1.0, &block.canvas);
            y += block.height + gap;
        }
        y
    };
    put(&head, 0.0);
    put(&subject, 9.0);
    let beside = put(&flags, gap);
    put(&results, gap);
    put(&figures, gap);
    put(&tumours, gap);
    put(&change, gap);
    page.place([MARGIN[0] + left + GUTTER, beside], 1.0, &areas.canvas);
    page.line(
        [MARGIN[0], details_at - 3.0],
        [MARGIN[0] + width, details_at - 3.0],
        0.5,
        RULE,
    );
    page.place([MARGIN[0], details_at], 1.0, &scan.canvas);
    page.place(
        [MARGIN[0], details_at + scan.height + 3.0],
        1.0,
        &files.canvas,
    );
    page.place([MARGIN[0] + half + GUTTER, details_at], 1.0, &model.canvas);
    page.line([MARGIN[0], foot], [MARGIN[0] + width, foot], 0.5, RULE);
    let style = Style::bold(7.5);
    let words = faces.shortened(style, width - 170.0, &content.notice);
    page.text([MARGIN[0], foot + 10.5], style, Anchor::Start, &words);
    let numbering = "Slices are numbered from 0 at the head end.";
    page.text(
        [MARGIN[0] + width, foot + 10.5],
        Style::plain(7.0),
        Anchor::End,
        numbering,
    );
    Ok(page.document(PAGE))
}
