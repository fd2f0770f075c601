//! The row-normalised confusion matrix, as in the paper's Figure 6.

use std::path::Path;

use nephrobox_shared::class::Class;
use nephrobox_shared::metrics::ConfusionMatrix;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{Drawn, PlotError};

const SIZE: (u32, u32) = (620, 540);
/// Left and top of the matrix, and edge of a cell, in pixels.
const ORIGIN: (i32, i32) = (150, 70);
const CELL: i32 = 140;

/// A row for each true class, its shares by predicted class; `None` for a class that the truth lacks.
pub type Rows = [Option<[f64; Class::COUNT]>; Class::COUNT];

/// Draws the matrix; a row whose class the truth lacks says so.
pub fn draw(path: &Path, matrix: &ConfusionMatrix, title: &str) -> Result<(), PlotError> {
    super::chart(path, SIZE, |area| {
        render(area, &matrix.row_normalised(), title)
    })
}

/// The same as an SVG element, of rows that are at hand.
pub fn svg(rows: &Rows, title: &str) -> Result<String, PlotError> {
    super::svg(SIZE, |area| render(area, rows, title))
}

fn render<DB: DrawingBackend>(area: &DrawingArea<DB, Shift>, rows: &Rows, title: &str) -> Drawn
where
    DB::ErrorType: 'static,
{
    let centred = |size: i32| {
        TextStyle::from(("sans-serif", size).into_font()).pos(Pos::new(HPos::Center, VPos::Center))
    };
    let middle = |i: usize| CELL * i as i32 + CELL / 2;
    area.draw(&Text::new(
        title.to_string(),
        (SIZE.0 as i32 / 2, 22),
        centred(19),
    ))?;
    area.draw(&Text::new(
        "predicted",
        (ORIGIN.0 + 3 * CELL / 2, 46),
        centred(15),
    ))?;
    area.draw(&Text::new(
        "true",
        (28, ORIGIN.1 + 3 * CELL / 2),
        centred(15),
    ))?;
    for (row, (truth, shares)) in Class::ALL.iter().zip(rows).enumerate() {
        let y = ORIGIN.1 + middle(row);
        area.draw(&Text::new(truth.name(), (ORIGIN.0 - 50, y), centred(15)))?;
        area.draw(&Text::new(
            truth.name(),
            (ORIGIN.0 + middle(row), ORIGIN.1 + 3 * CELL + 20),
            centred(15),
        ))?;
        for column in 0..Class::COUNT {
            let (left, top) = (
                ORIGIN.0 + CELL * column as i32,
                ORIGIN.1 + CELL * row as i32,
            );
            let share = shares.map(|s| s[column]);
            let depth = share.unwrap_or(0.0);
            let fade = |full: u8| (255.0 - (255.0 - f64::from(full)) * depth) as u8;
            let colour = RGBColor(fade(8), fade(69), fade(148));
            let cell = [(left, top), (left + CELL, top + CELL)];
            area.draw(&Rectangle::new(cell, colour.filled()))?;
            area.draw(&Rectangle::new(cell, RGBColor(160, 160, 160)))?;
            let text = share.map_or("none".to_string(), |s| format!("{:.2} %", 100.0 * s));
            let style = centred(18).color(if depth > 0.5 { &WHITE } else { &BLACK });
            area.draw(&Text::new(text, (left + CELL / 2, top + CELL / 2), style))?;
        }
    }
    Ok(())
}
