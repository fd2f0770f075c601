//! Pieces of the page that are drawn: slices with their outlines, and areas along the scan.

use std::fmt::Write as _;

use nephrobox_shared::class::Class;
use nephrobox_shared::measure::Side;
use nephrobox_shared::report::{Report, StructureAreas};

use super::Picture;
use super::blocks::Block;
use super::canvas::{Anchor, Canvas, FAINT, Faces, INK, RULE, Style};
use crate::overlay::furniture::scale_length;
use crate::overlay::outline::Outlines;

/// Between two pictures.
const GAP: f32 = 10.0;
/// Above and below a picture: its title, its caption.
const AROUND: [f32; 2] = [13.0, 12.0];
/// The legend below all of them.
const LEGEND: f32 = 11.0;
/// The narrowest column for it.
const BESIDE: f32 = 62.0;
/// A first picture beside two small ones is worth its room from this height on.
const LARGE: f32 = 190.0;

/// A picture's place: its left upper corner, and width and height of which it fills what its shape allows.
struct Place {
    corner: [f32; 2],
    room: [f32; 2],
}

/// The pictures, `most` points high at most: the first large beside two small ones if there is room for that, else all in a row.
pub(super) fn pictures(pictures: &[Picture], faces: &Faces, width: f32, most: f32) -> Block {
    let mut block = Block::default();
    if pictures.is_empty() {
        return block;
    }
    let room = most - AROUND[0] - AROUND[1] - LEGEND;
    let places =
        large_and_small(pictures, width, room).unwrap_or_else(|| row(pictures.len(), width, room));
    let mut right: f32 = 0.0;
    let mut bottom: f32 = 0.0;
    for (index, (picture, place)) in pictures.iter().zip(&places).enumerate() {
        let [x, y] = place.corner;
        let scale = scale(picture, place.room);
        let title = Style::bold(7.6);
        let caption = Style::plain(6.8).coloured(FAINT);
        let words = faces.shortened(title, place.room[0], &picture.title);
        block
            .canvas
            .text([x, y - 4.4], title, Anchor::Start, &words);
        block.canvas.place([x, y], 1.0, &one(index, picture, scale));
        let under = y + picture.height * scale;
        let words = faces.shortened(caption, place.room[0], &picture.caption);
        block
            .canvas
            .text([x, under + 9.0], caption, Anchor::Start, &words);
        bottom = bottom.max(under);
        right = right.max(x + picture.width * scale);
    }
    let measured = pictures.iter().any(|picture| !picture.diameters.is_empty());
    let canvas = &mut block.canvas;
    // Pictures that leave a column free have their legend there.
    if width - right - GAP >= BESIDE {
        legend_beside(canvas, faces, [right + GAP, AROUND[0]], width, measured);
        block.height = bottom + AROUND[1];
    } else {
        block.height = bottom + AROUND[1] + LEGEND;
        legend_below(canvas, faces, width, block.height - 2.5, measured);
    }
    block
}

fn scale(picture: &Picture, [width, height]: [f32; 2]) -> f32 {
    (width / picture.width).min(height / picture.height)
}

fn row(count: usize, width: f32, room: f32) -> Vec<Place> {
    let across = (width - GAP * (count as f32 - 1.0)) / count as f32;
    (0..count)
        .map(|index| Place {
            corner: [index as f32 * (across + GAP), AROUND[0]],
            room: [across, room],
        })
        .collect()
}

/// The first picture as high as the two others together; `None` if it is not three pictures or the room is too low.
fn large_and_small(pictures: &[Picture], width: f32, room: f32) -> Option<Vec<Place>> {
    let [large, small @ ..] = pictures else {
        return None;
    };
    if small.len() != 2 || room < LARGE {
        return None;
    }
    let between = AROUND[0] + AROUND[1];
    let shape = |picture: &Picture| picture.width / picture.height;
    let widest = small.iter().map(shape).fold(0.0, f32::max);
    // The height at which they fill the width: shape * height + gap + widest * (height - between) / 2.
    let fills = (width - GAP + widest * between / 2.0) / (shape(large) + widest / 2.0);
    let height = fills.min(room);
    let low = (height - between) / 2.0;
    if height < LARGE {
        return None;
    }
    let left = (shape(large) * height).min(width - GAP - widest * low);
    let right = [left + GAP, width - left - GAP];
    Some(vec![
        Place {
            corner: [0.0, AROUND[0]],
            room: [left, height],
        },
        Place {
            corner: [right[0], AROUND[0]],
            room: [right[1], low],
        },
        Place {
            corner: [right[0], AROUND[0] + low + between],
            room: [right[1], low],
        },
    ])
}

