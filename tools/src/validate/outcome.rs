//! What a validation found, as it is filed: the structs of `validation.json`, which text and page show.

use std::collections::BTreeMap;

use nephrobox_engine::executor::Arithmetic;
use nephrobox_shared::class::Class;
use nephrobox_shared::metrics::{ClassScores, ConfusionMatrix, Evaluation, PerClass, Scores};
use nephrobox_shared::package::Manifest;
use nephrobox_shared::report::{ProgramInfo, RESEARCH_USE_NOTICE};
use serde::Serialize;

use super::cases::HeldBack;
use super::interval::{Bootstrap, CONFIDENCE, RESAMPLES, SEED};
use super::judge::{self, ClassVerdict, LIMIT, Verdict};
use super::records::Record;
use super::segmenter::About;

/// Version of the fields; they may be added to within it.
const SCHEMA_VERSION: u32 = 1;

/// A validation. Scores are shares from 0 to 1; `None` is undefined.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// Version of these fields.
    pub schema_version: u32,
    /// That all is for research use.
    pub notice: String,
    /// PASS, DRIFT or FAIL: the worst of classes and label maps.
    pub verdict: Verdict,
    /// When it was judged, UTC.
    pub made: String,
    /// What judged.
    pub program: ProgramInfo,
    /// The box.
    pub r#box: About,
    /// The model.
    pub model: ModelFacts,
    /// The cases.
    pub data: DataFacts,
    /// By which rules.
    pub rules: Rules,
    /// Each class beside its packed scores, in the paper's aggregation.
    pub classes: PerClass<ClassVerdict>,
    /// The box's label maps beside the workstation's.
    pub maps: Maps,
    /// All aggregations of what was measured.
    pub measured: Scores,
    /// All aggregations of what is packed.
    pub packed: Scores,
    /// Each case.
    pub cases: Vec<CaseOutcome>,
}

/// The model that was validated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelFacts {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: u64,
    /// BLAKE3 of its package, hexadecimal.
    pub blake3: String,
    /// Arithmetic of the network on the box: int8, f32 or f16.
    pub arithmetic: String,
    /// Licence notice of its training data.
    pub licence_notice: String,
}

/// What it was validated on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DataFacts {
    /// Fingerprint of the prepared set.
    pub fingerprint: String,
    /// Hash of the split.
    pub split: String,
    /// Patients.
    pub cases: usize,
    /// Scans; a patient may have several.
    pub scans: usize,
    /// Scored slices.
    pub slices: u64,
    /// Rows and columns at which slices are scored.
    pub scored_at: [usize; 2],
    /// Pixels of the scored slices that label maps at the scans' sizes do not show; they count as background.
    pub lost_pixels: u64,
}

/// What decides the verdict.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Rules {
    /// How far a score may be from the packed one.
    pub tolerance: f64,
    /// So many tolerances below the packed score is FAIL whatever the interval is.
    pub limit: f64,
    /// Share of the draws within an interval.
    pub confidence: f64,
    /// Draws of patients.
    pub resamples: u32,
    /// Their seed.
    pub seed: u64,
}

/// Label maps of the box and of the workstation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Maps {
    /// Scans compared.
    pub scans: usize,
    /// Those whose label maps are equal in every voxel.
    pub equal_scans: usize,
    /// Voxels compared.
    pub voxels: u64,
    /// Those that differ.
    pub different_voxels: u64,
    /// Whether they must be equal: they must in integers; in floating point sums round by order.
    pub equality_promised: bool,
    /// FAIL if they must be equal and are not; without a promise they are not judged.
    pub verdict: Verdict,
}

impl Maps {
    fn of(records: &[Record], arithmetic: Arithmetic) -> Self {
        let measured = || records.iter().map(|record| record.measured);
        let different_voxels = measured().map(|measured| measured.different).sum();
        let equality_promised = arithmetic == Arithmetic::Int8;
        Self {
            scans: records.len(),
            equal_scans: measured()
                .filter(|measured| measured.different == 0)
                .count(),
            voxels: measured().map(|measured| measured.voxels).sum(),
            different_voxels,
            equality_promised,
            verdict: match (equality_promised, different_voxels) {
                (_, 0) => Verdict::Pass,
                (true, _) => Verdict::Fail,
                (false, _) => Verdict::NotJudged,
            },
        }
    }

