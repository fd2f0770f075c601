//! The report as one drawn page: a PNG to look at and a PDF to file, from one drawing.
//!
//! ```text
//! Report ─► content ─► layout ─► SVG ─► resvg ─► PNG
//!                        ▲        └───► krilla ─► PDF, its text as text
//!              pictures ─┘
//! ```
//!
//! [`content`] has the words, and the page of text ([`crate::page`]) is set from the same. Nothing is taken from the system: fonts are compiled
//! in, no file is read, no clock is looked at. The same report gives the same bytes. Letters that `DejaVu` lacks, such as Chinese ones, are
//! drawn as boxes; `report.txt` and `report.json` have them.

mod blocks;
mod canvas;
pub mod content;
mod figures;
mod layout;
mod picture;
mod render;

use nephrobox_shared::report::Report;

use crate::overlay::OverlayError;
pub use picture::Picture;

/// Width and height of the page in points of 1/72 inch: A4.
pub const PAGE: [f32; 2] = [595.28, 841.89];

/// Pixels for each inch of the PNG.
pub const DPI: f32 = 150.0;

/// The page in both forms.
#[derive(Debug, Clone)]
pub struct Sheet {
    /// The page as a PNG file of [`DPI`].
    pub png: Vec<u8>,
    /// The page as a PDF file of one page of A4.
    pub pdf: Vec<u8>,
    /// The PNG's pixels, for whoever wants them otherwise.
    pub pixels: image::RgbImage,
}

/// Why a page cannot be drawn. All but the first are faults of this program.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SheetError {
    /// A slice contradicts itself.
    #[error(transparent)]
    Overlay(#[from] OverlayError),
    /// The fonts that are compiled in cannot be read.
    #[error("the built-in font cannot be read")]
    Font,
    /// The drawing is not understood.
    #[error("the page's drawing is unsound: {0}")]
    Drawing(#[from] resvg::usvg::Error),
    /// A size is none.
    #[error("the page has no size")]
    Size,
    /// The picture cannot be packed.
    #[error("the page cannot be packed as PNG")]
    Png(#[from] image::ImageError),
    /// The document cannot be put together.
    #[error("the page cannot be put together as PDF: {0}")]
    Pdf(String),
}

/// Draws the page of a report with its pictures, of which three at most are shown, in their order.
///
/// # Errors
/// Faults of this program only, see [`SheetError`].
pub fn draw(report: &Report, pictures: &[Picture]) -> Result<Sheet, SheetError> {
    let pictures = &pictures[..pictures.len().min(layout::PICTURES)];
    let content = content::Content::of(report);
    let svg = layout::page(&content, report, pictures)?;
    render::render(&svg, pictures, &content)
}