/// One picture at its scale, its top left corner at the origin.
fn one(index: usize, picture: &Picture, scale: f32) -> Canvas {
    let mut canvas = Canvas::default();
    let mut pixels = Canvas::default();
    pixels.image(index, [picture.width, picture.height]);
    for (outlines, class, width) in [
        (&picture.whole, Class::Kidney, 0.9),
        (&picture.tumour, Class::Tumour, 1.2),
    ] {
        if outlines.is_empty() {
            continue;
        }
        let path = path(outlines);
        // A dark line beneath shows on bone, and on white paper.
        pixels.path(&path, &stroke("#000000", (width + 0.9) / scale, None, 0.55));
        pixels.path(
            &path,
            &stroke(&colour(class), width / scale, dashes(class, scale), 1.0),
        );
    }
    for [from, to] in &picture.diameters {
        pixels.line(*from, *to, 1.5 / scale, "#000000");
        pixels.line(*from, *to, 0.7 / scale, "#ffffff");
    }
    canvas.place([0.0, 0.0], scale, &pixels);
    let [width, height] = [picture.width * scale, picture.height * scale];
    canvas.text_on_picture([4.0, height / 2.0 + 4.0], 11.0, Anchor::Start, "R");
    canvas.text_on_picture([width - 4.0, height / 2.0 + 4.0], 11.0, Anchor::End, "L");
    scale_bar(
        &mut canvas,
        [width, height],
        picture.px_per_mm * f64::from(scale),
    );
    canvas
}

/// A kidney's outline is whole and a tumour's dashed, so that a grey print tells them apart.
fn dashes(class: Class, scale: f32) -> Option<[f32; 2]> {
    (class == Class::Tumour).then(|| [3.0 / scale, 1.4 / scale])
}

fn stroke(colour: &str, width: f32, dashes: Option<[f32; 2]>, opacity: f32) -> String {
    let dashes = dashes.map_or(String::new(), |[on, off]| {
        format!(" stroke-dasharray=\"{on:.2} {off:.2}\"")
    });
    format!(
        "fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width:.2}\" stroke-linejoin=\"round\" stroke-opacity=\"{opacity}\"{dashes}"
    )
}

fn colour(class: Class) -> String {
    let [red, green, blue] = class.colour();
    format!("#{red:02x}{green:02x}{blue:02x}")
}

/// Curves through the middles of an outline's lines with its corners as their handles: pixels leave no stairs, and nothing moves by
/// more than half of one.
fn path(outlines: &Outlines) -> String {
    let middle =
        |[ax, ay]: [f32; 2], [bx, by]: [f32; 2]| [f32::midpoint(ax, bx), f32::midpoint(ay, by)];
    let mut path = String::new();
    for outline in outlines {
        let (Some(&first), Some(&last)) = (outline.first(), outline.last()) else {
            continue;
        };
        let [x, y] = middle(last, first);
        let _ = write!(path, "M{x} {y}");
        let next = outline.iter().cycle().skip(1);
        for (&corner, &next) in outline.iter().zip(next) {
            let [x, y] = middle(corner, next);
            let _ = write!(path, "Q{} {} {x} {y}", corner[0], corner[1]);
        }
        path.push('Z');
    }
    path
}

/// The bar in the lower right corner; `per_mm` points are a millimetre.
fn scale_bar(canvas: &mut Canvas, [width, height]: [f32; 2], per_mm: f64) {
    let (mm, words) = scale_length(width.max(1.0) as u32, per_mm);
    let length = (mm * per_mm) as f32;
    let [right, y] = [width - 5.0, height - 5.0];
    for (thick, colour) in [(2.6, "#000000"), (1.2, "#ffffff")] {
        let more = (thick - 1.2) / 2.0;
        canvas.line([right - length - more, y], [right + more, y], thick, colour);
    }
    canvas.text_on_picture([right - length / 2.0, y - 3.4], 6.6, Anchor::Middle, &words);
}

const LEGEND_STYLE: Style = Style::plain(6.8);
const STRUCTURES: [(Class, &str); 2] = [
    (Class::Kidney, "kidney with its tumour"),
    (Class::Tumour, "tumour"),
];
const SEEN: &str = "Seen from the feet: R is the patient's right.";
const MEASURED: &str = "White: largest diameter and its perpendicular.";

/// A piece of outline as it is drawn in the pictures.
fn sample(canvas: &mut Canvas, class: Class, [x, y]: [f32; 2]) {
    let path = format!("M{x:.2} {y:.2}L{:.2} {y:.2}", x + 16.0);
    canvas.path(&path, &stroke(&colour(class), 1.4, dashes(class, 1.0), 1.0));
}

