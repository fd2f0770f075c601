//! Pictures that are drawn alike as PNG and as SVG.

use std::path::{Path, PathBuf};

use plotters::coord::Shift;
use plotters::prelude::*;

use super::{Drawn, PlotError, chart, svg};

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
    let svg = inline(picture).map_err(|e| fail(e.reason))?;
    nephrobox_imaging::files::write(&path, svg.as_bytes()).map_err(|e| fail(e.to_string()))?;
    Ok(svg)
}

/// The picture as an SVG element, to stand within a page.
pub fn inline(picture: &impl Picture) -> Result<String, PlotError> {
    svg(picture.size(), |area| picture.draw(area))
}
