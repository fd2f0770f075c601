//! Example slices: the image, the truth's outlines and the prediction's, side by side.

use std::path::Path;

use nephrobox_shared::class::Class;

use super::PlotError;

/// Screen pixels per image pixel.
const ZOOM: usize = 2;

/// One slice to show.
#[derive(Clone, Copy, Debug)]
pub struct Example<'a> {
    /// Rows and columns.
    pub side: usize,
    /// Intensities in [0, 1].
    pub image: &'a [f32],
    /// True labels.
    pub truth: &'a [u8],
    /// Predicted labels.
    pub prediction: &'a [u8],
}

/// Draws three panels from left to right: plain, truth, prediction.
pub fn draw(path: &Path, example: &Example<'_>) -> Result<(), PlotError> {
    let panel = example.side * ZOOM;
    let width = 3 * panel;
    let mut pixels = vec![0_u8; width * panel * 3];
    for (number, labels) in [None, Some(example.truth), Some(example.prediction)]
        .into_iter()
        .enumerate()
    {
        for y in 0..panel {
            for x in 0..panel {
                let (row, column) = (y / ZOOM, x / ZOOM);
                let grey = (example.image[row * example.side + column] * 255.0).round() as u8;
                let outline = labels.and_then(|labels| outline(labels, example.side, (y, x)));
                let at = (y * width + number * panel + x) * 3;
                pixels[at..at + 3].copy_from_slice(&outline.map_or([grey; 3], Class::colour));
            }
        }
    }
    super::write_png(path, &pixels, (width as u32, panel as u32))
}

/// The class whose border this screen pixel is: labelled, and beside a screen pixel of another label.
fn outline(labels: &[u8], side: usize, (y, x): (usize, usize)) -> Option<Class> {
    let edge = side * ZOOM - 1;
    let at = |y: usize, x: usize| labels[y / ZOOM * side + x / ZOOM];
    let own = at(y, x);
    let neighbours = [
        (y.saturating_sub(1), x),
        ((y + 1).min(edge), x),
        (y, x.saturating_sub(1)),
        (y, (x + 1).min(edge)),
    ];
    let class = Class::from_label(own).filter(|c| *c != Class::Background)?;
    neighbours
        .iter()
        .any(|&(y, x)| at(y, x) != own)
        .then_some(class)
}
