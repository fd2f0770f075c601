//! Label maps in the colours of the paper's Figure 7.

use std::path::Path;

use nephrobox_shared::class::Class;

use super::PlotError;
use super::examples::Example;

/// Dark blue, light blue, white.
pub fn colour(class: Class) -> [u8; 3] {
    match class {
        Class::Background => [8, 29, 88],
        Class::Kidney => [116, 169, 207],
        Class::Tumour => [255, 255, 255],
    }
}

/// Draws image, truth and prediction side by side, a pixel a pixel.
pub fn draw(path: &Path, example: &Example<'_>) -> Result<(), PlotError> {
    let side = example.side;
    let colour = |label: u8| colour(Class::from_label(label).unwrap_or(Class::Background));
    let mut pixels = Vec::with_capacity(side * side * 9);
    for row in (0..side).map(|row| row * side..(row + 1) * side) {
        let grey = |v: &f32| [(v * 255.0).round() as u8; 3];
        pixels.extend(example.image[row.clone()].iter().flat_map(grey));
        pixels.extend(example.truth[row.clone()].iter().flat_map(|&l| colour(l)));
        pixels.extend(example.prediction[row].iter().flat_map(|&l| colour(l)));
    }
    super::write_png(path, &pixels, (3 * side as u32, side as u32))
}
