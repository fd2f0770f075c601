//! Metrics against scikit-learn's figures and by their own laws.

use std::{fs, path::PathBuf};

use nephrobox_shared::{
    class::Class,
    metrics::{ClassFrequencies, ConfusionMatrix, Evaluation, KitsDice, MetricsError, Spread},
};
use proptest::prelude::*;
use safetensors::SafeTensors;
use serde_json::Value;

const TOLERANCE: f64 = 1e-12;

fn close(found: f64, expected: &Value, what: &str) {
    let expected = expected.as_f64().unwrap();
    assert!(
        (found - expected).abs() <= TOLERANCE * expected.abs().max(1.0),
        "{what}: {found}, not {expected}"
    );
}

fn close_matrix(found: [[f64; 3]; 3], expected: &Value, what: &str) {
    for (row, values) in found.into_iter().enumerate() {
        for (col, value) in values.into_iter().enumerate() {
            close(value, &expected[row][col], what);
        }
    }
}

fn check_against_sklearn(matrix: &ConfusionMatrix, expected: &Value, what: &str) {
    let zero = matrix.or_zero();
    close_matrix(matrix.weights(), &expected["confusion"], what);
    close_matrix(
        zero.row_normalised(),
        &expected["confusion_normalized_rows"],
        what,
    );
    for class in Class::ALL {
        let what = format!("{what} {class}");
        close(zero.dice(class), &expected["dice"][class.index()], &what);
        close(
            zero.recall(class),
            &expected["recall"][class.index()],
            &what,
        );
        close(
            zero.precision(class),
            &expected["precision"][class.index()],
            &what,
        );
    }
}

/// `golden/metrics`: scikit-learn 1.9.1 with and without sample weights, NumPy for the balancing.
#[test]
fn agrees_with_the_golden_values() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/golden/metrics");
    let Ok(entries) = fs::read_dir(&folder) else {
        eprintln!("skipped: ../shared is not here");
        return;
    };
    let mut cases = 0;
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        cases += 1;
        let name = path.display().to_string();
        let json: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let bytes = fs::read(path.with_extension("safetensors")).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let (truth, prediction) = (
            tensors.tensor("truth").unwrap(),
            tensors.tensor("prediction").unwrap(),
        );
        let pixels = truth.shape()[1] * truth.shape()[2];

        let mut evaluation = Evaluation::new();
        let mut frequencies = ClassFrequencies::new();
        for (image, (truth, prediction)) in truth
            .data()
            .chunks(pixels)
            .zip(prediction.data().chunks(pixels))
            .enumerate()
        {
            let patient = json["patient"][image].as_u64().unwrap() as usize;
            let weight = json["image_weight"][image].as_f64().unwrap();
            evaluation.add(patient, truth, prediction, weight).unwrap();
            let mut counts = [0; 3];
            for &label in truth {
                counts[usize::from(label)] += 1;
            }
            frequencies.add(counts);
        }
        check_against_sklearn(
            evaluation.paper(),
            &json["weighted"],
            &format!("{name} weighted"),
        );
        check_against_sklearn(
            &evaluation.pooled(),
            &json["unweighted"],
            &format!("{name} unweighted"),
        );

        let balancing = &json["median_frequency_balancing"];
        if balancing.is_null() {
            assert!(frequencies.weights().contains(&None), "{name}");
            continue;
        }
        let weights = frequencies.weights().map(Option::unwrap);
        for class in Class::ALL {
            let i = class.index();
            assert_eq!(frequencies.pixels()[i], balancing["pixels"][i]);
            assert_eq!(
                frequencies.pixels_of_images_with_class()[i],
                balancing["pixels_of_images_with_class"][i]
            );
            close(
                frequencies.frequency(class).unwrap(),
                &balancing["frequency"][i],
                &name,
            );
            close(weights[i], &balancing["weights"][i], &name);
        }
    }
    assert!(cases >= 2, "only {cases} cases in {}", folder.display());
}

/// A slice without tumour, in truth and in prediction: "undefined" must never turn into a 0 or a 1.
#[test]
fn an_absent_class_is_undefined() {
    let mut matrix = ConfusionMatrix::new();
    matrix.add(&[0, 1, 1, 0], &[0, 1, 0, 0], 1.0).unwrap();
    assert_eq!(matrix.dice(Class::Tumour), None);
    assert_eq!(matrix.recall(Class::Tumour), None);
    assert_eq!(matrix.precision(Class::Tumour), None);
    assert_eq!(
        matrix.row_normalised(),
        [Some([1.0, 0.0, 0.0]), Some([0.5, 0.5, 0.0]), None]
    );
    assert_eq!(matrix.or_zero().dice(Class::Tumour), 0.0);

    // Invented tumour: Dice and precision are 0, recall stays undefined.
    matrix.add(&[0], &[2], 1.0).unwrap();
    assert_eq!(matrix.dice(Class::Tumour), Some(0.0));
    assert_eq!(matrix.precision(Class::Tumour), Some(0.0));
    assert_eq!(matrix.recall(Class::Tumour), None);
}

