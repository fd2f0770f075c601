//! Figures 1 to 6: focal curves, Dice of each experiment, confusion matrix. Figure 7 is in [`super::gallery`].

use nephrobox_shared::class::Class;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::design::Experiment;
use super::paper::{self, Metric};
use super::results::Results;
use crate::plots::Drawn;
use crate::plots::confusion::Confusion;
use crate::plots::picture::Picture;

/// Figure 1: the focal Dice loss of one class over its Dice.
#[derive(Clone, Copy, Debug)]
pub struct FocalCurves;

/// The exponents of the paper's curves, with colours that the three dichromacies tell apart (Okabe-Ito).
const GAMMAS: [(&str, f64, RGBColor); 5] = [
    ("γ = 1/3", 1.0 / 3.0, RGBColor(0, 114, 178)),
    ("γ = 1/2", 0.5, RGBColor(86, 180, 233)),
    ("γ = 1 (Dice loss)", 1.0, RGBColor(0, 0, 0)),
    ("γ = 2", 2.0, RGBColor(230, 159, 0)),
    ("γ = 3", 3.0, RGBColor(213, 94, 0)),
];

impl Picture for FocalCurves {
    fn size(&self) -> (u32, u32) {
        (620, 460)
    }

    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Drawn
    where
        B::ErrorType: 'static,
    {
        let mut chart = ChartBuilder::on(area)
            .margin(14)
            .caption(
                "Focal Dice loss of a class, (1 - Dice)^γ",
                ("sans-serif", 18),
            )
            .x_label_area_size(44)
            .y_label_area_size(52)
            .build_cartesian_2d(0.0..1.0, 0.0..1.0)?;
        chart
            .configure_mesh()
            .max_light_lines(0)
            .x_desc("Dice coefficient")
            .y_desc("loss")
            .draw()?;
        for (label, gamma, colour) in GAMMAS {
            // Closest near 1, where the roots fall steeply.
            let points = (0..=200).map(|i| 1.0 - (1.0 - f64::from(i) / 200.0).powi(3));
            chart
                .draw_series(LineSeries::new(
                    points.map(|d| (d, (1.0 - d).powf(gamma))),
                    colour.stroke_width(2),
                ))?
                .label(label)
                .legend(move |(x, y)| {
                    PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2))
                });
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::LowerLeft)
            .background_style(WHITE.mix(0.85))
            .border_style(BLACK)
            .label_font(("sans-serif", 14))
            .draw()?;
        Ok(())
    }
}

/// Figures 2 to 5: Dice of each value, a panel a class.
#[derive(Clone, Debug)]
pub struct DicePlot {
    title: String,
    columns: Vec<Bar>,
}

/// One value of an experiment.
#[derive(Clone, Debug)]
struct Bar {
    label: String,
    /// Dice of each run by class, percent.
    runs: [Vec<f64>; Class::COUNT],
    /// What the paper's recall and precision imply, percent.
    paper: [Option<f64>; Class::COUNT],
}

impl DicePlot {
    /// The figure of an experiment.
    pub fn new(experiment: Experiment, results: &Results) -> Option<Self> {
        let published = paper::published().table(experiment)?;
        let mut columns: Vec<Bar> = published
            .settings
            .iter()
            .zip(&published.labels)
            .map(|(name, label)| Bar {
                label: label.clone(),
                runs: Class::ALL.map(|class| {
                    results
                        .of(experiment)
                        .find(|c| c.name == name)
                        .map_or(Vec::new(), |c| c.each(Metric::Dice, class))
                }),
                paper: Class::ALL.map(|class| published.implied_dice(class, name)),
            })
            .collect();
        for extra in results
            .of(experiment)
            .filter(|c| !published.settings.iter().any(|s| s == c.name))
        {
            columns.push(Bar {
                label: extra.label.into(),
                runs: Class::ALL.map(|class| extra.each(Metric::Dice, class)),
                paper: [None; Class::COUNT],
            });
        }
        Some(Self {
            title: format!("{}: Dice coefficient, %", published.caption),
            columns,
        })
    }

    /// The range of a panel: all that is in it, and a little air.
    fn range(&self, class: usize) -> std::ops::Range<f64> {
        let values = || {
            self.columns
                .iter()
                .flat_map(|c| c.runs[class].iter().copied().chain(c.paper[class]))
        };
        let (low, high) = (values().fold(100.0, f64::min), values().fold(0.0, f64::max));
        if low > high {
            return 0.0..100.0;
        }
        let air = (0.08 * (high - low)).max(0.2);
        (low - air).max(-1.0)..(high + air).min(101.0)
    }
}

impl Picture for DicePlot {
    fn size(&self) -> (u32, u32) {
        (1180, 430)
    }

    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Drawn
    where
        B::ErrorType: 'static,
    {
        let (head, body) = area.split_vertically(30);
        head.draw(&Text::new(self.title.clone(), (16, 8), ("sans-serif", 18)))?;
        let key = "box: runs from quartile to quartile, line: median, dots: runs   ◆ paper, from its recall and precision";
        let right =
            TextStyle::from(("sans-serif", 13).into_font()).pos(Pos::new(HPos::Right, VPos::Top));
        head.draw(&Text::new(key, (self.size().0 as i32 - 16, 11), right))?;
        for (panel, class) in body.split_evenly((1, Class::COUNT)).iter().zip(Class::ALL) {
            self.panel(panel, class)?;
        }
        Ok(())
    }
}

