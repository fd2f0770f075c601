//! Text in pictures, set in `DejaVu` Sans so that no font need be installed.

use ab_glyph::{Font, FontRef, PxScale, ScaleFont, point};
use image::{Rgb, RgbImage};

use super::OverlayError;

/// The two weights that pictures use.
pub(crate) struct Typeface {
    pub(crate) regular: FontRef<'static>,
    pub(crate) bold: FontRef<'static>,
}

impl Typeface {
    /// Reads the fonts that are compiled in.
    pub(crate) fn load() -> Result<Self, OverlayError> {
        let read = |bytes| FontRef::try_from_slice(bytes).map_err(|_| OverlayError::Font);
        Ok(Self {
            regular: read(dejavu::sans::regular())?,
            bold: read(dejavu::sans::bold())?,
        })
    }
}

/// The width of a line of text in pixels.
pub(crate) fn width(font: &FontRef<'_>, size: f32, text: &str) -> f32 {
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

/// Breaks words into lines of at most `room` pixels, at most `lines` of them; the last is shortened if there is more.
pub(crate) fn wrapped(
    font: &FontRef<'_>,
    size: f32,
    room: f32,
    lines: usize,
    words: &str,
) -> Vec<String> {
    let mut words = words.split_whitespace().peekable();
    let mut broken = Vec::new();
    while broken.len() + 1 < lines
        && let Some(first) = words.next()
    {
        let mut line = first.to_owned();
        while let Some(word) = words.peek() {
            let longer = format!("{line} {word}");
            if width(font, size, &longer) > room {
                break;
            }
            line = longer;
            words.next();
        }
        broken.push(line);
    }
    let rest: Vec<&str> = words.collect();
    if !rest.is_empty() {
        broken.push(rest.join(" "));
    }
    for line in &mut broken {
        *line = shortened(font, size, room, line);
    }
    broken
}

/// The text itself, or as much of it as fits in `room` pixels with an ellipsis.
pub(crate) fn shortened(font: &FontRef<'_>, size: f32, room: f32, words: &str) -> String {
    if width(font, size, words) <= room {
        return words.to_owned();
    }
    // From the front, so that a very long text costs no more than what fits.
    let mut kept = String::new();
    for character in words.chars() {
        let longer = format!("{kept}{character}");
        if width(font, size, &format!("{longer}…")) > room {
            break;
        }
        kept = longer;
    }
    if kept.is_empty() {
        return kept;
    }
    kept + "…"
}

/// Writes one line with its left end at `x` and its baseline at `y`; what falls outside the picture is cut.
pub(crate) fn write(
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
pub(crate) fn write_rimmed(
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
pub(crate) fn blend(picture: &mut RgbImage, (x, y): (i64, i64), colour: Rgb<u8>, coverage: f32) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_fit_and_lose_nothing_but_what_there_is_no_line_for() {
        let typeface = Typeface::load().expect("the built-in font");
        let words =
            "The disk is full: fetch results, or raise spool.max_bytes in the configuration";
        let lines = wrapped(&typeface.bold, 20.0, 240.0, 9, words);
        assert!(lines.len() > 2 && lines.len() < 9, "{lines:?}");
        assert_eq!(lines.join(" "), words);
        let two = wrapped(&typeface.bold, 20.0, 240.0, 2, words);
        assert_eq!(two[0], lines[0]);
        assert!(two.len() == 2 && two[1].ends_with('…'), "{two:?}");
        for line in lines.iter().chain(&two) {
            assert!(width(&typeface.bold, 20.0, line) <= 240.0, "{line}");
        }
    }

    #[test]
    fn a_word_without_end_is_cut_and_nothing_is_no_line() {
        let typeface = Typeface::load().expect("the built-in font");
        let endless = "x".repeat(100_000);
        let lines = wrapped(&typeface.regular, 20.0, 200.0, 3, &endless);
        assert!(lines.len() == 1 && lines[0].ends_with('…'), "{lines:?}");
        assert!(wrapped(&typeface.regular, 20.0, 200.0, 3, " ").is_empty());
        assert_eq!(shortened(&typeface.regular, 20.0, 1.0, "wide"), "");
    }
}
