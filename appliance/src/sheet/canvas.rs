//! A drawing in the making: a piece of SVG with measured text.
//!
//! Lengths are points of 1/72 inch. Everything written is escaped here and nowhere else.

use std::fmt::Write as _;

use ab_glyph::{Font as _, FontRef};

use super::SheetError;
use super::content::clean;
use crate::overlay::text;

/// What is to be read.
pub(super) const INK: &str = "#14171c";
/// Names and details.
pub(super) const FAINT: &str = "#5a616c";
/// Thin lines.
pub(super) const RULE: &str = "#c4c9d1";
/// Behind what must not be overlooked.
pub(super) const TINT: &str = "#f0f1f4";
/// What is serious.
pub(super) const SERIOUS: &str = "#a3001b";
/// The paper.
pub(super) const PAPER: &str = "#ffffff";

/// The two faces of the page; condensed, so that a page holds what it must.
pub(super) struct Faces {
    regular: FontRef<'static>,
    bold: FontRef<'static>,
}

impl Faces {
    pub(super) const FILES: [fn() -> &'static [u8]; 2] = [
        dejavu::sans_condensed::regular,
        dejavu::sans_condensed::bold,
    ];

    pub(super) fn load() -> Result<Self, SheetError> {
        let [regular, bold] = Self::FILES.map(|bytes| FontRef::try_from_slice(bytes()));
        Ok(Self {
            regular: regular.map_err(|_| SheetError::Font)?,
            bold: bold.map_err(|_| SheetError::Font)?,
        })
    }

    fn of(&self, style: Style) -> (&FontRef<'static>, f32) {
        let font = if style.bold {
            &self.bold
        } else {
            &self.regular
        };
        // The measuring takes a size from the highest to the lowest point of letters, a drawing takes that of the em.
        let em = font.units_per_em().unwrap_or(2048.0);
        (font, style.size * font.height_unscaled() / em)
    }

    /// How wide a text is.
    pub(super) fn width(&self, style: Style, words: &str) -> f32 {
        let (font, size) = self.of(style);
        text::width(font, size, words)
    }

    /// As much of a text as fits.
    pub(super) fn shortened(&self, style: Style, room: f32, words: &str) -> String {
        let (font, size) = self.of(style);
        text::shortened(font, size, room, words)
    }

    /// Lines of a text, at most `most`; the last ends in an ellipsis if there is more.
    pub(super) fn wrapped(&self, style: Style, room: f32, most: usize, words: &str) -> Vec<String> {
        let (font, size) = self.of(style);
        text::wrapped(font, size, room, most, words)
    }
}

/// How a text looks.
#[derive(Clone, Copy)]
pub(super) struct Style {
    pub(super) size: f32,
    pub(super) bold: bool,
    pub(super) colour: &'static str,
}

impl Style {
    pub(super) const fn plain(size: f32) -> Self {
        Self {
            size,
            bold: false,
            colour: INK,
        }
    }

    pub(super) const fn bold(size: f32) -> Self {
        Self {
            size,
            bold: true,
            colour: INK,
        }
    }

    pub(super) const fn coloured(self, colour: &'static str) -> Self {
        Self { colour, ..self }
    }
}

/// Where a text stands by its place.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// A piece of SVG.
#[derive(Default)]
pub(super) struct Canvas {
    svg: String,
}

impl Canvas {
    pub(super) fn text(&mut self, [x, y]: [f32; 2], style: Style, anchor: Anchor, words: &str) {
        let anchor = match anchor {
            Anchor::Start => "",
            Anchor::Middle => " text-anchor=\"middle\"",
            Anchor::End => " text-anchor=\"end\"",
        };
        let weight = if style.bold {
            " font-weight=\"700\""
        } else {
            ""
        };
        self.put(format_args!(
            "<text x=\"{x:.2}\" y=\"{y:.2}\" font-size=\"{:.2}\" fill=\"{}\"{weight}{anchor}>{}</text>",
            style.size,
            style.colour,
            escaped(words)
        ));
    }

    /// A text on a picture, with a dark rim.
    pub(super) fn text_on_picture(
        &mut self,
        [x, y]: [f32; 2],
        size: f32,
        anchor: Anchor,
        words: &str,
    ) {
        let around = format!(
            "<g stroke=\"#000000\" stroke-width=\"{:.2}\" stroke-linejoin=\"round\" paint-order=\"stroke\">",
            size / 5.0
        );
        self.svg.push_str(&around);
        self.text([x, y], Style::bold(size).coloured(PAPER), anchor, words);
        self.svg.push_str("</g>\n");
    }

    pub(super) fn line(&mut self, from: [f32; 2], to: [f32; 2], width: f32, colour: &str) {
        self.put(format_args!(
            "<line x1=\"{:.2}\" y1=\"{:.2}\" x2=\"{:.2}\" y2=\"{:.2}\" stroke=\"{colour}\" stroke-width=\"{width:.2}\"/>",
            from[0], from[1], to[0], to[1]
        ));
    }

    pub(super) fn rect(&mut self, [x, y]: [f32; 2], [width, height]: [f32; 2], colour: &str) {
        self.put(format_args!(
            "<rect x=\"{x:.2}\" y=\"{y:.2}\" width=\"{width:.2}\" height=\"{height:.2}\" fill=\"{colour}\"/>"
        ));
    }

    /// A path in its own pixels; `attributes` are fixed words, which are not escaped.
    pub(super) fn path(&mut self, path: &str, attributes: &str) {
        self.put(format_args!("<path d=\"{path}\" {attributes}/>"));
    }

    /// The picture numbered `index`.
    pub(super) fn image(&mut self, index: usize, [width, height]: [f32; 2]) {
        self.put(format_args!(
            "<image href=\"{index}\" x=\"0\" y=\"0\" width=\"{width:.2}\" height=\"{height:.2}\"/>"
        ));
    }

    /// Puts a piece at a place, `scale` times as large.
    pub(super) fn place(&mut self, [x, y]: [f32; 2], scale: f32, piece: &Self) {
        let scale = if scale == 1.0 {
            String::new()
        } else {
            format!(" scale({scale:.5})")
        };
        self.put(format_args!(
            "<g transform=\"translate({x:.2} {y:.2}){scale}\">\n{}</g>",
            piece.svg
        ));
    }

    /// The whole as a document of this size.
    pub(super) fn document(&self, [width, height]: [f32; 2]) -> String {
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
             font-family=\"DejaVu Sans\" font-stretch=\"condensed\" xml:space=\"preserve\">\n{}</svg>\n",
            self.svg
        )
    }

    fn put(&mut self, element: std::fmt::Arguments<'_>) {
        // A string takes everything.
        let _ = writeln!(self.svg, "{element}");
    }
}

/// A text as XML carries it.
fn escaped(words: &str) -> String {
    let mut escaped = String::with_capacity(words.len());
    for character in clean(words).chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            other => escaped.push(other),
        }
    }
    escaped
}
