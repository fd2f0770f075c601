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

/// The pictures in a row of at most `most` points' height.
pub(super) fn pictures(pictures: &[Picture], faces: &Faces, width: f32, most: f32) -> Block {
    let mut block = Block::default();
    if pictures.is_empty() {
        return block;
    }
    let count = pictures.len() as f32;
    let room = [
        (width - GAP * (count - 1.0)) / count,
        most - AROUND[0] - AROUND[1] - LEGEND,
    ];
    let scale = |picture: &Picture| (room[0] / picture.width).min(room[1] / picture.height);
    let highest = pictures
        .iter()
        .map(|picture| picture.height * scale(picture))
        .fold(0.0, f32::max);
    for (index, picture) in pictures.iter().enumerate() {
        let x = index as f32 * (room[0] + GAP);
        let scale = scale(picture);
        let title = Style::bold(7.6);
        let caption = Style::plain(6.8).coloured(FAINT);
        block.canvas.text(
            [x, 8.6],
            title,
            Anchor::Start,
            &faces.shortened(title, room[0], &picture.title),
        );
        block
            .canvas
            .place([x, AROUND[0]], 1.0, &one(index, picture, scale));
        let words = faces.shortened(caption, room[0], &picture.caption);
        block.canvas.text(
            [x, AROUND[0] + highest + 9.0],
            caption,
            Anchor::Start,
            &words,
        );
    }
    block.height = AROUND[0] + highest + AROUND[1] + LEGEND;
    legend(&mut block.canvas, faces, block.height - 2.5);
    block
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

fn path(outlines: &Outlines) -> String {
    let mut path = String::new();
    for outline in outlines {
        for (index, [x, y]) in outline.iter().enumerate() {
            let _ = write!(path, "{}{x} {y}", if index == 0 { 'M' } else { 'L' });
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

fn legend(canvas: &mut Canvas, faces: &Faces, y: f32) {
    const STYLE: Style = Style::plain(6.8);
    let mut x = 0.0;
    for (class, words) in [
        (Class::Kidney, "kidney with its tumour"),
        (Class::Tumour, "tumour"),
    ] {
        let path = format!("M{x} {:.2}L{:.2} {:.2}", y - 2.2, x + 16.0, y - 2.2);
        canvas.path(&path, &stroke(&colour(class), 1.4, dashes(class, 1.0), 1.0));
        canvas.text([x + 20.0, y], STYLE, Anchor::Start, words);
        x += 32.0 + faces.width(STYLE, words);
    }
    let words = "thin white: the tumour's largest diameter and its perpendicular, where they lie in this slice. Seen from the feet: R is the patient's right.";
    canvas.text([x, y], STYLE.coloured(FAINT), Anchor::Start, words);
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
    let words = format!("from the head to the feet; highest {largest:.0} mm²");
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
