//! Overlay pictures: one slice with its outlines, for a person who wants to see what was measured.
//!
//! Drawn the way radiologists look at a slice: seen from the feet, the patient's right on the left of the picture.
//! The window is the one that the network sees. Pictures are PNG, RGB, with square pixels whatever the spacing.
//! Areas are handed in, never measured here.

mod body;
pub(crate) mod furniture;
pub(crate) mod outline;
pub(crate) mod palette;
mod raster;
pub(crate) mod text;

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{GrayImage, Luma, Rgb, RgbImage};
use nephrobox_shared::class::Class;
use nephrobox_shared::measure::Sides;
use nephrobox_shared::report::RESEARCH_USE_NOTICE;

use outline::Outlines;
use raster::Raster;
use text::Typeface;

/// Width and height in pixels that [`draw_key`] fills as far as the patient's shape allows: the place for it on the panel.
pub const KEY_SIZE: (u32, u32) = (444, 368);

/// Share of the class colour that is laid over the inside of an outline.
const FILL: f32 = 0.14;

/// One canonical slice: row 0 is the front of the patient, column 0 the patient's right.
#[derive(Debug, Clone, Copy)]
pub struct OverlaySlice<'a> {
    /// Voxels in HU, `rows * cols`, row by row.
    pub hu: &'a [i16],
    /// Labels with the KiTS numbering, `rows * cols`, row by row.
    pub labels: &'a [u8],
    /// Rows of the slice.
    pub rows: usize,
    /// Columns of the slice.
    pub cols: usize,
    /// Distance between neighbouring rows in mm.
    pub row_mm: f64,
    /// Distance between neighbouring columns in mm.
    pub col_mm: f64,
}

/// What is written around the slice.
#[derive(Debug, Clone)]
pub struct Caption {
    /// What the picture shows, for instance `Right kidney, middle slice`.
    pub title: String,
    /// The slice's number, counted from 0 at the head end.
    pub slice: usize,
    /// How many slices the scan has.
    pub slices: usize,
    /// Kidney area in this slice on each side of the patient.
    pub kidney_area_mm2: Sides<f64>,
    /// Tumour area in this slice on each side of the patient.
    pub tumour_area_mm2: Sides<f64>,
    /// The scan and the model, in a few words.
    pub source: String,
}

/// Why a picture cannot be drawn.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OverlayError {
    /// The buffers do not hold `rows * cols` values, or there are none.
    #[error("a slice of {rows} x {cols} came with {hu} voxels and {labels} labels")]
    Shape {
        /// Rows as stated.
        rows: usize,
        /// Columns as stated.
        cols: usize,
        /// Voxels given.
        hu: usize,
        /// Labels given.
        labels: usize,
    },
    /// A label that stands for no class.
    #[error("label {0} is none of 0, 1 and 2")]
    Label(u8),
    /// A spacing that is not a positive number.
    #[error("spacing {row_mm} x {col_mm} mm is not positive")]
    Spacing {
        /// Distance between rows.
        row_mm: f64,
        /// Distance between columns.
        col_mm: f64,
    },
    /// The font that is compiled in cannot be read.
    #[error("the built-in font cannot be read")]
    Font,
}

impl OverlaySlice<'_> {
    /// Height and width in mm.
    fn extent_mm(&self) -> [f64; 2] {
        [
            self.rows as f64 * self.row_mm,
            self.cols as f64 * self.col_mm,
        ]
    }

    fn check(&self) -> Result<(), OverlayError> {
        let size = self.rows.checked_mul(self.cols);
        if size.is_none_or(|size| size == 0 || size != self.hu.len() || size != self.labels.len()) {
            return Err(OverlayError::Shape {
                rows: self.rows,
                cols: self.cols,
                hu: self.hu.len(),
                labels: self.labels.len(),
            });
        }
        if let Some(&label) = self
            .labels
            .iter()
            .find(|&&label| Class::from_label(label).is_none())
        {
            return Err(OverlayError::Label(label));
        }
        let positive = |mm: f64| mm.is_finite() && mm > 0.0;
        if !(positive(self.row_mm) && positive(self.col_mm)) {
            return Err(OverlayError::Spacing {
                row_mm: self.row_mm,
                col_mm: self.col_mm,
            });
        }
        Ok(())
    }
}

/// Draws one overlay picture.
///
/// # Errors
/// When the slice contradicts itself: sizes, labels or spacing.
pub fn draw(slice: &OverlaySlice<'_>, caption: &Caption) -> Result<RgbImage, OverlayError> {
    let raster = Raster::of(slice)?;
    let typeface = Typeface::load()?;
    let frame = furniture::Frame::around(&raster);
    let mut picture = RgbImage::from_pixel(frame.width, frame.height, palette::PAPER);
    draw_anatomy(&mut picture, &raster, frame.anatomy);
    furniture::draw(&mut picture, &typeface, &frame, &raster, caption);
    Ok(picture)
}