/// A case that lacks a class on both sides is left out of that class's mean, and the number of cases says so.
#[test]
fn per_case_means_leave_out_cases_without_the_class() {
    let mut evaluation = Evaluation::new();
    evaluation
        .add(7, &[1, 1, 2, 0], &[1, 1, 2, 0], 0.5)
        .unwrap();
    evaluation
        .add(3, &[1, 0, 0, 0], &[1, 1, 0, 0], 1.0)
        .unwrap();
    evaluation
        .add(7, &[0, 0, 2, 2], &[0, 0, 0, 2], 0.5)
        .unwrap();
    let scores = evaluation.scores();
    assert_eq!((scores.cases, scores.slices), (2, 3));
    let tumour = scores.per_case.tumour.dice;
    assert_eq!(
        (tumour.cases, tumour.mean, tumour.population_deviation),
        (1, Some(0.8), Some(0.0))
    );
    // Kidney: case 3 has 2/3, case 7 has 1.
    let kidney = scores.per_case.kidney.dice;
    assert_eq!(kidney.cases, 2);
    assert!((kidney.mean.unwrap() - 5.0 / 6.0).abs() < 1e-15);
    assert!((kidney.population_deviation.unwrap() - 1.0 / 6.0).abs() < 1e-15);
    assert_eq!(
        evaluation
            .per_case()
            .map(|(case, _)| case)
            .collect::<Vec<_>>(),
        [3, 7]
    );
    // The composite needs both structures: case 3 has no tumour.
    assert_eq!(scores.kits.kidney_and_tumour_dice.cases, 2);
    assert_eq!(scores.kits.composite_dice.cases, 1);
}

/// What was counted in pieces, elsewhere or earlier, gives the scores of what is counted slice by slice.
#[test]
fn slices_counted_elsewhere_score_as_those_counted_here() {
    let slices: [(usize, &[u8], &[u8], f64); 3] = [
        (7, &[1, 1, 2, 0], &[1, 0, 2, 0], 0.5),
        (7, &[0, 2, 2, 1], &[0, 2, 1, 1], 0.5),
        (3, &[1, 0, 0, 0], &[1, 1, 0, 0], 1.0),
    ];
    let mut here = Evaluation::new();
    let mut seven = ConfusionMatrix::new();
    let mut three = ConfusionMatrix::new();
    for (case, truth, prediction, weight) in slices {
        here.add(case, truth, prediction, weight).unwrap();
        let matrix = if case == 7 { &mut seven } else { &mut three };
        matrix.add(truth, prediction, 1.0).unwrap();
    }
    let mut elsewhere = Evaluation::new();
    elsewhere.add_counted(7, &seven, 2, 0.5);
    elsewhere.add_counted(3, &three, 1, 1.0);
    assert_eq!(here, elsewhere); // halves and ones are exact
    assert_eq!(here.scores(), elsewhere.scores());
}

/// The challenge's "kidney" takes kidney and tumour as one, so mistaking one for the other costs it nothing.
#[test]
fn the_challenge_merges_kidney_and_tumour() {
    let mut matrix = ConfusionMatrix::new();
    matrix
        .add(&[0, 1, 1, 2, 2, 0], &[0, 1, 2, 1, 2, 1], 1.0)
        .unwrap();
    let kits = KitsDice::of(&matrix);
    assert_eq!(kits.kidney_and_tumour(), Some(8.0 / 9.0));
    assert_eq!(kits.tumour(), Some(0.5));
    assert_eq!(kits.composite(), Some(f64::midpoint(8.0 / 9.0, 0.5)));
    assert_eq!(
        matrix.dice(Class::Kidney),
        Some(0.4),
        "the class alone is another quantity"
    );
}

#[test]
fn pixels_that_cannot_be_counted_change_nothing() {
    let mut evaluation = Evaluation::new();
    evaluation.add(0, &[0, 1], &[0, 1], 1.0).unwrap();
    let before = evaluation.clone();
    for (truth, prediction, weight, expected) in [
        (
            &[0, 1][..],
            &[0][..],
            1.0,
            MetricsError::Length {
                truth: 2,
                prediction: 1,
            },
        ),
        (
            &[0, 3],
            &[0, 1],
            1.0,
            MetricsError::Label { pixel: 1, label: 3 },
        ),
        (
            &[0, 1],
            &[255, 1],
            1.0,
            MetricsError::Label {
                pixel: 0,
                label: 255,
            },
        ),
        (
            &[0, 1],
            &[0, 1],
            -0.5,
            MetricsError::Weight { weight: -0.5 },
        ),
        (
            &[0, 1],
            &[0, 1],
            f64::INFINITY,
            MetricsError::Weight {
                weight: f64::INFINITY,
            },
        ),
    ] {
        assert_eq!(evaluation.add(1, truth, prediction, weight), Err(expected));
        assert_eq!(evaluation, before);
    }
    assert!(evaluation.add(1, &[0], &[0], f64::NAN).is_err());
}