impl DicePlot {
    fn panel<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>, class: Class) -> Drawn
    where
        B::ErrorType: 'static,
    {
        let index = class.index();
        let count = self.columns.len();
        let mut chart = ChartBuilder::on(area)
            .margin(10)
            .caption(class.name(), ("sans-serif", 16))
            .x_label_area_size(86)
            .y_label_area_size(46)
            .build_cartesian_2d(-0.5..count as f64 - 0.5, self.range(index))?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .disable_x_axis()
            .max_light_lines(0)
            .label_style(("sans-serif", 13))
            .draw()?;
        let colour = match class {
            Class::Background => RGBColor(120, 120, 120),
            other => {
                let [r, g, b] = other.colour();
                RGBColor(r, g, b)
            }
        };
        for (x, column) in self.columns.iter().enumerate().map(|(i, c)| (i as f64, c)) {
            let mut runs = column.runs[index].clone();
            runs.sort_by(f64::total_cmp);
            if let (Some(&low), Some(&high)) = (runs.first(), runs.last()) {
                let [q1, median, q3] = [0.25, 0.5, 0.75].map(|q| quantile(&runs, q));
                chart.draw_series([
                    PathElement::new(vec![(x, low), (x, q1)], colour.stroke_width(1)),
                    PathElement::new(vec![(x, q3), (x, high)], colour.stroke_width(1)),
                ])?;
                chart.draw_series([Rectangle::new(
                    [(x - 0.3, q1), (x + 0.3, q3)],
                    colour.mix(0.35).filled(),
                )])?;
                chart.draw_series([Rectangle::new(
                    [(x - 0.3, q1), (x + 0.3, q3)],
                    colour.stroke_width(1),
                )])?;
                chart.draw_series([PathElement::new(
                    vec![(x - 0.3, median), (x + 0.3, median)],
                    colour.stroke_width(3),
                )])?;
                chart.draw_series(runs.iter().map(|&y| Circle::new((x, y), 2, BLACK.filled())))?;
            }
            if let Some(y) = column.paper[index] {
                chart.draw_series([EmptyElement::at((x, y))
                    + Polygon::new(vec![(0, -5), (5, 0), (0, 5), (-5, 0)], BLACK.filled())])?;
            }
        }
        // Labels by hand: slanted ones need more room than an axis gives.
        let [left, right, _, bottom] = {
            let (xs, ys) = chart.plotting_area().get_pixel_range();
            [xs.start, xs.end, ys.start, ys.end]
        };
        let base = area.get_pixel_range();
        for (i, column) in self.columns.iter().enumerate() {
            let x = left + (right - left) * (2 * i as i32 + 1) / (2 * count as i32);
            let style = TextStyle::from(
                ("sans-serif", 12)
                    .into_font()
                    .transform(FontTransform::Rotate270),
            )
            .pos(Pos::new(HPos::Right, VPos::Center));
            area.draw(&Text::new(
                column.label.clone(),
                (x - base.0.start, bottom - base.1.start + 8),
                style,
            ))?;
        }
        Ok(())
    }
}

/// Quantile of sorted values, between neighbours as NumPy has it.
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let place = q * (sorted.len() - 1) as f64;
    let (low, high) = (place.floor() as usize, place.ceil() as usize);
    sorted[low] + (sorted[high] - sorted[low]) * place.fract()
}

/// Figure 6: the final model's confusion matrix, mean of the finished runs, with what the paper states below.
pub fn confusion(results: &Results) -> Confusion {
    let column = results.of(Experiment::Final).next();
    let runs = column.map_or(&[][..], |c| &c.runs[..]);
    let rows = [0, 1, 2].map(|row| {
        // All runs saw the same test split, so the sum's shares are the mean of the shares.
        let sums =
            [0, 1, 2].map(|column| runs.iter().map(|r| r.confusion[row][column]).sum::<f64>());
        let total: f64 = sums.iter().sum();
        (total > 0.0).then(|| sums.map(|s| s / total))
    });
    let paper = &paper::published().confusion;
    let note = |row: &[f64; Class::COUNT]| row.map(|v| Some(format!("paper {v:.2} %")));
    let background = paper::published()
        .table(Experiment::Final)
        .and_then(|t| t.printed(Metric::Recall, Class::Background, "final"))
        .map(|[mean, _]| format!("paper {mean:.1} %"));
    let runs = match runs.len() {
        0 => "no finished run".into(),
        1 => "1 run".into(),
        n => format!("mean of {n} runs"),
    };
    Confusion {
        title: format!("Final model, test split, {runs}"),
        rows,
        notes: [
            [background, None, None],
            note(&paper.kidney),
            note(&paper.tumour),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `numpy.quantile([1, 2, 4, 8], [.25, .5, .75])` is [1.75, 3.0, 5.0].
    #[test]
    fn quantiles_are_numpys() {
        let values = [1.0, 2.0, 4.0, 8.0];
        assert_eq!(
            [0.25, 0.5, 0.75].map(|q| quantile(&values, q)),
            [1.75, 3.0, 5.0]
        );
        assert_eq!(quantile(&[7.0], 0.25), 7.0);
    }
}
