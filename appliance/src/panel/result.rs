//! The result: the key slice, and beside it volumes and areas of each side.

use embedded_graphics::pixelcolor::Rgb888;
use image::{ImageFormat, RgbImage};
use nephrobox_shared::class::Class;
use nephrobox_shared::measure::Side;

use super::canvas::{Canvas, FAINT, INK, NOTICE, RULE, Type, rgb};
use super::screens::{LEFT, RIGHT, TOP};
use super::view::View;
use crate::overlay::KEY_SIZE;
use crate::snapshot::{ResultSummary, SideSummary};

/// Around the picture.
const GAP: i32 = 8;
/// Left end of the numbers.
const START: f32 = LEFT + KEY_SIZE.0 as f32 + 20.0;
/// Between the columns of the two sides.
const BETWEEN: f32 = 14.0;
const COLUMN: f32 = (RIGHT - START - BETWEEN) / 2.0;
/// Between the lines of details.
const LEADING: f32 = 23.0;

/// A structure: its class, its name, and how its volume in ml and its area in mm² are found.
type Structure = (
    Class,
    &'static str,
    fn(&SideSummary) -> f64,
    fn(&SideSummary) -> f64,
);

const STRUCTURES: [Structure; 2] = [
    (
        Class::Kidney,
        "Kidney",
        |side| side.kidney_ml,
        |side| side.kidney_mm2,
    ),
    (
        Class::Tumour,
        "Tumour",
        |side| side.tumour_ml,
        |side| side.tumour_mm2,
    ),
];

/// Draws the screen above `bottom`.
pub(super) fn draw(canvas: &mut Canvas, view: &View, result: &ResultSummary, bottom: i32) {
    picture(canvas, result, bottom);
    heads(canvas);
    let mut top = TOP as f32 + 50.0;
    for structure in &STRUCTURES {
        numbers(canvas, top, structure, result);
        top += 104.0;
    }
    details(canvas, view, result, (top + 8.0, bottom as f32));
}

fn picture(canvas: &mut Canvas, result: &ResultSummary, bottom: i32) {
    let at = (LEFT as u32, (TOP + GAP) as u32);
    let size = (KEY_SIZE.0, (bottom - TOP - 2 * GAP) as u32);
    if let Some(picture) = result.overlay_png.as_deref().and_then(decoded) {
        canvas.place(at, size, &picture);
        return;
    }
    let words = if result.key_slice.is_some() {
        "no picture"
    } else {
        "nothing was outlined"
    };
    canvas.frame((at.0 as i32, at.1 as i32), size, RULE);
    let kind = Type::regular(24.0, FAINT);
    let x = LEFT + (size.0 as f32 - canvas.width(kind, words)) / 2.0;
    let y = at.1 as f32 + size.1 as f32 / 2.0 + 8.0;
    canvas.left(kind, (x, y), size.0 as f32, words);
}

/// A picture that cannot be read is none; the numbers are shown all the same.
fn decoded(png: &[u8]) -> Option<RgbImage> {
    let picture = image::load_from_memory_with_format(png, ImageFormat::Png).ok()?;
    Some(picture.to_rgb8())
}

/// Right end of a side's column; the patient's right is on the left, as in the picture.
fn column(side: Side) -> f32 {
    match side {
        Side::Right => START + COLUMN,
        Side::Left => RIGHT,
    }
}

/// The side letters of the picture above the columns, with the words.
fn heads(canvas: &mut Canvas) {
    let baseline = TOP as f32 + 36.0;
    for side in Side::ALL {
        let letter = match side {
            Side::Right => "R",
            Side::Left => "L",
        };
        let word = Type::regular(20.0, FAINT);
        let start = canvas.right(word, (column(side), baseline), COLUMN, side.name());
        canvas.right(
            Type::bold(32.0, INK),
            (start - 8.0, baseline),
            COLUMN,
            letter,
        );
    }
}

/// One structure: its name under a rule, volumes large, areas below them.
fn numbers(canvas: &mut Canvas, top: f32, structure: &Structure, result: &ResultSummary) {
    let &(class, name, volume, area) = structure;
    let width = (RIGHT - START) as u32;
    let colour = rgb(class.colour());
    canvas.fill((START as i32, top as i32), (width, 1), RULE);
    canvas.fill((START as i32, top as i32 + 11), (14, 14), colour);
    canvas.left(
        Type::bold(20.0, INK),
        (START + 22.0, top + 25.0),
        COLUMN,
        name,
    );
    for side in Side::ALL {
        let values = result.sides.get(side);
        let x = column(side);
        let (large, small) = (top + 63.0, top + 90.0);
        if volume(values) > 0.0 {
            amount(canvas, (x, large), 36.0, &millilitres(volume(values)), "mL");
        } else {
            canvas.right(Type::regular(26.0, FAINT), (x, large - 2.0), COLUMN, "none");
        }
        if area(values) > 0.0 {
            amount(
                canvas,
                (x, small),
                22.0,
                &format!("{:.0}", area(values)),
                "mm²",
            );
        }
    }
}

/// A number with its unit, the unit's end at `x`.
fn amount(canvas: &mut Canvas, (x, y): (f32, f32), size: f32, number: &str, unit: &str) {
    let weight: fn(f32, Rgb888) -> Type = if size > 30.0 {
        Type::bold
    } else {
        Type::regular
    };
    let start = canvas.right(Type::regular(18.0, FAINT), (x, y), COLUMN, unit);
    let room = start - 5.0 - (x - COLUMN);
    canvas.right(weight(size, INK), (start - 5.0, y), room, number);
}

/// One digit after the point as long as it fits; below that the number is not nought but small.
fn millilitres(ml: f64) -> String {
    match ml {
        ml if ml < 0.05 => "<0.1".to_owned(),
        ml if ml < 999.95 => format!("{ml:.1}"),
        ml => format!("{ml:.0}"),
    }
}

/// That there are warnings, then which slice, which scan, and which model if it is no longer the one in use; as many lines as fit.
fn details(canvas: &mut Canvas, view: &View, result: &ResultSummary, (top, bottom): (f32, f32)) {
    let small = Type::regular(18.0, FAINT);
    let room = RIGHT - START;
    canvas.fill((START as i32, top as i32 - 8), (room as u32, 1), RULE);
    let mut lines = ((bottom - top) / LEADING) as usize;
    let mut y = top + 16.0;
    let mut line = |canvas: &mut Canvas, kind: Type, words: &str| {
        if lines > 0 {
            canvas.left(kind, (START, y), room, words);
            lines -= 1;
            y += LEADING;
        }
    };
    if result.warnings > 0 {
        let many = if result.warnings == 1 { "" } else { "s" };
        let words = format!("{} warning{many}: see the report", result.warnings);
        line(canvas, Type::bold(18.0, NOTICE), &words);
    }
    if let Some(slice) = result.key_slice {
        let words = format!("Areas: slice {slice} of {}", result.slices);
        line(canvas, small, &words);
    }
    if view.model.as_deref() != Some(&result.model) {
        line(canvas, small, &format!("By {}", result.model));
    }
    line(canvas, small, &format!("Scan {}", result.scan));
}