    /// Share of the voxels that are labelled alike.
    pub fn agreement(&self) -> f64 {
        1.0 - self.different_voxels as f64 / self.voxels.max(1) as f64
    }
}

/// One case.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CaseOutcome {
    /// Its name.
    pub case: String,
    /// Scored slices.
    pub slices: u64,
    /// Scores over all their pixels.
    pub scores: PerClass<ClassScores>,
    /// Pixels, `[truth][box]`.
    pub confusion: [[f64; Class::COUNT]; Class::COUNT],
    /// Voxels of its scans that the box labelled otherwise than the workstation.
    pub different_voxels: u64,
    /// What the box took for them, in seconds.
    pub seconds: f64,
}

/// All that a judgement follows from.
pub(super) struct Found<'a> {
    pub(super) about: About,
    pub(super) made: String,
    pub(super) manifest: &'a Manifest,
    pub(super) hash: String,
    pub(super) held_back: &'a HeldBack,
    /// One for each scan of the cases, in their order.
    pub(super) records: &'a [Record],
    pub(super) arithmetic: Arithmetic,
    pub(super) packed: &'a Scores,
    /// As a share.
    pub(super) tolerance: f64,
}

/// Scores and judges.
pub(super) fn judge(found: Found<'_>) -> Outcome {
    let Found {
        held_back,
        records,
        manifest,
        tolerance,
        ..
    } = found;
    let mut evaluation = Evaluation::new();
    let mut by_case: BTreeMap<usize, CaseOutcome> = BTreeMap::new();
    let of_volumes = held_back
        .cases
        .iter()
        .enumerate()
        .flat_map(|(index, case)| case.volumes.iter().map(move |_| (index, case)));
    let mut lost_pixels = 0;
    for ((index, case), record) in of_volumes.zip(records) {
        let measured = record.measured;
        evaluation.add_counted(index, &measured.counts, measured.slices, case.weight());
        lost_pixels += measured.lost * measured.slices;
        let outcome = by_case.entry(index).or_insert_with(|| CaseOutcome {
            case: case.name.clone(),
            slices: 0,
            scores: PerClass::default(),
            confusion: Default::default(),
            different_voxels: 0,
            seconds: 0.0,
        });
        outcome.slices += measured.slices;
        outcome.different_voxels += measured.different;
        outcome.seconds += record.seconds;
    }
    let mut patients = Vec::with_capacity(by_case.len());
    for (index, counts) in evaluation.per_case() {
        let mut weighted = ConfusionMatrix::new();
        weighted.merge_weighted(counts, held_back.cases[index].weight());
        patients.push(weighted);
        if let Some(outcome) = by_case.get_mut(&index) {
            outcome.scores = ClassScores::of(counts);
            outcome.confusion = counts.weights();
        }
    }
    let bootstrap = Bootstrap::new(&patients, RESAMPLES, SEED);
    let classes = judge::classes(
        &found.packed.paper,
        evaluation.paper(),
        &bootstrap,
        tolerance,
    );
    let maps = Maps::of(records, found.arithmetic);
    let worst = Class::ALL.map(|class| classes.get(class).verdict);
    let measured = evaluation.scores();
    let preprocess = held_back.options.preprocess;
    Outcome {
        schema_version: SCHEMA_VERSION,
        notice: RESEARCH_USE_NOTICE.into(),
        verdict: worst.into_iter().fold(maps.verdict, Verdict::max),
        made: found.made,
        program: ProgramInfo {
            name: env!("CARGO_PKG_NAME").into(),
            version: env!("CARGO_PKG_VERSION").into(),
        },
        r#box: found.about,
        model: ModelFacts {
            name: manifest.name.clone(),
            version: manifest.version,
            blake3: found.hash,
            arithmetic: found.arithmetic.name().into(),
            licence_notice: manifest.training.licence_notice.clone(),
        },
        data: DataFacts {
            fingerprint: held_back.fingerprint.clone(),
            split: held_back.split.clone(),
            cases: held_back.cases.len(),
            scans: records.len(),
            slices: measured.slices,
            scored_at: [preprocess.rows, preprocess.cols],
            lost_pixels,
        },
        rules: Rules {
            tolerance,
            limit: LIMIT,
            confidence: CONFIDENCE,
            resamples: RESAMPLES,
            seed: SEED,
        },
        classes,
        maps,
        measured,
        packed: *found.packed,
        cases: by_case.into_values().collect(),
    }
}

