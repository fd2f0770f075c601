//! Pieces of the page that are set from words and cells: each draws itself from its top and says how high it is.

use nephrobox_shared::report::Severity;

use super::canvas::{Anchor, Canvas, FAINT, Faces, INK, PAPER, RULE, SERIOUS, Style, TINT};
use super::content::{Content, Entry, Flag, Section, Table};
use crate::output;

/// A drawn piece and its height.
#[derive(Default)]
pub(super) struct Block {
    pub(super) canvas: Canvas,
    pub(super) height: f32,
}

impl Block {
    /// The title of a part of the page, with a rule above.
    fn titled(faces: &Faces, width: f32, title: &str) -> Self {
        let mut block = Self::default();
        block.canvas.line([0.0, 0.0], [width, 0.0], 0.75, INK);
        let style = Style::bold(9.0);
        let title = faces.shortened(style, width, title);
        block.canvas.text([0.0, 12.0], style, Anchor::Start, &title);
        block.height = 18.0;
        block
    }

    fn notes(&mut self, faces: &Faces, width: f32, notes: &[String]) {
        const STYLE: Style = Style::plain(6.8).coloured(FAINT);
        for line in notes
            .iter()
            .flat_map(|note| faces.wrapped(STYLE, width, 2, note))
        {
            self.height += 8.8;
            self.canvas
                .text([0.0, self.height - 2.4], STYLE, Anchor::Start, &line);
        }
    }
}

/// Title, badge and notice.
pub(super) fn head(content: &Content, faces: &Faces, width: f32) -> Block {
    let mut block = Block::default();
    let canvas = &mut block.canvas;
    let notice = Style::bold(7.5);
    let program = Style::plain(7.5).coloured(FAINT);
    canvas.text(
        [0.0, 7.0],
        notice,
        Anchor::Start,
        &faces.shortened(notice, width - 120.0, &content.notice),
    );
    canvas.text(
        [width, 7.0],
        program,
        Anchor::End,
        &faces.shortened(program, 110.0, &content.program),
    );
    canvas.line([0.0, 13.0], [width, 13.0], 0.5, RULE);
    let title = Style::bold(17.0);
    canvas.text([0.0, 36.0], title, Anchor::Start, content.title);
    if let Some(headline) = &content.headline {
        let style = Style::bold(8.5);
        let room = width - faces.width(title, content.title) - 34.0;
        let words = faces.shortened(style, room, headline);
        let wide = faces.width(style, &words) + 14.0;
        let (paper, ink) = if content.serious {
            (SERIOUS, PAPER)
        } else {
            (TINT, INK)
        };
        canvas.rect([width - wide, 22.5], [wide, 18.0], paper);
        canvas.text(
            [width - 7.0, 34.6],
            style.coloured(ink),
            Anchor::End,
            &words,
        );
    }
    block.height = 48.0;
    block
}

/// The patient in a row: names, words, details below one another.
pub(super) fn subject(section: &Section, faces: &Faces, width: f32) -> Block {
    // What part of the width each entry has: names and studies are long, dates are short.
    const PARTS: [f32; 5] = [0.26, 0.2, 0.14, 0.25, 0.15];
    const NAME: Style = Style::plain(6.8).coloured(FAINT);
    const WORDS: Style = Style::bold(9.5);
    const SMALL: Style = Style::bold(7.4);
    const DETAIL: Style = Style::plain(7.2);
    let mut block = Block {
        height: 37.0,
        ..Block::default()
    };
    block.canvas.rect([0.0, 0.0], [width, block.height], TINT);
    let inner = width - 16.0;
    let alone = section.entries.len() == 1;
    let mut x = 8.0;
    for (entry, part) in section.entries.iter().zip(PARTS) {
        let room = if alone { inner } else { part * inner };
        let room = room - 8.0;
        let mut put = |y: f32, style: Style, words: &str| {
            let words = faces.shortened(style, room, words);
            block.canvas.text([x, y], style, Anchor::Start, &words);
        };
        put(10.5, NAME, entry.name);
        if faces.width(WORDS, &entry.words) <= room {
            put(22.5, WORDS, &entry.words);
            put(32.0, DETAIL, &entry.detail);
        } else {
            // A long name in two small lines rather than cut.
            for (line, words) in faces
                .wrapped(SMALL, room, 2, &entry.words)
                .iter()
                .enumerate()
            {
                put(18.8 + 7.9 * line as f32, SMALL, words);
            }
            put(34.2, DETAIL, &entry.detail);
        }
        x += room + 8.0;
    }
    block
}

