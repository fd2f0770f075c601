//! Figure 7: example segmentations in the paper's colours, from the `maps-*.png` that `evaluate` writes.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use image::{GenericImageView, RgbImage};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{ExperimentError, write};
use crate::plots::Drawn;

/// Rows of the figure.
const ROWS: usize = 4;
/// Edge of a panel and height of the headings, pixels.
const PANEL: u32 = 220;
const HEAD: u32 = 34;
/// Names of the panels.
const PANELS: [&str; 3] = ["CT image", "ground truth", "segmentation"];

/// The pictures of an evaluation that the figure shows.
pub fn pictures(evaluation: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(evaluation)
        .into_iter()
        .flatten()
        .flatten()
        .map(|e| e.path());
    let is_map = |p: &PathBuf| {
        let name = p
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        name.starts_with("maps-") && p.extension().is_some_and(|e| e == "png")
    };
    let mut found: Vec<PathBuf> = entries.filter(is_map).collect();
    found.sort();
    found.truncate(ROWS);
    found
}

/// Writes `STEM.png` and `STEM.svg`; returns the SVG's text.
pub fn write_figure(stem: &Path, pictures: &[PathBuf]) -> Result<String, ExperimentError> {
    let (width, height) = (3 * PANEL, HEAD + PANEL * pictures.len().max(1) as u32);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    for (i, name) in PANELS.iter().enumerate() {
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"22\" font-family=\"sans-serif\" font-size=\"15\" text-anchor=\"middle\">{name}</text>",
            PANEL * i as u32 + PANEL / 2
        );
    }
    let mut canvas = RgbImage::from_pixel(width, height, image::Rgb([255; 3]));
    for (row, path) in pictures.iter().enumerate() {
        let bytes = std::fs::read(path)
            .map_err(|e| ExperimentError::file(path, format!("cannot be read: {e}")))?;
        let picture = image::load_from_memory(&bytes)
            .map_err(|e| ExperimentError::file(path, format!("is no picture: {e}")))?;
        let top = HEAD + PANEL * row as u32;
        let _ = writeln!(
            svg,
            "<image x=\"0\" y=\"{top}\" width=\"{width}\" height=\"{PANEL}\" preserveAspectRatio=\"none\" \
             style=\"image-rendering:pixelated\" href=\"data:image/png;base64,{}\"/>",
            base64::engine::general_purpose::STANDARD.encode(&bytes)
        );
        let (w, h) = picture.dimensions();
        for (x, y) in (0..width).flat_map(|x| (0..PANEL).map(move |y| (x, y))) {
            let image::Rgba([r, g, b, _]) = picture.get_pixel(x * w / width, y * h / PANEL);
            canvas.put_pixel(x, top + y, image::Rgb([r, g, b]));
        }
    }
    svg.push_str("</svg>\n");
    let path = |extension: &str| PathBuf::from(format!("{}.{extension}", stem.display()));
    crate::plots::write_over(&path("png"), canvas.into_raw(), (width, height), headings)?;
    write(&path("svg"), &svg)?;
    Ok(svg)
}

fn headings(area: &DrawingArea<BitMapBackend<'_>, Shift>) -> Drawn {
    for (i, name) in PANELS.iter().enumerate() {
        let style = TextStyle::from(("sans-serif", 15).into_font())
            .pos(Pos::new(HPos::Center, VPos::Center));
        area.draw(&Text::new(
            *name,
            ((PANEL * i as u32 + PANEL / 2) as i32, HEAD as i32 / 2),
            style,
        ))?;
    }
    Ok(())
}