impl Outcome {
    /// Why the verdict is what it is, in one sentence without its full stop.
    pub fn reason(&self) -> String {
        let mut reasons = Vec::new();
        if self.maps.verdict == Verdict::Fail {
            reasons.push(format!(
                "{} of {} label maps are not the workstation's, though integers must give the same",
                self.maps.scans - self.maps.equal_scans,
                self.maps.scans
            ));
        }
        for class in Class::ALL {
            let judged = self.classes.get(class);
            if judged.verdict != self.verdict || judged.verdict <= Verdict::Pass {
                continue;
            }
            let worst = judged.metrics().into_iter();
            let worst = worst.filter(|(_, compared)| compared.verdict == judged.verdict);
            let off = worst.map(|(metric, compared)| match compared.difference {
                Some(_) => format!("{metric} {}", points(compared.difference)),
                None => format!("{metric} undefined on one side"),
            });
            let off: Vec<String> = off.collect();
            reasons.push(format!("{class} is off by points: {}", off.join(", ")));
        }
        if reasons.is_empty() {
            "all scores are within the tolerance of the packed ones".to_owned()
        } else {
            reasons.join("; ")
        }
    }

    /// What is to be said of the label maps, in one sentence without its full stop.
    pub fn maps_sentence(&self) -> String {
        let Maps {
            scans,
            equal_scans,
            voxels,
            different_voxels,
            ..
        } = self.maps;
        let voxels = grouped(voxels);
        if different_voxels == 0 {
            return format!(
                "all {scans} label maps of the box equal the workstation's in each of {voxels} voxels, bit for bit"
            );
        }
        let agreement = format!(
            "{equal_scans} of {scans} label maps are equal; {} of {voxels} voxels differ, {:.5} % agree",
            grouped(different_voxels),
            // Never 100 where something differs.
            (100.0 * self.maps.agreement()).min(99.999_99)
        );
        if self.maps.equality_promised {
            format!("{agreement}; in integers they must be the same")
        } else {
            format!(
                "{agreement}; in {} equality is not promised",
                self.model.arithmetic
            )
        }
    }

    /// Classes that no case shows, by name.
    pub fn undefined(&self) -> Vec<&'static str> {
        let unseen = |class: &Class| self.classes.get(*class).dice.verdict == Verdict::NotJudged;
        Class::ALL
            .iter()
            .filter(|class| unseen(class))
            .map(|class| class.name())
            .collect()
    }

    /// Cases from the one that most needs a look: differing label maps first, then low scores of kidney and tumour.
    pub fn by_need(&self) -> Vec<&CaseOutcome> {
        let score = |case: &CaseOutcome| {
            let dice = [case.scores.kidney.dice, case.scores.tumour.dice];
            let defined: Vec<f64> = dice.into_iter().flatten().collect();
            defined.iter().sum::<f64>() / defined.len().max(1) as f64
        };
        let mut cases: Vec<&CaseOutcome> = self.cases.iter().collect();
        cases.sort_by(|a, b| {
            let differ = (b.different_voxels > 0).cmp(&(a.different_voxels > 0));
            differ.then(score(a).total_cmp(&score(b)))
        });
        cases
    }
}

/// A number with its digits in threes.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A share as percent with two decimals.
pub(super) fn percent(share: Option<f64>) -> String {
    share.map_or("undefined".into(), |share| {
        format!("{:.2} %", 100.0 * share)
    })
}

/// A difference in percentage points with its sign; one of nothing has none.
pub(super) fn points(difference: Option<f64>) -> String {
    difference.map_or(String::new(), |difference| {
        let text = format!("{:+.2}", 100.0 * difference);
        if ["+0.00", "-0.00"].contains(&text.as_str()) {
            "0.00".into()
        } else {
            text
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_people_read_them() {
        let texts = [0, 7, 999, 1_000, 12_345_678].map(grouped);
        assert_eq!(texts, ["0", "7", "999", "1,000", "12,345,678"]);
        let texts = [Some(0.0), Some(-1e-9), Some(0.001), Some(-0.0123), None].map(points);
        assert_eq!(texts, ["0.00", "0.00", "+0.10", "-1.23", ""]);
        assert_eq!(percent(Some(0.87654)), "87.65 %");
    }
}
