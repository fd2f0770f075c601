//! What the paper published, from `trainer/data/paper.toml`.

use std::sync::LazyLock;

use nephrobox_shared::class::Class;
use nephrobox_shared::metrics::{ClassScores, PerClass};
use serde::Deserialize;

use super::design::Experiment;

/// The data file itself, as it is compiled in.
pub const SOURCE: &str = include_str!("../../data/paper.toml");

/// One of the paper's three metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Metric {
    /// Equation 6.
    Dice,
    /// Equation 7.
    Recall,
    /// Equation 8.
    Precision,
}

impl Metric {
    /// In the order of Table 6.
    pub const ALL: [Self; 3] = [Self::Dice, Self::Recall, Self::Precision];

    /// As the tables head it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dice => "Dice coeff.",
            Self::Recall => "Recall",
            Self::Precision => "Precision",
        }
    }

    /// The metric out of a class' scores, as a share; `None` if it is undefined.
    pub fn of(self, scores: &ClassScores) -> Option<f64> {
        match self {
            Self::Dice => scores.dice,
            Self::Recall => scores.recall,
            Self::Precision => scores.precision,
        }
    }
}

/// Mean and standard deviation over four runs, percent.
pub type Published = [f64; 2];

/// A metric of the three classes, each over the settings of a table.
pub type Rows = PerClass<Vec<Published>>;

/// Tables 2 to 6.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// Its number in the paper.
    pub number: u8,
    /// The figure that shows the same runs.
    pub figure: u8,
    /// What was varied.
    pub experiment: Experiment,
    /// Its heading.
    pub caption: String,
    /// Names of its settings, as in [`super::design`].
    pub settings: Vec<String>,
    /// The same in the paper's words.
    pub labels: Vec<String>,
    /// Printed in Table 6 only.
    pub dice: Option<Rows>,
    /// Recall.
    pub recall: Rows,
    /// Precision.
    pub precision: Rows,
}

impl Table {
    /// What is printed for a setting; `None` where the paper prints nothing.
    pub fn printed(&self, metric: Metric, class: Class, setting: &str) -> Option<Published> {
        let column = self.settings.iter().position(|s| s == setting)?;
        let rows = match metric {
            Metric::Dice => self.dice.as_ref()?,
            Metric::Recall => &self.recall,
            Metric::Precision => &self.precision,
        };
        rows.get(class).get(column).copied()
    }

    /// The Dice that the printed recall and precision imply (their harmonic mean), percent. The paper shows it only as a picture.
    pub fn implied_dice(&self, class: Class, setting: &str) -> Option<f64> {
        let [recall, _] = self.printed(Metric::Recall, class, setting)?;
        let [precision, _] = self.printed(Metric::Precision, class, setting)?;
        Some(2.0 * recall * precision / (recall + precision))
    }
}

/// A number in the paper's text.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// Where it stands.
    pub section: String,
    /// Of what.
    pub metric: Metric,
    /// Of which class.
    pub class: Class,
    /// Settings it is a difference to; none if it is the value itself.
    #[serde(default)]
    pub from: Vec<String>,
    /// Settings it speaks of.
    pub to: Vec<String>,
    /// Percentage points, or percent.
    pub value: f64,
    /// It does not fit the paper's own table.
    #[serde(default)]
    pub odd: bool,
}

impl Statement {
    /// The statement's number by `mean`, which gives a setting's mean in percent.
    pub fn found(&self, mean: impl Fn(&str) -> Option<f64>) -> Option<f64> {
        let average = |names: &[String]| {
            let values: Option<Vec<f64>> = names.iter().map(|n| mean(n)).collect();
            values.map(|v| v.iter().sum::<f64>() / v.len().max(1) as f64)
        };
        Some(average(&self.to)? - average(&self.from)?)
    }
}

/// The rows of Figure 6 that the text states, percent: background, kidney, tumour.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confusion {
    /// Where kidney pixels went.
    pub kidney: [f64; Class::COUNT],
    /// Where tumour pixels went.
    pub tumour: [f64; Class::COUNT],
}

/// Table 1.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Start {
    /// Share of augmented images.
    pub augment_share: f64,
    /// Loss, in the paper's words.
    pub loss: String,
    /// Encoder.
    pub encoder: crate::network::Encoder,
    /// First encoder layer that trains.
    pub retrain_from: crate::network::RetrainFrom,
}

/// All of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Paper {
    /// Table 1.
    pub start: Start,
    /// Tables 2 to 6.
    pub table: Vec<Table>,
    /// Figure 6.
    pub confusion: Confusion,
    /// Numbers in the text.
    pub statement: Vec<Statement>,
}

impl Paper {
    /// The table of an experiment.
    pub fn table(&self, experiment: Experiment) -> Option<&Table> {
        self.table.iter().find(|t| t.experiment == experiment)
    }

    /// The table whose settings hold that name.
    pub fn table_with(&self, setting: &str) -> Option<&Table> {
        self.table
            .iter()
            .find(|t| t.settings.iter().any(|s| s == setting))
    }
}

