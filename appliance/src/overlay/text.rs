//! Text in pictures, set in `DejaVu` Sans so that no font need be installed.

use ab_glyph::{Font, FontRef, PxScale, ScaleFont, point};
use image::{Rgb, RgbImage};

use super::OverlayError;

/// The two weights that the overlays use.
pub(super) struct Typeface {
    pub(super) regular: FontRef<'static>,
    pub(super) bold: FontRef<'static>,
}

impl Typeface {
    /// Reads the fonts that are compiled in.
    pub(super) fn load() -> Result<Self, OverlayError> {
        let read = |bytes| FontRef::try_from_slice(bytes).map_err(|_| OverlayError::Font);
        Ok(Self {
            regular: read(dejavu::sans::regular())?,
            bold: read(dejavu::sans::bold())?,
        })
    }
}

/// The width of a line of text in pixels.
pub(super) fn width(font: &FontRef<'_>, size: f32, text: &str) -> f32 {
    let scaled = font.as_scaled(PxScale::from(size));
    let mut previous = None;
    let mut width = 0.0;
    for id in text.chars().map(|character| scaled.glyph_id(character)) {
        if let Some(previous) = previous {
            width += scaled.kern(previous, id);
        }
        width += scaled.h_advance(id);
        previous = Some(id);
    }
    width
}

/// Writes one line with its left end at `x` and its baseline at `y`; what falls outside the picture is cut.
pub(super) fn write(
    picture: &mut RgbImage,
    font: &FontRef<'_>,
    size: f32,
    (x, y): (f32, f32),
    colour: Rgb<u8>,
    text: &str,
) {
    let scale = PxScale::from(size);
    let scaled = font.as_scaled(scale);
    let (mut pen, mut previous) = (x, None);
    for id in text.chars().map(|character| scaled.glyph_id(character)) {
        if let Some(previous) = previous {
            pen += scaled.kern(previous, id);
        }
        if let Some(outline) = font.outline_glyph(id.with_scale_and_position(scale, point(pen, y)))
        {
            let origin = outline.px_bounds().min;
            outline.draw(|dx, dy, coverage| {
                blend(
                    picture,
                    (
                        origin.x as i64 + i64::from(dx),
                        origin.y as i64 + i64::from(dy),
                    ),
                    colour,
                    coverage,
                );
            });
        }
        pen += scaled.h_advance(id);
        previous = Some(id);
    }
}

/// The same with a dark rim, for text that lies on the image itself.
pub(super) fn write_rimmed(
    picture: &mut RgbImage,
    font: &FontRef<'_>,
    size: f32,
    (x, y): (f32, f32),
    colour: Rgb<u8>,
    text: &str,
) {
    for step in 0..8 {
        let angle = std::f32::consts::FRAC_PI_4 * step as f32;
        write(
            picture,
            font,
            size,
            (x + 2.0 * angle.cos(), y + 2.0 * angle.sin()),
            Rgb([0; 3]),
            text,
        );
    }
    write(picture, font, size, (x, y), colour, text);
}

/// Lays a colour over a pixel; a place outside the picture is left out.
pub(super) fn blend(picture: &mut RgbImage, (x, y): (i64, i64), colour: Rgb<u8>, coverage: f32) {
    let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y)) else {
        return;
    };
    if let Some(pixel) = picture.get_pixel_mut_checked(x, y) {
        let coverage = coverage.clamp(0.0, 1.0);
        for (under, over) in pixel.0.iter_mut().zip(colour.0) {
            *under =
                (f32::from(*under) * (1.0 - coverage) + f32::from(over) * coverage).round() as u8;
        }
    }
}
