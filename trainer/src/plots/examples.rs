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
        let view = View {
            size: [example.side; 2],
            image: example.image,
            labels,
            zoom: ZOOM,
        };
        view.paint(&mut pixels, width, [0, number * panel]);
    }
    super::write_png(path, &pixels, (width as u32, panel as u32))
}

/// A slice as it is shown: grey, with the outlines of its labels in the classes' colours.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a> {
    /// Rows and columns.
    pub size: [usize; 2],
    /// Intensities in [0, 1].
    pub image: &'a [f32],
    /// Labels to outline.
    pub labels: Option<&'a [u8]>,
    /// Screen pixels per image pixel.
    pub zoom: usize,
}

impl View<'_> {
    /// Paints into RGB pixels of a picture `width` wide, its top left corner at `[row, column]`.
    pub(super) fn paint(&self, pixels: &mut [u8], width: usize, [top, left]: [usize; 2]) {
        let [rows, cols] = self.size.map(|n| n * self.zoom);
        for y in 0..rows {
            for x in 0..cols {
                let value = self.image[y / self.zoom * self.size[1] + x / self.zoom];
                let grey = (value.clamp(0.0, 1.0) * 255.0).round() as u8;
                let outline = self.labels.and_then(|labels| self.outline(labels, [y, x]));
                let at = ((top + y) * width + left + x) * 3;
                pixels[at..at + 3].copy_from_slice(&outline.map_or([grey; 3], Class::colour));
            }
        }
    }

    /// The class whose border this screen pixel is: labelled, and beside a screen pixel of another label.
    fn outline(&self, labels: &[u8], [y, x]: [usize; 2]) -> Option<Class> {
        let [last_y, last_x] = self.size.map(|n| n * self.zoom - 1);
        let at = |y: usize, x: usize| labels[y / self.zoom * self.size[1] + x / self.zoom];
        let own = at(y, x);
        let neighbours = [
            (y.saturating_sub(1), x),
            ((y + 1).min(last_y), x),
            (y, x.saturating_sub(1)),
            (y, (x + 1).min(last_x)),
        ];
        let class = Class::from_label(own).filter(|c| *c != Class::Background)?;
        neighbours
            .iter()
            .any(|&(y, x)| at(y, x) != own)
            .then_some(class)
    }
}