/// Kidney and tumour as often as in the 210 cases (frequencies 0.01952 and 0.01336, `../shared/data/README.md`), which
/// give the paper's 0.02, 1.0 and 1.5.
#[test]
fn median_frequency_balancing_gives_the_papers_weights() {
    let mut frequencies = ClassFrequencies::new();
    // One image for each class alone would have frequency 1, so: one image that holds all three, one without tumour.
    frequencies.add([97_000, 1_664, 1_336]);
    frequencies.add([97_760, 2_240, 0]);
    let weights = frequencies.weights().map(Option::unwrap);
    assert!(
        (weights[0] - 0.0200).abs() < 1e-4
            && weights[1] == 1.0
            && (weights[2] - 1.461).abs() < 1e-3
    );
}

#[test]
fn three_images_balanced_by_hand() {
    let mut frequencies = ClassFrequencies::new();
    for counts in [[100, 0, 0], [80, 20, 0], [85, 5, 10]] {
        frequencies.add(counts);
    }
    // Frequencies: 265 / 300, 25 / 200, 10 / 100; the median is kidney's 0.125.
    let weights = frequencies.weights().map(Option::unwrap);
    for (weight, expected) in weights.into_iter().zip([0.125 * 300.0 / 265.0, 1.0, 1.25]) {
        assert!((weight - expected).abs() < 1e-12);
    }
}

#[test]
fn a_class_that_never_occurs_has_no_weight_and_no_part_in_the_median() {
    let mut frequencies = ClassFrequencies::new();
    assert_eq!(frequencies.weights(), [None; 3]);
    frequencies.add([90, 10, 0]);
    let [background, kidney, tumour] = frequencies.weights(); // median of 0.9 and 0.1 is 0.5
    assert!((background.unwrap() - 0.5 / 0.9).abs() < 1e-12);
    assert!((kidney.unwrap() - 5.0).abs() < 1e-12);
    assert_eq!(tumour, None);
}

fn labels() -> impl Strategy<Value = Vec<(u8, u8)>> {
    proptest::collection::vec((0..3_u8, 0..3_u8), 0..60)
}

proptest! {
    /// Evaluating in parts and merging equals evaluating in one go; weights that are powers of two keep f64 exact.
    #[test]
    fn merging_equals_adding_all(slices in proptest::collection::vec((0..4_usize, labels(), 0..4_i32), 0..12), cut in 0..12_usize) {
        let mut whole = Evaluation::new();
        let mut parts = [Evaluation::new(), Evaluation::new()];
        for (i, (case, pixels, power)) in slices.iter().enumerate() {
            let (truth, prediction): (Vec<u8>, Vec<u8>) = pixels.iter().copied().unzip();
            let weight = 0.5_f64.powi(*power);
            whole.add(*case, &truth, &prediction, weight).unwrap();
            parts[usize::from(i >= cut)].add(*case, &truth, &prediction, weight).unwrap();
        }
        let [mut first, second] = parts;
        first.merge(&second);
        prop_assert_eq!(&first, &whole);
        prop_assert_eq!(first.scores(), whole.scores());
    }

    /// Dice is the harmonic mean of recall and precision, which is how the paper's Table 6 shows that it pools.
    #[test]
    fn dice_is_the_harmonic_mean(pixels in labels()) {
        let (truth, prediction): (Vec<u8>, Vec<u8>) = pixels.into_iter().unzip();
        let mut matrix = ConfusionMatrix::new();
        matrix.add(&truth, &prediction, 1.0).unwrap();
        for class in Class::ALL {
            if let (Some(dice), Some(r), Some(p)) = (matrix.dice(class), matrix.recall(class), matrix.precision(class)) {
                let harmonic = if r + p > 0.0 { 2.0 * r * p / (r + p) } else { 0.0 };
                prop_assert!((dice - harmonic).abs() < 1e-12);
            }
        }
    }

    /// Welford's running figures against the two-pass definition.
    #[test]
    fn spread_is_mean_and_population_deviation(values in proptest::collection::vec(-1e3..1e3_f64, 1..50)) {
        let mut spread = Spread::new();
        for &value in &values {
            spread.push(value);
        }
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let deviation = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt();
        prop_assert!((spread.mean().unwrap() - mean).abs() < 1e-9);
        prop_assert!((spread.deviation().unwrap() - deviation).abs() < 1e-9);
    }
}
