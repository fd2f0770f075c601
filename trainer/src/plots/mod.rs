//! Pictures of runs and results, as PNG files, those of the experiments as SVG too.

pub mod confusion;
pub mod curves;
pub mod examples;
pub mod maps;
pub mod picture;

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
    let mut pixels = vec![0_u8; (size.0 * size.1 * 3) as usize];
    let fail = |reason: String| PlotError {
        path: path.into(),
        reason,
    };
    font().map_err(fail)?;
    {
        let area = BitMapBackend::with_buffer(&mut pixels, size).into_drawing_area();
        let drawn = area
            .fill(&WHITE)
            .map_err(Into::into)
            .and_then(|()| render(&area));
        drawn
            .and_then(|()| area.present().map_err(Into::into))
            .map_err(|e| fail(e.to_string()))?;
    }
    write_png(path, &pixels, size)
}

/// Writes RGB pixels as PNG beside `path`, then renames.
fn write_png(path: &Path, pixels: &[u8], (width, height): (u32, u32)) -> Result<(), PlotError> {
    let fail = |e: &dyn std::fmt::Display| PlotError {
        path: path.into(),
        reason: e.to_string(),
    };
    let mut png = Vec::new();
    let encoder = image::codecs::png::PngEncoder::new(&mut png);
    image::ImageEncoder::write_image(
        encoder,
        pixels,
        width,
        height,
        image::ExtendedColorType::Rgb8,
    )
    .map_err(|e| fail(&e))?;
    nephrobox_imaging::files::write(path, &png).map_err(|e| fail(&e))
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
    let fail = |reason: String| PlotError {
        path: path.into(),
        reason,
    };
    font().map_err(fail)?;
    {
        let area = BitMapBackend::with_buffer(&mut pixels, size).into_drawing_area();
        render(&area)
            .and_then(|()| area.present().map_err(Into::into))
            .map_err(|e| fail(e.to_string()))?;
    }
    write_png(path, &pixels, size)
}
