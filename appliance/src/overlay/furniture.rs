//! What surrounds the anatomy: title, slice number, side letters, scale bar, legend with areas, notice.

use ab_glyph::FontRef;
use image::{Rgb, RgbImage};
use nephrobox_shared::class::Class;
use nephrobox_shared::report::RESEARCH_USE_NOTICE;

use super::Caption;
use super::palette::{FAINT, INK, NOTICE, PAPER, RULE};
use super::raster::Raster;
use super::text::{self, Typeface};

const NOTICE_SIZE: f32 = 14.0;

const MARGIN: u32 = 20;
const HEADER: u32 = 58;
const FOOTER: u32 = 148;
/// The narrowest page on which legend and notice still fit.
const NARROWEST: u32 = 740;

/// Where things lie on the page.
pub(super) struct Frame {
    pub(super) width: u32,
    pub(super) height: u32,
    /// The top left corner of the anatomy.
    pub(super) anatomy: (u32, u32),
}

impl Frame {
    pub(super) fn around(raster: &Raster) -> Self {
        let width = (raster.width + 2 * MARGIN).max(NARROWEST);
        Self {
            width,
            height: HEADER + raster.height + FOOTER,
            anatomy: ((width - raster.width) / 2, HEADER),
        }
    }
}

pub(super) fn draw(
    picture: &mut RgbImage,
    typeface: &Typeface,
    frame: &Frame,
    raster: &Raster,
    caption: &Caption,
) {
    header(picture, typeface, frame, caption);
    sides(picture, typeface, frame, raster);
    scale_bar(picture, typeface, frame, raster);
    legend(picture, typeface, frame, raster, caption);
    notice(picture, typeface, frame, caption);
}

/// What lies on the anatomy of a picture without a page: side letters, scale bar, and the notice in short.
pub(super) fn draw_within(picture: &mut RgbImage, typeface: &Typeface, raster: &Raster) {
    let frame = Frame {
        width: raster.width,
        height: raster.height,
        anatomy: (0, 0),
    };
    sides(picture, typeface, &frame, raster);
    scale_bar(picture, typeface, &frame, raster);
    let at = (12.0, raster.height as f32 - 12.0);
    text::write_rimmed(
        picture,
        &typeface.bold,
        NOTICE_SIZE,
        at,
        NOTICE,
        super::notice().0,
    );
}

fn header(picture: &mut RgbImage, typeface: &Typeface, frame: &Frame, caption: &Caption) {
    let baseline = 37.0;
    text::write(
        picture,
        &typeface.bold,
        23.0,
        (MARGIN as f32, baseline),
        INK,
        &caption.title,
    );
    let number = format!("Slice {}", caption.slice);
    let of = format!("  of {}, 0 at the head", caption.slices);
    let of_width = text::width(&typeface.regular, 16.0, &of);
    let right = frame.width as f32 - MARGIN as f32;
    let number_width = text::width(&typeface.bold, 19.0, &number);
    text::write(
        picture,
        &typeface.bold,
        19.0,
        (right - of_width - number_width, baseline),
        INK,
        &number,
    );
    text::write(
        picture,
        &typeface.regular,
        16.0,
        (right - of_width, baseline),
        FAINT,
        &of,
    );
}

/// `R` stands at column 0, the patient's right, which lies on the left of the picture.
fn sides(picture: &mut RgbImage, typeface: &Typeface, frame: &Frame, raster: &Raster) {
    let (left, top) = frame.anatomy;
    let baseline = top as f32 + raster.height as f32 / 2.0 + 11.0;
    let size = 32.0;
    text::write_rimmed(
        picture,
        &typeface.bold,
        size,
        (left as f32 + 12.0, baseline),
        INK,
        "R",
    );
    let x = (left + raster.width) as f32 - 12.0 - text::width(&typeface.bold, size, "L");
    text::write_rimmed(picture, &typeface.bold, size, (x, baseline), INK, "L");
}

/// The longest round length that takes at most a quarter of the picture's width, and how it is written.
pub(crate) fn scale_length(width_px: u32, px_per_mm: f64) -> (f64, String) {
    let room_mm = f64::from(width_px) / px_per_mm / 4.0;
    let steps = [200.0, 100.0, 50.0, 20.0, 10.0, 5.0, 2.0, 1.0, 0.5, 0.2, 0.1];
    let mm = steps
        .into_iter()
        .find(|&mm| mm <= room_mm)
        .unwrap_or(room_mm);
    let written = if mm >= 10.0 {
        format!("{} cm", mm / 10.0)
    } else {
        format!("{mm:.2} mm").replace(".00", "")
    };
    (mm, written)
}

