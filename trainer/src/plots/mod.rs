//! Pictures of runs and results, as PNG files, those of the experiments as SVG too.

pub mod confusion;
pub mod curves;
pub mod examples;
pub mod maps;
pub mod picture;
pub mod sheet;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};

/// A picture could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the picture {path} cannot be made: {reason}")]
pub struct PlotError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub reason: String,
}

/// What drawing comes to.
pub type Drawn = Result<(), Box<dyn std::error::Error>>;

/// Renders a chart of `size` pixels and writes it beside `path`, then renames.
fn chart(
    path: &Path,
    size: (u32, u32),
    render: impl FnOnce(&DrawingArea<BitMapBackend<'_>, plotters::coord::Shift>) -> Drawn,
) -> Result<(), PlotError> {
    let white = vec![255_u8; (size.0 * size.1 * 3) as usize];
    write_over(path, white, size, render)
}

/// Renders a chart of `size` pixels as an SVG element.
fn svg(
    size: (u32, u32),
    render: impl FnOnce(&DrawingArea<SVGBackend<'_>, plotters::coord::Shift>) -> Drawn,
) -> Result<String, PlotError> {
    let fail = |reason: String| PlotError {
        path: PathBuf::from("(within a page)"),
        reason,
    };
    font().map_err(fail)?;
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, size).into_drawing_area();
        let drawn = area.fill(&WHITE).map_err(Into::into);
        drawn
            .and_then(|()| render(&area))
            .and_then(|()| area.present().map_err(Into::into))
            .map_err(|e| fail(e.to_string()))?;
    }
    Ok(text)
}

/// Draws on top of RGB pixels.
fn draw_on(
    pixels: &mut [u8],
    size: (u32, u32),
    render: impl FnOnce(&DrawingArea<BitMapBackend<'_>, plotters::coord::Shift>) -> Drawn,
) -> Result<(), String> {
    font()?;
    let area = BitMapBackend::with_buffer(pixels, size).into_drawing_area();
    render(&area)
        .and_then(|()| area.present().map_err(Into::into))
        .map_err(|e| e.to_string())
}

/// Writes RGB pixels as PNG beside `path`, then renames.
fn write_png(path: &Path, pixels: &[u8], (width, height): (u32, u32)) -> Result<(), PlotError> {
    let fail = |e: &dyn std::fmt::Display| PlotError {
        path: path.into(),
        reason: e.to_string(),
    };
    let png = png(pixels, (width, height)).map_err(|e| fail(&e))?;
    nephrobox_imaging::files::write(path, &png).map_err(|e| fail(&e))
}

/// RGB pixels as the bytes of a PNG file.
fn png(pixels: &[u8], (width, height): (u32, u32)) -> Result<Vec<u8>, image::ImageError> {
    let mut png = Vec::new();
    let encoder = image::codecs::png::PngEncoder::new(&mut png);
    let colour = image::ExtendedColorType::Rgb8;
    image::ImageEncoder::write_image(encoder, pixels, width, height, colour)?;
    Ok(png)
}

/// The font is compiled in, so that no machine needs any installed.
fn font() -> Result<(), String> {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    let registered = REGISTERED.get_or_init(|| {
        register_font("sans-serif", FontStyle::Normal, dejavu::sans::regular()).is_ok()
    });
    if *registered {
        Ok(())
    } else {
        Err("the built-in font cannot be read".into())
    }
}

/// Draws on top of RGB pixels and writes them as PNG.
pub(crate) fn write_over(
    path: &Path,
    mut pixels: Vec<u8>,
    size: (u32, u32),
    render: impl FnOnce(&DrawingArea<BitMapBackend<'_>, plotters::coord::Shift>) -> Drawn,
) -> Result<(), PlotError> {
    draw_on(&mut pixels, size, render).map_err(|reason| PlotError {
        path: path.into(),
        reason,
    })?;
    write_png(path, &pixels, size)
}
