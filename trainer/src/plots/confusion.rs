//! The row-normalised confusion matrix, as in the paper's Figure 6.

use std::path::Path;

use nephrobox_shared::class::Class;
use nephrobox_shared::metrics::ConfusionMatrix;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::picture::Picture;
use super::{Drawn, PlotError};

const SIZE: (u32, u32) = (620, 540);
/// Left and top of the matrix, and edge of a cell, in pixels.
const ORIGIN: (i32, i32) = (150, 70);
const CELL: i32 = 140;

/// Shares of a true class' pixels by predicted class; `None` if the truth lacks the class.
type Row = Option<[f64; Class::COUNT]>;

/// A matrix to draw.
#[derive(Clone, Debug)]
pub struct Confusion {
    /// Above it.
    pub title: String,
    /// Shares, rows are the truth.
    pub rows: [Row; Class::COUNT],
    /// A second line in the cells, such as published shares in percent.
    pub notes: [[Option<String>; Class::COUNT]; Class::COUNT],
}

/// Draws the matrix as PNG; a row whose class the truth lacks says so.
pub fn draw(path: &Path, matrix: &ConfusionMatrix, title: &str) -> Result<(), PlotError> {
    let picture = Confusion {
        title: title.to_owned(),
        rows: matrix.row_normalised(),
        notes: Default::default(),
    };
    super::chart(path, SIZE, |area| picture.draw(area))
}

impl Picture for Confusion {
    fn size(&self) -> (u32, u32) {
        SIZE
    }

    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Drawn
    where
        B::ErrorType: 'static,
    {
        let centred = |size: i32| {
            TextStyle::from(("sans-serif", size).into_font())
                .pos(Pos::new(HPos::Center, VPos::Center))
        };
        let middle = |i: usize| CELL * i as i32 + CELL / 2;
        area.draw(&Text::new(
            self.title.clone(),
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
        for (row, (truth, shares)) in Class::ALL.iter().zip(self.rows).enumerate() {
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
                let ink = if depth > 0.5 { &WHITE } else { &BLACK };
                let note = self.notes[row][column].as_ref();
                let (x, y) = (left + CELL / 2, top + CELL / 2);
                let up = if note.is_some() { 12 } else { 0 };
                area.draw(&Text::new(text, (x, y - up), centred(18).color(ink)))?;
                if let Some(note) = note {
                    area.draw(&Text::new(
                        note.clone(),
                        (x, y + up),
                        centred(14).color(ink),
                    ))?;
                }
            }
        }
        Ok(())
    }
}