fn scale_bar(picture: &mut RgbImage, typeface: &Typeface, frame: &Frame, raster: &Raster) {
    let (mm, written) = scale_length(raster.width, raster.px_per_mm);
    let length = (mm * raster.px_per_mm).round() as u32;
    let right = frame.anatomy.0 + raster.width - 14;
    let (left, y) = (
        right.saturating_sub(length),
        frame.anatomy.1 + raster.height.saturating_sub(20),
    );
    // Black first, two pixels wider, so that the bar shows on bone and on air alike.
    fill(
        picture,
        (left.saturating_sub(2), y.saturating_sub(8)),
        (4 + 4, 20),
        Rgb([0; 3]),
    );
    fill(
        picture,
        (right.saturating_sub(5), y.saturating_sub(8)),
        (4 + 4, 20),
        Rgb([0; 3]),
    );
    fill(
        picture,
        (left.saturating_sub(2), y.saturating_sub(2)),
        (length + 4, 8),
        Rgb([0; 3]),
    );
    fill(picture, (left, y.saturating_sub(6)), (3, 16), INK);
    fill(
        picture,
        (right.saturating_sub(3), y.saturating_sub(6)),
        (3, 16),
        INK,
    );
    fill(picture, (left, y), (length, 4), INK);
    let width = text::width(&typeface.bold, 18.0, &written);
    let x = left as f32 + (length as f32 - width) / 2.0;
    text::write_rimmed(
        picture,
        &typeface.bold,
        18.0,
        (x, y as f32 - 10.0),
        INK,
        &written,
    );
}

/// A small table: one line a structure, one column a side, and the sum.
fn legend(
    picture: &mut RgbImage,
    typeface: &Typeface,
    frame: &Frame,
    raster: &Raster,
    caption: &Caption,
) {
    let top = (frame.anatomy.1 + raster.height) as f32;
    let left = MARGIN as f32;
    // Right ends of the columns.
    let ends = [left + 270.0, left + 400.0, left + 530.0];
    for (end, heading) in ends.into_iter().zip(["right", "left", "both"]) {
        right_aligned(
            picture,
            &typeface.regular,
            14.0,
            (end, top + 24.0),
            FAINT,
            heading,
        );
    }
    let lines = [
        (Class::Kidney, "Kidney", caption.kidney_area_mm2),
        (Class::Tumour, "Tumour", caption.tumour_area_mm2),
    ];
    for (index, (class, name, sides)) in lines.into_iter().enumerate() {
        let baseline = top + 49.0 + 25.0 * index as f32;
        let swatch = (MARGIN, baseline as u32 - 14);
        fill(picture, swatch, (26, 16), Rgb(class.colour()));
        fill(picture, (swatch.0 + 2, swatch.1 + 2), (22, 12), PAPER);
        for y in 2..14 {
            for x in 2..24 {
                let at = (i64::from(swatch.0) + x, i64::from(swatch.1) + y);
                text::blend(picture, at, Rgb(class.colour()), 0.35);
            }
        }
        text::write(
            picture,
            &typeface.regular,
            17.0,
            (left + 38.0, baseline),
            INK,
            name,
        );
        for (end, area) in ends
            .into_iter()
            .zip([sides.right, sides.left, sides.right + sides.left])
        {
            let written = if area > 0.0 {
                format!("{area:.0} mm²")
            } else {
                "none".to_owned()
            };
            let colour = if area > 0.0 { INK } else { FAINT };
            right_aligned(
                picture,
                &typeface.regular,
                17.0,
                (end, baseline),
                colour,
                &written,
            );
        }
    }
}

fn notice(picture: &mut RgbImage, typeface: &Typeface, frame: &Frame, caption: &Caption) {
    let left = MARGIN as f32;
    fill(
        picture,
        (MARGIN, frame.height - 58),
        (frame.width - 2 * MARGIN, 1),
        RULE,
    );
    let first = (left, frame.height as f32 - 35.0);
    text::write(
        picture,
        &typeface.bold,
        NOTICE_SIZE,
        first,
        NOTICE,
        RESEARCH_USE_NOTICE,
    );
    let room = (frame.width - 2 * MARGIN) as f32;
    let source = text::shortened(&typeface.regular, 13.0, room, &caption.source);
    text::write(
        picture,
        &typeface.regular,
        13.0,
        (left, frame.height as f32 - 14.0),
        FAINT,
        &source,
    );
}

fn right_aligned(
    picture: &mut RgbImage,
    font: &FontRef<'_>,
    size: f32,
    (right, y): (f32, f32),
    colour: Rgb<u8>,
    words: &str,
) {
    let x = right - text::width(font, size, words);
    text::write(picture, font, size, (x, y), colour, words);
}

/// Fills a rectangle, cut at the picture's edges.
fn fill(picture: &mut RgbImage, (x, y): (u32, u32), (width, height): (u32, u32), colour: Rgb<u8>) {
    for row in y..(y + height).min(picture.height()) {
        for col in x..(x + width).min(picture.width()) {
            picture.put_pixel(col, row, colour);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows RQ-33.
    #[test]
    fn the_notice_fits_on_the_narrowest_page() {
        let typeface = Typeface::load().expect("the built-in font");
        let width = text::width(&typeface.bold, NOTICE_SIZE, RESEARCH_USE_NOTICE);
        assert!(width <= (NARROWEST - 2 * MARGIN) as f32, "{width}");
    }

    #[test]
    fn the_scale_bar_has_a_round_length_and_fits() {
        // A CT slice of 512 pixels of 0.8 mm drawn at 768 pixels: 410 mm wide.
        assert_eq!(
            scale_length(768, 768.0 / 409.6),
            (100.0, "10 cm".to_owned())
        );
        assert_eq!(scale_length(768, 768.0 / 100.0), (20.0, "2 cm".to_owned()));
        assert_eq!(scale_length(768, 768.0 / 12.0), (2.0, "2 mm".to_owned()));
        assert_eq!(scale_length(768, 768.0 / 2.4).1, "0.50 mm");
    }
}
