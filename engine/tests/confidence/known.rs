//! Networks whose answers are known.

use nephrobox_engine::confidence::look_again;
use nephrobox_engine::model::{EngineError, LogitsModel, SliceModel};
use nephrobox_engine::program::ArgmaxError;
use nephrobox_shared::report::{Confidence, WarningCode};

const ROWS: usize = 6;
const COLS: usize = 8;

/// Three logits for each pixel, from the image and where the pixel lies.
struct Network<F>(F);

impl<F: Fn(f32, usize, usize) -> [f32; 3]> SliceModel for Network<F> {
    fn rows(&self) -> usize {
        ROWS
    }

    fn cols(&self) -> usize {
        COLS
    }

    fn batch(&self) -> usize {
        1
    }

    fn segment(&mut self, _: &[f32], _: usize, _: &mut [u8]) -> Result<(), EngineError> {
        unreachable!("a second look asks for logits")
    }
}

impl<F: Fn(f32, usize, usize) -> [f32; 3]> LogitsModel for Network<F> {
    fn classes(&self) -> usize {
        3
    }

    fn logits(&mut self, images: &[f32], batch: usize) -> Result<Vec<f32>, EngineError> {
        assert_eq!(
            (images.len(), batch),
            (ROWS * COLS, 1),
            "one slice at a time"
        );
        let mut logits = vec![0.0; 3 * ROWS * COLS];
        for (pixel, &value) in images.iter().enumerate() {
            let found = (self.0)(value, pixel / COLS, pixel % COLS);
            for (class, logit) in found.into_iter().enumerate() {
                logits[class * ROWS * COLS + pixel] = logit;
            }
        }
        Ok(logits)
    }
}

/// By brightness alone, 1 for kidney and 2 for tumour, with this much between the chosen class and the others.
fn by_brightness(margin: f32) -> Network<impl Fn(f32, usize, usize) -> [f32; 3]> {
    Network(move |value, _, _| {
        let mut logits = [0.0; 3];
        logits[value as usize] = margin;
        logits
    })
}

/// Six pixels of kidney and two of tumour, in a corner.
fn image() -> Vec<f32> {
    let mut image = vec![0.0; ROWS * COLS];
    image[..3].fill(1.0);
    image[COLS..COLS + 3].fill(1.0);
    image[2 * COLS..2 * COLS + 2].fill(2.0);
    image
}

fn codes(found: Confidence) -> Vec<String> {
    found
        .warnings()
        .into_iter()
        .map(|warning| warning.code)
        .collect()
}

#[test]
fn a_network_that_is_sure_and_agrees_with_itself_is_not_warned_of() {
    let found = look_again(&mut [by_brightness(9.0)], &[image(), image()])
        .unwrap()
        .unwrap();
    // e^9 of e^9 + 2.
    let probability = 1.0 / (1.0 + 2.0 * (-9.0_f64).exp());
    for near in [found.kidney_probability, found.tumour_probability] {
        assert!((near.unwrap() - probability).abs() < 1e-6);
    }
    let wanted = Confidence {
        slices: 2,
        kidney_unsure_percent: Some(0.0),
        tumour_unsure_percent: Some(0.0),
        flipped_kidney_dice: Some(1.0),
        flipped_tumour_dice: Some(1.0),
        ..found
    };
    assert_eq!(found, wanted);
    assert_eq!(codes(found), [""; 0]);
}

/// Shows RQ-23.
#[test]
fn a_network_that_hesitates_is_told() {
    // e^0.5 of e^0.5 + 2 is 0.45: barely more than each of the others.
    let found = look_again(&mut [by_brightness(0.5)], &[image()])
        .unwrap()
        .unwrap();
    assert!((found.kidney_probability.unwrap() - 0.4519).abs() < 1e-4);
    assert_eq!(found.kidney_unsure_percent, Some(100.0));
    assert_eq!(found.flipped_kidney_dice, Some(1.0));
    let low = WarningCode::LowConfidence.name();
    assert_eq!(codes(found), [low, low], "kidney and tumour");
}

/// It outlines the first five columns of eight whatever they show.
/// Shows RQ-23.
#[test]
fn a_network_that_goes_by_the_place_disagrees_with_mirror_images() {
    let network = Network(|_, _, col| {
        if col < 5 {
            [0.0, 9.0, 0.0]
        } else {
            [9.0, 0.0, 0.0]
        }
    });
    let found = look_again(&mut [network], &[image()]).unwrap().unwrap();
    assert_eq!(
        found.flipped_kidney_dice,
        Some(0.4),
        "columns 0 to 4 and columns 3 to 7 have two of five in common"
    );
    assert_eq!(
        (found.flipped_tumour_dice, found.tumour_probability),
        (None, None)
    );
    assert_eq!(codes(found), [WarningCode::FlipsDisagree.name()]);
}

/// A tumour that mirror images take for kidney is no disagreement about the kidney with its tumour.
#[test]
fn tumour_and_the_whole_are_compared_apart() {
    let network = Network(|value, _, col| match value as usize {
        0 => [9.0, 0.0, 0.0],
        2 if col < 4 => [0.0, 0.0, 9.0],
        _ => [0.0, 9.0, 0.0],
    });
    let found = look_again(&mut [network], &[image()]).unwrap().unwrap();
    assert_eq!(found.flipped_kidney_dice, Some(1.0));
    assert_eq!(found.flipped_tumour_dice, Some(0.0));
}

#[test]
fn the_answer_does_not_depend_on_how_many_share_the_work() {
    let images: Vec<_> = (0..7)
        .map(|shift| {
            let mut image = image();
            image.rotate_right(shift);
            image
        })
        .collect();
    let alone = look_again(&mut [by_brightness(1.3)], &images).unwrap();
    for copies in [2, 3, 9] {
        let mut models: Vec<_> = (0..copies).map(|_| by_brightness(1.3)).collect();
        assert_eq!(look_again(&mut models, &images).unwrap(), alone);
    }
}

#[test]
fn nothing_to_look_at_is_no_confidence_and_what_fails_is_an_error() {
    assert_eq!(look_again(&mut [by_brightness(1.0)], &[]), Ok(None));
    let empty = look_again(&mut [by_brightness(1.0)], &[vec![0.0; ROWS * COLS]])
        .unwrap()
        .unwrap();
    assert_eq!(
        (empty.kidney_probability, empty.flipped_kidney_dice),
        (None, None)
    );
    assert_eq!(codes(empty), [""; 0]);
    let short = look_again(&mut [by_brightness(1.0)], &[vec![0.0; 5]]);
    assert!(matches!(short, Err(EngineError::Length { .. })));
    let broken = Network(|_, _, _| [f32::NAN; 3]);
    let refused = look_again(&mut [broken], &[image()]);
    assert_eq!(refused, Err(EngineError::Logits(ArgmaxError::NotANumber)));
}