fn legend_below(canvas: &mut Canvas, faces: &Faces, width: f32, y: f32, measured: bool) {
    let mut x = 0.0;
    for (class, words) in STRUCTURES {
        sample(canvas, class, [x, y - 2.2]);
        canvas.text([x + 20.0, y], LEGEND_STYLE, Anchor::Start, words);
        x += 32.0 + faces.width(LEGEND_STYLE, words);
    }
    let words = if measured {
        format!("{MEASURED} {SEEN}")
    } else {
        SEEN.to_owned()
    };
    let words = faces.shortened(LEGEND_STYLE, width - x, &words);
    canvas.text(
        [width, y],
        LEGEND_STYLE.coloured(FAINT),
        Anchor::End,
        &words,
    );
}

fn legend_beside(
    canvas: &mut Canvas,
    faces: &Faces,
    [x, top]: [f32; 2],
    width: f32,
    measured: bool,
) {
    const LEAD: f32 = 8.8;
    let faint = LEGEND_STYLE.coloured(FAINT);
    let structures = STRUCTURES.map(|(class, words)| (Some(class), words));
    let sentences = [measured.then_some(MEASURED), Some(SEEN)];
    let sentences = sentences.into_iter().flatten().map(|words| (None, words));
    let mut y = top + 6.0;
    for (class, words) in structures.into_iter().chain(sentences) {
        let (indent, style) = match class {
            Some(class) => {
                sample(canvas, class, [x, y - 2.2]);
                (20.0, LEGEND_STYLE)
            }
            None => (0.0, faint),
        };
        for line in faces.wrapped(style, width - x - indent, 6, words) {
            canvas.text([x + indent, y], style, Anchor::Start, &line);
            y += LEAD;
        }
        y += 4.0;
    }
}

/// Areas of each side along the scan, from the head to the feet; the values of all slices are in `report.json`.
pub(super) fn areas(report: &Report, width: f32, height: f32) -> Block {
    const TITLE: f32 = 18.0;
    let mut block = Block {
        height,
        ..Block::default()
    };
    let canvas = &mut block.canvas;
    canvas.line([0.0, 0.0], [width, 0.0], 0.75, INK);
    canvas.text(
        [0.0, 12.0],
        Style::bold(9.0),
        Anchor::Start,
        "Areas along the scan",
    );
    let found = &report.findings.slices;
    let (Some(first), Some(last)) = (found.first(), found.last()) else {
        canvas.text(
            [0.0, 30.0],
            Style::plain(8.6),
            Anchor::Start,
            "Nothing was outlined.",
        );
        return block;
    };
    let total = |areas: &StructureAreas| areas.kidney_area_mm2 + areas.tumour_area_mm2;
    let largest = found
        .iter()
        .flat_map(|slice| Side::ALL.map(|side| total(slice.areas.get(side))))
        .fold(0.0, f64::max)
        .max(1.0);
    let words = format!("head to feet, highest {largest:.0} mm²");
    canvas.text(
        [width, 12.0],
        Style::plain(7.2).coloured(FAINT),
        Anchor::End,
        &words,
    );
    let across = (last.slice - first.slice + 1) as f32;
    let [left, right] = [24.0, width];
    let lane = (height - TITLE - 12.0) / 2.0;
    let x = |slice: usize| left + (slice - first.slice) as f32 / across * (right - left);
    let step = (right - left) / across;
    for (index, side) in Side::ALL.into_iter().enumerate() {
        let base = TITLE + lane * (index as f32 + 1.0) - 2.0;
        let high = |mm2: f64| (mm2 / largest) as f32 * (lane - 5.0);
        let (mut kidney, mut tumour) = (String::new(), String::new());
        for slice in found {
            let areas = slice.areas.get(side);
            let bar = |path: &mut String, mm2: f64| {
                if mm2 > 0.0 {
                    let _ = write!(
                        path,
                        "M{:.2} {base:.2}v-{:.2}h{step:.2}v{:.2}z",
                        x(slice.slice),
                        high(mm2),
                        high(mm2)
                    );
                }
            };
            bar(&mut kidney, total(areas));
            bar(&mut tumour, areas.tumour_area_mm2);
        }
        for (path, class) in [(kidney, Class::Kidney), (tumour, Class::Tumour)] {
            if !path.is_empty() {
                canvas.path(&path, &format!("fill=\"{}\"", colour(class)));
            }
        }
        canvas.line([left, base], [right, base], 0.5, RULE);
        canvas.text(
            [0.0, base - 2.0],
            Style::plain(7.2).coloured(FAINT),
            Anchor::Start,
            side.name(),
        );
    }
    let y = height - 3.0;
    let small = Style::plain(6.8).coloured(FAINT);
    canvas.text(
        [left, y],
        small,
        Anchor::Start,
        &format!("slice {}", first.slice),
    );
    canvas.text(
        [right, y],
        small,
        Anchor::End,
        &format!("slice {}", last.slice),
    );
    block
}
