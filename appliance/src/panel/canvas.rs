//! The picture that a screen is drawn on, with anti-aliased text, before it goes to a target.
//!
//! Shapes are `embedded-graphics`' own. Its fonts are bitmaps, so text is set as the overlays set it; smooth edges need what is
//! underneath, which a [`DrawTarget`] cannot be asked for, and so a whole picture is made first.

use std::convert::Infallible;

use ab_glyph::FontRef;
use embedded_graphics::Pixel;
use embedded_graphics::draw_target::DrawTarget;
use embedded_graphics::geometry::{OriginDimensions, Point, Size};
use embedded_graphics::pixelcolor::{Rgb888, RgbColor};
use embedded_graphics::primitives::{PrimitiveStyle, Rectangle, StyledDrawable};
use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};

use super::{HEIGHT, WIDTH};
use crate::overlay::text::{self, Typeface};
use crate::overlay::{OverlayError, palette};

// The colours of the overlays' pages.
pub(super) const PAPER: Rgb888 = rgb(palette::PAPER.0);
pub(super) const INK: Rgb888 = rgb(palette::INK.0);
pub(super) const FAINT: Rgb888 = rgb(palette::FAINT.0);
pub(super) const RULE: Rgb888 = rgb(palette::RULE.0);
pub(super) const NOTICE: Rgb888 = rgb(palette::NOTICE.0);
/// Colour of what is well.
pub(super) const GOOD: Rgb888 = Rgb888::new(111, 211, 155);
/// Under a notice.
pub(super) const NOTICE_PAPER: Rgb888 = Rgb888::new(54, 42, 20);
/// Colour of faults.
pub(super) const BAD: Rgb888 = Rgb888::new(255, 122, 110);

/// A colour of the house as one of `embedded-graphics`.
pub(super) const fn rgb([r, g, b]: [u8; 3]) -> Rgb888 {
    Rgb888::new(r, g, b)
}

/// How a line is set.
#[derive(Clone, Copy)]
pub(super) struct Type {
    bold: bool,
    /// Height of a line in pixels.
    size: f32,
    colour: Rgb888,
}

impl Type {
    pub(super) const fn bold(size: f32, colour: Rgb888) -> Self {
        Self {
            bold: true,
            size,
            colour,
        }
    }

    pub(super) const fn regular(size: f32, colour: Rgb888) -> Self {
        Self {
            bold: false,
            size,
            colour,
        }
    }

    fn font(self, typeface: &Typeface) -> &FontRef<'static> {
        if self.bold {
            &typeface.bold
        } else {
            &typeface.regular
        }
    }
}

/// The picture.
pub(super) struct Canvas {
    picture: RgbImage,
    typeface: Typeface,
}

impl Canvas {
    pub(super) fn new() -> Result<Self, OverlayError> {
        Ok(Self {
            picture: RgbImage::new(WIDTH, HEIGHT),
            typeface: Typeface::load()?,
        })
    }

    pub(super) fn picture(&self) -> &RgbImage {
        &self.picture
    }

    /// The pixels, row by row.
    pub(super) fn colours(&self) -> impl Iterator<Item = Rgb888> {
        self.picture.pixels().map(|pixel| rgb(pixel.0))
    }

    /// Fills a rectangle.
    pub(super) fn fill(&mut self, (x, y): (i32, i32), (width, height): (u32, u32), colour: Rgb888) {
        let area = Rectangle::new(Point::new(x, y), Size::new(width, height));
        let Ok(()) = area.draw_styled(&PrimitiveStyle::with_fill(colour), self);
    }

    /// A rectangle's outline, one pixel wide.
    pub(super) fn frame(&mut self, (x, y): (i32, i32), size: (u32, u32), colour: Rgb888) {
        let area = Rectangle::new(Point::new(x, y), Size::new(size.0, size.1));
        let Ok(()) = area.draw_styled(&PrimitiveStyle::with_stroke(colour, 1), self);
    }

    /// The width of a line in pixels.
    pub(super) fn width(&self, kind: Type, words: &str) -> f32 {
        text::width(kind.font(&self.typeface), kind.size, words)
    }

    /// Writes a line with its left end at `x` and its baseline at `y`, as much of it as fits into `room`.
    /// Returns where it ends.
    pub(super) fn left(&mut self, kind: Type, (x, y): (f32, f32), room: f32, words: &str) -> f32 {
        let words = text::shortened(kind.font(&self.typeface), kind.size, room, words);
        self.write(kind, (x, y), &words);
        x + self.width(kind, &words)
    }

    /// Writes a line with its right end at `x`. Returns where it begins.
    pub(super) fn right(&mut self, kind: Type, (x, y): (f32, f32), room: f32, words: &str) -> f32 {
        let words = text::shortened(kind.font(&self.typeface), kind.size, room, words);
        // Whole pixels, so that the same number looks the same in every column.
        let start = (x - self.width(kind, &words)).round();
        self.write(kind, (start, y), &words);
        start
    }

    /// Writes words over several lines, `leading` pixels apart; what does not fit is cut.
    pub(super) fn paragraph(
        &mut self,
        kind: Type,
        (x, y): (f32, f32),
        room: f32,
        (lines, leading): (usize, f32),
        words: &str,
    ) {
        let lines = text::wrapped(kind.font(&self.typeface), kind.size, room, lines, words);
        let mut y = y;
        for line in &lines {
            self.write(kind, (x, y), line);
            y += leading;
        }
    }

    /// Lays a picture into the middle of a rectangle, made smaller if need be, never larger.
    pub(super) fn place(
        &mut self,
        (x, y): (u32, u32),
        (width, height): (u32, u32),
        picture: &RgbImage,
    ) {
        let shrink = (f64::from(width) / f64::from(picture.width()))
            .min(f64::from(height) / f64::from(picture.height()));
        let smaller;
        let picture = if shrink < 1.0 {
            let side = |pixels: u32| ((f64::from(pixels) * shrink) as u32).max(1);
            let (width, height) = (side(picture.width()), side(picture.height()));
            smaller = imageops::resize(picture, width, height, FilterType::CatmullRom);
            &smaller
        } else {
            picture
        };
        let left = x + (width - picture.width().min(width)) / 2;
        let top = y + (height - picture.height().min(height)) / 2;
        imageops::replace(&mut self.picture, picture, i64::from(left), i64::from(top));
    }

    fn write(&mut self, kind: Type, at: (f32, f32), words: &str) {
        let font = kind.font(&self.typeface);
        let colour = Rgb([kind.colour.r(), kind.colour.g(), kind.colour.b()]);
        text::write(&mut self.picture, font, kind.size, at, colour, words);
    }
}

impl OriginDimensions for Canvas {
    fn size(&self) -> Size {
        Size::new(self.picture.width(), self.picture.height())
    }
}

impl DrawTarget for Canvas {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I>(&mut self, pixels: I) -> Result<(), Infallible>
    where
        I: IntoIterator<Item = Pixel<Rgb888>>,
    {
        for Pixel(at, colour) in pixels {
            let (Ok(x), Ok(y)) = (u32::try_from(at.x), u32::try_from(at.y)) else {
                continue;
            };
            if let Some(pixel) = self.picture.get_pixel_mut_checked(x, y) {
                *pixel = Rgb([colour.r(), colour.g(), colour.b()]);
            }
        }
        Ok(())
    }
}