/// The warnings, as many as fit into `room`; how many are left out is said.
pub(super) fn flags(flags: &[Flag], faces: &Faces, width: f32, room: f32) -> Block {
    const STYLE: Style = Style::plain(8.2);
    const LEAD: f32 = 10.6;
    const GAP: f32 = 2.6;
    const INDENT: f32 = 16.0;
    let mut block = Block::default();
    if flags.is_empty() {
        block
            .canvas
            .text([0.0, 9.0], STYLE, Anchor::Start, "Warnings: none");
        block.height = 12.0;
        return block;
    }
    // The last line is kept for the word about what is left out, unless all fit.
    for (index, flag) in flags.iter().enumerate() {
        let lines = faces.wrapped(STYLE, width - INDENT, 3, &flag.words);
        let high = LEAD * lines.len() as f32 + GAP;
        let last = if index + 1 == flags.len() { 0.0 } else { LEAD };
        if block.height + high + last > room {
            let words = format!(
                "And {} more kinds of warning, in {}.",
                flags.len() - index,
                output::REPORT_JSON
            );
            block.height += LEAD;
            let at = [INDENT, block.height - 2.4];
            block
                .canvas
                .text(at, Style::bold(8.2), Anchor::Start, &words);
            break;
        }
        let (mark, colour) = match flag.severity {
            Severity::Serious => ("!!", SERIOUS),
            Severity::Caution => ("!", INK),
            Severity::Note => ("–", FAINT),
        };
        let weight = if flag.severity == Severity::Serious {
            Style::bold(8.2)
        } else {
            STYLE
        };
        let mark_at = [4.0, block.height + LEAD - 2.4];
        block.canvas.text(
            mark_at,
            Style::bold(9.5).coloured(colour),
            Anchor::Start,
            mark,
        );
        // Measured in plain letters, so bold ones may want one line more.
        let lines = if weight.bold {
            faces.wrapped(weight, width - INDENT, 3, &flag.words)
        } else {
            lines
        };
        for line in lines {
            block.height += LEAD;
            block
                .canvas
                .text([INDENT, block.height - 2.4], weight, Anchor::Start, &line);
        }
        block.height += GAP;
    }
    // A bar along the side, which a grey print shows as well.
    let colour = if flags[0].severity == Severity::Serious {
        SERIOUS
    } else {
        RULE
    };
    block.canvas.rect([0.0, 0.0], [1.6, block.height], colour);
    block
}

/// A table with its numbers at the right ends of columns; the first column takes what the others leave.
pub(super) fn table(table: &Table, faces: &Faces, width: f32, most: usize) -> Block {
    const CELL: Style = Style::plain(8.6);
    const HEAD: Style = Style::plain(7.2).coloured(FAINT);
    const LEAD: f32 = 12.4;
    const GAP: f32 = 14.0;
    let shown = table.rows.len().min(most);
    let title = if shown < table.rows.len() {
        format!(
            "{} ({shown} of {}; all are in {})",
            table.title,
            table.rows.len(),
            output::REPORT_JSON
        )
    } else {
        table.title.clone()
    };
    let mut block = Block::titled(faces, width, &title);
    let rows = &table.rows[..shown];
    // Right ends of the columns, from the last to the second.
    let mut ends = vec![0.0; table.columns.len()];
    let mut end = width;
    for column in (1..table.columns.len()).rev() {
        ends[column] = end;
        let cells = rows.iter().filter_map(|row| row.get(column));
        let widest = cells
            .map(|cell| faces.width(CELL, cell))
            .fold(faces.width(HEAD, &table.columns[column]), f32::max);
        end -= widest + GAP;
    }
    // The names of the columns stand on the line of the title: short tables look lighter.
    for (name, end) in table.columns.iter().zip(&ends).skip(1) {
        block.canvas.text([*end, 12.0], HEAD, Anchor::End, name);
    }
    for (index, row) in rows.iter().enumerate() {
        let y = block.height + 9.4;
        for (column, cell) in row.iter().enumerate().take(ends.len()) {
            if column == 0 {
                let words = faces.shortened(CELL, end.max(40.0), cell);
                block.canvas.text([0.0, y], CELL, Anchor::Start, &words);
            } else {
                let colour = if cell == "-" || cell == "n/a" {
                    FAINT
                } else {
                    INK
                };
                let cell = if cell == "-" { "–" } else { cell };
                block
                    .canvas
                    .text([ends[column], y], CELL.coloured(colour), Anchor::End, cell);
            }
        }
        block.height += LEAD;
        if index + 1 < rows.len() {
            block
                .canvas
                .line([0.0, block.height], [width, block.height], 0.3, RULE);
        }
    }
    block.height += 2.0;
    block.notes(faces, width, &table.notes);
    block
}

/// Small print: names with their words beside.
pub(super) fn section(section: &Section, faces: &Faces, width: f32) -> Block {
    const NAME: Style = Style::plain(6.6).coloured(FAINT);
    const WORDS: Style = Style::plain(6.6);
    const LEAD: f32 = 8.4;
    const INDENT: f32 = 42.0;
    let mut block = Block::default();
    block
        .canvas
        .text([0.0, 8.0], Style::bold(7.2), Anchor::Start, section.title);
    block.height = 11.0;
    for Entry {
        name, words, lines, ..
    } in &section.entries
    {
        block
            .canvas
            .text([0.0, block.height + 6.4], NAME, Anchor::Start, name);
        let lines = faces.wrapped(WORDS, width - INDENT, *lines, words);
        for line in &lines {
            block
                .canvas
                .text([INDENT, block.height + 6.4], WORDS, Anchor::Start, line);
            block.height += LEAD;
        }
        if lines.is_empty() {
            block.height += LEAD;
        }
    }
    block
}
