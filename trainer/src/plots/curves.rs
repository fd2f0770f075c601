//! `curves.png`: loss and validation Dice over the epochs; the same as SVG.

use std::path::Path;

use nephrobox_shared::class::Class;
use plotters::coord::Shift;
use plotters::prelude::*;

use super::{Drawn, PlotError};
use crate::train::EpochRecord;

const SIZE: (u32, u32) = (1000, 420);

/// Draws the curves of a run.
pub fn draw(path: &Path, records: &[EpochRecord]) -> Result<(), PlotError> {
    super::chart(path, SIZE, |area| render(area, records))
}

/// The same as an SVG element.
pub fn svg(records: &[EpochRecord]) -> Result<String, PlotError> {
    super::svg(SIZE, |area| render(area, records))
}

fn render<DB: DrawingBackend>(area: &DrawingArea<DB, Shift>, records: &[EpochRecord]) -> Drawn
where
    DB::ErrorType: 'static,
{
    let (left, right) = area.split_horizontally(SIZE.0 / 2);
    let epochs = 0.5..records.len().max(1) as f64 + 0.5;

    let top = records.iter().map(|r| r.loss).fold(0.0, f64::max).max(1e-6) * 1.05;
    let mut chart = ChartBuilder::on(&left)
        .margin(12)
        .caption("Training loss", ("sans-serif", 18))
        .x_label_area_size(36)
        .y_label_area_size(60)
        .build_cartesian_2d(epochs.clone(), 0.0..top)?;
    chart
        .configure_mesh()
        .max_light_lines(0)
        .x_desc("epoch")
        .x_label_formatter(&whole)
        .draw()?;
    let points: Vec<(f64, f64)> = records.iter().map(|r| (r.epoch as f64, r.loss)).collect();
    chart.draw_series(LineSeries::new(points.clone(), BLUE.stroke_width(2)))?;
    chart.draw_series(points.iter().map(|&p| Circle::new(p, 2, BLUE.filled())))?;

    let mut chart = ChartBuilder::on(&right)
        .margin(12)
        .caption("Validation Dice, patient-weighted", ("sans-serif", 18))
        .x_label_area_size(36)
        .y_label_area_size(60)
        .build_cartesian_2d(epochs, 0.0..1.0)?;
    chart
        .configure_mesh()
        .max_light_lines(0)
        .x_desc("epoch")
        .x_label_formatter(&whole)
        .draw()?;
    for class in [Class::Kidney, Class::Tumour] {
        let [r, g, b] = class.colour();
        let colour = RGBColor(r, g, b);
        let points: Vec<(f64, f64)> = records
            .iter()
            .filter_map(|r| {
                Some((
                    r.epoch as f64,
                    r.validation.as_ref()?.paper.get(class).dice?,
                ))
            })
            .collect();
        chart
            .draw_series(LineSeries::new(points.clone(), colour.stroke_width(2)))?
            .label(class.name())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
        chart.draw_series(points.iter().map(|&p| Circle::new(p, 2, colour.filled())))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK)
        .label_font(("sans-serif", 14))
        .draw()?;
    Ok(())
}

/// Epochs are whole numbers; ticks between them get no label.
#[allow(clippy::trivially_copy_pass_by_ref)] // the signature plotters asks for
fn whole(x: &f64) -> String {
    if x.fract() == 0.0 {
        format!("{x:.0}")
    } else {
        String::new()
    }
}
