//! A contact sheet: rows of slices with their label outlines, each row under its title.

use std::path::Path;

use nephrobox_shared::class::Class;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::PlotError;
use super::examples::View;
use crate::augment::Sample;

/// Smallest edge of a tile on the screen.
const TILE: usize = 256;
const GAP: usize = 8;
const TITLE: usize = 26;
const HEAD: usize = 64;

/// One row of the sheet.
#[derive(Clone, Debug)]
pub struct Row {
    /// What it shows.
    pub title: String,
    /// Its slices, all of one size.
    pub samples: Vec<Sample>,
}

/// Draws the rows from top to bottom under a heading.
pub fn draw(path: &Path, heading: &str, rows: &[Row]) -> Result<(), PlotError> {
    let fail = |reason: &str| PlotError {
        path: path.into(),
        reason: reason.into(),
    };
    let first = rows
        .iter()
        .flat_map(|r| &r.samples)
        .next()
        .ok_or_else(|| fail("there is nothing to show"))?;
    let zoom = TILE.div_ceil(first.rows.max(first.cols)).max(1);
    let [height, width] = [first.rows, first.cols].map(|n| n * zoom + GAP);
    let most = rows.iter().map(|r| r.samples.len()).max().unwrap_or(0);
    let size = [
        HEAD + rows.len() * (TITLE + height) + GAP,
        most * width + GAP,
    ];
    let mut pixels = vec![255_u8; size[0] * size[1] * 3];
    let top = |row: usize| HEAD + row * (TITLE + height);
    for (number, row) in rows.iter().enumerate() {
        for (column, sample) in row.samples.iter().enumerate() {
            let view = View {
                size: [sample.rows, sample.cols],
                image: &sample.image,
                labels: Some(&sample.labels),
                zoom,
            };
            view.paint(
                &mut pixels,
                size[1],
                [top(number) + TITLE, GAP + column * width],
            );
        }
    }
    let size = (size[1] as u32, size[0] as u32);
    super::draw_on(&mut pixels, size, |area| {
        let left = |points: i32| {
            TextStyle::from(("sans-serif", points).into_font())
                .pos(Pos::new(HPos::Left, VPos::Center))
        };
        let edge = GAP as i32;
        area.draw(&Text::new(heading, (edge, 18), left(18)))?;
        let mut x = edge;
        for class in [Class::Kidney, Class::Tumour] {
            let [r, g, b] = class.colour();
            let square = Rectangle::new([(x, 38), (x + 12, 50)], RGBColor(r, g, b).filled());
            area.draw(&square)?;
            area.draw(&Text::new(class.name(), (x + 18, 44), left(15)))?;
            x += 110;
        }
        for (number, row) in rows.iter().enumerate() {
            let at = (edge, (top(number) + TITLE / 2) as i32);
            area.draw(&Text::new(row.title.as_str(), at, left(15)))?;
        }
        Ok(())
    })
    .map_err(|e| fail(&e))?;
    super::write_png(path, &pixels, size)
}