/// What the paper published.
///
/// # Panics
/// Never in a build whose tests pass: the file is compiled in, and a test reads it.
pub fn published() -> &'static Paper {
    static PAPER: LazyLock<Paper> = LazyLock::new(|| {
        toml::from_str(SOURCE).expect("trainer/data/paper.toml is checked by a test")
    });
    &PAPER
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (table, columns, rows of numbers): the shape of Tables 2 to 6 as printed; Table 4 has its settings as rows.
    const SHAPES: [(u8, usize, usize); 5] = [(2, 7, 6), (3, 7, 6), (4, 4, 6), (5, 6, 6), (6, 1, 9)];

    #[test]
    fn every_row_and_column_of_the_tables_is_there() {
        let paper = published();
        assert_eq!(paper.table.len(), SHAPES.len());
        for ((number, columns, rows), table) in SHAPES.into_iter().zip(&paper.table) {
            assert_eq!(table.number, number);
            assert_eq!(table.settings.len(), columns, "Table {number}");
            assert_eq!(table.labels.len(), columns, "Table {number}");
            let metrics = [
                table.dice.as_ref(),
                Some(&table.recall),
                Some(&table.precision),
            ];
            let mut found = 0;
            for row in metrics
                .into_iter()
                .flatten()
                .flat_map(|m| Class::ALL.map(|c| m.get(c)))
            {
                found += 1;
                assert_eq!(row.len(), columns, "Table {number}");
                for [mean, deviation] in row {
                    assert!((50.0..100.0).contains(mean) && (0.0..5.0).contains(deviation));
                }
            }
            assert_eq!(found, rows, "Table {number}");
            let known: Vec<_> = table.experiment.values().iter().map(|v| v.name).collect();
            assert!(
                table.settings.iter().all(|s| known.contains(&s.as_str())),
                "Table {number}: {known:?}"
            );
        }
    }

    /// Table 6 is printed with one decimal, so the harmonic mean may be off by a rounding of each.
    #[test]
    fn table_6_is_pooled_its_dice_is_the_harmonic_mean_of_recall_and_precision() {
        let table = published().table(Experiment::Final).unwrap();
        for class in Class::ALL {
            let [printed, _] = table.printed(Metric::Dice, class, "final").unwrap();
            let implied = table.implied_dice(class, "final").unwrap();
            assert!(
                (printed - implied).abs() < 0.1,
                "{class}: {printed} and {implied}"
            );
        }
    }

    #[test]
    fn the_stated_rows_of_the_confusion_matrix_sum_to_100_and_fit_table_6() {
        let Confusion { kidney, tumour } = &published().confusion;
        let table = published().table(Experiment::Final).unwrap();
        for (class, row) in [(Class::Kidney, kidney), (Class::Tumour, tumour)] {
            assert!((row.iter().sum::<f64>() - 100.0).abs() < 1e-9, "{class}");
            let [recall, _] = table.printed(Metric::Recall, class, "final").unwrap();
            assert!((row[class.index()] - recall).abs() <= 0.0501, "{class}");
        }
    }

    /// The text's numbers follow from the tables (Dice through recall and precision), but for the two that are marked.
    #[test]
    fn what_the_text_states_follows_from_the_tables() {
        let paper = published();
        let mut odd = 0;
        for s in &paper.statement {
            let table = paper.table_with(&s.to[0]).unwrap();
            let by_table = s.found(|setting| match s.metric {
                Metric::Dice => table.implied_dice(s.class, setting),
                metric => table
                    .printed(metric, s.class, setting)
                    .map(|[mean, _]| mean),
            });
            let off = (by_table.unwrap() - s.value).abs();
            // "about", "approximately": "10 % lower" is the coarsest, 11.2 by the table.
            let about = if s.value.fract() == 0.0 { 1.3 } else { 0.4 };
            assert_eq!(off > about, s.odd, "{s:?}: {by_table:?}");
            odd += usize::from(s.odd);
        }
        assert_eq!((paper.statement.len(), odd), (17, 2));
    }

    /// Numbers picked at random from the printed page, by eye.
    #[test]
    fn single_cells_are_the_printed_ones() {
        use Class::{Kidney, Tumour};
        let cell = |experiment, metric, class, setting| {
            published()
                .table(experiment)
                .unwrap()
                .printed(metric, class, setting)
                .unwrap()
        };
        assert_eq!(
            cell(Experiment::Augmentation, Metric::Precision, Tumour, "p90"),
            [64.8, 3.3]
        );
        assert_eq!(
            cell(Experiment::Loss, Metric::Precision, Kidney, "wce"),
            [78.0, 0.5]
        );
        assert_eq!(
            cell(Experiment::Encoder, Metric::Recall, Tumour, "resnet50"),
            [74.4, 3.4]
        );
        assert_eq!(
            cell(
                Experiment::Retrain,
                Metric::Precision,
                Tumour,
                "stage3-unit12"
            ),
            [63.6, 3.1]
        );
        assert_eq!(
            cell(Experiment::Final, Metric::Dice, Tumour, "final"),
            [84.5, 0.4]
        );
    }
}
