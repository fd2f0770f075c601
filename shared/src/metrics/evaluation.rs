//! A whole split evaluated slice by slice.

use alloc::collections::BTreeMap;

use super::{CaseScores, ClassScores, ConfusionMatrix, KitsDice, KitsScores, MetricsError, Scores};

/// Counts slices of many cases, in any order, and gives all aggregations at the end.
///
/// Memory is one matrix a case. Slices of one case may arrive apart; per-case results are in order of the case index.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evaluation {
    paper: ConfusionMatrix,
    cases: BTreeMap<usize, ConfusionMatrix>,
    slices: u64,
}

impl Evaluation {
    /// Nothing counted yet.
    pub const fn new() -> Self {
        Self {
            paper: ConfusionMatrix::new(),
            cases: BTreeMap::new(),
            slices: 0,
        }
    }

    /// Counts one slice of a case.
    ///
    /// `patient_weight` is 1 / (slices of that patient in this evaluation); it touches the paper's aggregation only.
    /// On an error nothing is counted.
    pub fn add(
        &mut self,
        case: usize,
        truth: &[u8],
        prediction: &[u8],
        patient_weight: f64,
    ) -> Result<(), MetricsError> {
        let mut weighted = self.paper;
        weighted.add(truth, prediction, patient_weight)?;
        let mut unweighted = ConfusionMatrix::new();
        unweighted.add(truth, prediction, 1.0)?;
        self.paper = weighted;
        self.cases.entry(case).or_default().merge(&unweighted);
        self.slices += 1;
        Ok(())
    }

    /// Counts slices of a case that were counted elsewhere, as if each had been [added](Self::add).
    ///
    /// `counts` are all their pixels, unweighted. Only the last bits of the paper's sums depend on whether slices come
    /// one by one or together.
    pub fn add_counted(
        &mut self,
        case: usize,
        counts: &ConfusionMatrix,
        slices: u64,
        patient_weight: f64,
    ) {
        self.paper.merge_weighted(counts, patient_weight);
        self.cases.entry(case).or_default().merge(counts);
        self.slices += slices;
    }

    /// Adds what another evaluation counted, for evaluations that run side by side.
    pub fn merge(&mut self, other: &Self) {
        self.paper.merge(&other.paper);
        for (&case, matrix) in &other.cases {
            self.cases.entry(case).or_default().merge(matrix);
        }
        self.slices += other.slices;
    }

    /// The matrix of the paper's aggregation: each slice with its patient's weight.
    pub const fn paper(&self) -> &ConfusionMatrix {
        &self.paper
    }

    /// The matrix of all slices, unweighted.
    pub fn pooled(&self) -> ConfusionMatrix {
        let mut pooled = ConfusionMatrix::new();
        self.cases.values().for_each(|case| pooled.merge(case));
        pooled
    }

    /// The unweighted matrix of each case, by rising case index.
    pub fn per_case(&self) -> impl Iterator<Item = (usize, &ConfusionMatrix)> + Clone {
        self.cases.iter().map(|(&case, matrix)| (case, matrix))
    }

    /// The challenge's Dice of each case, by rising case index.
    pub fn kits(&self) -> impl Iterator<Item = (usize, KitsDice)> + Clone {
        self.per_case()
            .map(|(case, matrix)| (case, KitsDice::of(matrix)))
    }

    /// All aggregations in one piece, for a package or a metrics file.
    pub fn scores(&self) -> Scores {
        Scores {
            cases: self.cases.len() as u64,
            slices: self.slices,
            paper: ClassScores::of(&self.paper),
            pooled: ClassScores::of(&self.pooled()),
            per_case: CaseScores::of(&self.cases.values()),
            kits: KitsScores::of(&self.cases.values()),
        }
    }
}