/// Draws the patient's body alone, without a page around it, within [`KEY_SIZE`]: outlines, side letters, a scale bar, and
/// that it is for research use only.
///
/// # Errors
/// When the slice contradicts itself: sizes, labels or spacing.
pub fn draw_key(slice: &OverlaySlice<'_>) -> Result<RgbImage, OverlayError> {
    slice.check()?;
    let body = body::Body::of(slice);
    let raster = Raster::within(&body.slice(slice), KEY_SIZE)?;
    let typeface = Typeface::load()?;
    let mut picture = RgbImage::new(raster.width, raster.height);
    draw_anatomy(&mut picture, &raster, (0, 0));
    furniture::draw_within(&mut picture, &typeface, &raster);
    Ok(picture)
}

/// The patient's body with its outlines as lines, to be drawn by somebody else.
pub(crate) struct Figure {
    /// Grey values of the window, on square pixels.
    pub(crate) grey: GrayImage,
    /// Pixels for each mm.
    pub(crate) px_per_mm: f64,
    /// Around kidney and tumour as one.
    pub(crate) whole: Outlines,
    /// Around tumour.
    pub(crate) tumour: Outlines,
    /// The first row and column of the slice that is shown.
    pub(crate) from: [usize; 2],
}

/// The patient's body as large as it fits into `most` pixels across and down.
///
/// # Errors
/// When the slice contradicts itself: sizes, labels or spacing.
pub(crate) fn figure(slice: &OverlaySlice<'_>, most: (u32, u32)) -> Result<Figure, OverlayError> {
    slice.check()?;
    let body = body::Body::of(slice);
    let raster = Raster::within(&body.slice(slice), most)?;
    Ok(Figure {
        whole: outline::trace(&raster, |class| class != Class::Background),
        tumour: outline::trace(&raster, |class| class == Class::Tumour),
        px_per_mm: raster.px_per_mm,
        from: body.first(),
        grey: GrayImage::from_fn(raster.width, raster.height, |x, y| {
            Luma([raster.grey[y as usize * raster.width as usize + x as usize]])
        }),
    })
}

/// The first sentence of the notice without its full stop, and the others.
pub(crate) fn notice() -> (&'static str, &'static str) {
    RESEARCH_USE_NOTICE
        .split_once(". ")
        .unwrap_or((RESEARCH_USE_NOTICE, ""))
}

/// A picture as a PNG file.
///
/// # Errors
/// None that a picture with pixels gives; the encoder's own.
pub fn png(picture: &RgbImage) -> Result<Vec<u8>, image::ImageError> {
    let mut png = Vec::new();
    // The encoder's own choice is fast and several times as large; screenshots go over a serial line.
    let encoder =
        PngEncoder::new_with_quality(&mut png, CompressionType::Default, FilterType::Adaptive);
    picture.write_with_encoder(encoder)?;
    Ok(png)
}

fn draw_anatomy(picture: &mut RgbImage, raster: &Raster, (left, top): (u32, u32)) {
    for y in 0..raster.height {
        for x in 0..raster.width {
            let index = y as usize * raster.width as usize + x as usize;
            picture.put_pixel(left + x, top + y, Rgb([raster.grey[index]; 3]));
            let class = raster.classes[index];
            if class != Class::Background {
                let cover = if on_outline(raster, i64::from(x), i64::from(y), class) {
                    1.0
                } else {
                    FILL
                };
                text::blend(
                    picture,
                    (i64::from(left + x), i64::from(top + y)),
                    Rgb(class.colour()),
                    cover,
                );
            }
        }
    }
}

/// Whether a pixel belongs to the two outermost pixels of its structure.
///
/// A tumour ends where anything else begins; a kidney ends only at the background, so that a tumour within it is
/// outlined once and not twice.
fn on_outline(raster: &Raster, x: i64, y: i64, class: Class) -> bool {
    // All offsets shorter than 2.3 pixels that can reach outside first: a disc, so that slanted lines keep their weight.
    const DISC: [(i64, i64); 12] = [
        (1, 0),
        (-1, 0),
        (0, 1),
        (0, -1),
        (1, 1),
        (1, -1),
        (-1, 1),
        (-1, -1),
        (2, 0),
        (-2, 0),
        (0, 2),
        (0, -2),
    ];
    DISC.iter().any(|&(dx, dy)| {
        let other = raster.class(x + dx, y + dy);
        match class {
            Class::Tumour => other != Class::Tumour,
            _ => other == Class::Background,
        }
    })
}
