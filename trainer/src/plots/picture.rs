//! Pictures that are drawn alike as PNG and as SVG.

use std::path::{Path, PathBuf};

use plotters::coord::Shift;
use plotters::prelude::*;

use super::{Drawn, PlotError, chart, font};

/// Something that can be drawn on any backend.
pub trait Picture {
    /// Width and height in pixels.
    fn size(&self) -> (u32, u32);

    /// Draws it on an area of that size.
    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Drawn
    where
        B::ErrorType: 'static;
}

/// Writes the picture as `STEM.png` and `STEM.svg`; returns the SVG's text.
pub fn write(stem: &Path, picture: &impl Picture) -> Result<String, PlotError> {
    let file = |extension: &str| PathBuf::from(format!("{}.{extension}", stem.display()));
    chart(&file("png"), picture.size(), |area| picture.draw(area))?;
    let path = file("svg");
    let fail = |reason: String| PlotError {
        path: path.clone(),
        reason,
    };
    font().map_err(fail)?;
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, picture.size()).into_drawing_area();
        let drawn = area
            .fill(&WHITE)
            .map_err(Into::into)
            .and_then(|()| picture.draw(&area));
        drawn
            .and_then(|()| area.present().map_err(Into::into))
            .map_err(|e| fail(e.to_string()))?;
    }
    nephrobox_imaging::files::write(&path, svg.as_bytes()).map_err(|e| fail(e.to_string()))?;
    Ok(svg)
}
