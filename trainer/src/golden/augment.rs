//! Golden kind `augment`: each transform with the parameters that the library drew.
//!
//! A case's JSON names the library's class. Geometric transforms and label maps must agree bit for bit, the others
//! within rounding.

use burn::tensor::Device;

use super::case::compare;
use super::{Case, CaseError, Outcome};
use crate::augment::crop_or_pad::{Sides, crop_or_pad};
use crate::augment::elastic::{jittered, points};
use crate::augment::rotate::turn;
use crate::augment::smooth_field::smooth;
use crate::augment::warp::{self, Affine};
use crate::augment::{
    Sample, Spare, blur, brightness_contrast, compression, flip, gamma, grid_distortion, noise,
};

/// A few roundings of f32 near 1.
const ROUNDING: f64 = 2.5e-7;
/// Bit for bit.
const EXACT: f64 = 0.0;

type Transform = fn(&Case, &mut Sample, &mut Spare) -> Result<(), CaseError>;

/// The library's classes, with the tolerance of the image.
const CLASSES: [(&str, f64, Transform); 20] = [
    ("Flip", EXACT, |case, sample, _| {
        match case.number("/params/d")? {
            d if d < 0.0 => flip::both(sample),
            0.0 => flip::vertical(sample),
            _ => flip::horizontal(sample),
        }
        Ok(())
    }),
    ("HorizontalFlip", EXACT, |_, sample, _| {
        flip::horizontal(sample);
        Ok(())
    }),
    ("VerticalFlip", EXACT, |_, sample, _| {
        flip::vertical(sample);
        Ok(())
    }),
    ("Rotate", EXACT, |case, sample, spare| {
        turn(sample, spare, case.number("/params/angle")?, 1.0, [0.0; 2]);
        Ok(())
    }),
    ("ShiftScaleRotate", EXACT, |case, sample, spare| {
        let number = |name: &str| case.number(&format!("/params/{name}"));
        let shift = [number("dx")?, number("dy")?];
        turn(sample, spare, number("angle")?, number("scale")?, shift);
        Ok(())
    }),
    ("ElasticTransform", EXACT, elastic),
    ("GridDistortion", EXACT, |case, sample, spare| {
        let (x, y) = (
            case.numbers("/params/stepsx")?,
            case.numbers("/params/stepsy")?,
        );
        grid_distortion::distort(sample, spare, &x, &y);
        Ok(())
    }),
    ("crop_and_pad", ROUNDING, |case, sample, spare| {
        let pixels = |side: &str| Ok(case.number(&format!("/params/{side}"))? as i32);
        let sides = Sides {
            top: pixels("top")?,
            right: pixels("right")?,
            bottom: pixels("bottom")?,
            left: pixels("left")?,
        };
        crop_or_pad(sample, spare, sides);
        Ok(())
    }),
    ("RandomBrightness", ROUNDING, linear),
    ("RandomContrast", ROUNDING, linear),
    ("RandomBrightnessContrast", ROUNDING, linear),
    ("RandomGamma", ROUNDING, |case, sample, _| {
        gamma::power(&mut sample.image, case.number("/params/gamma")?);
        Ok(())
    }),
    ("Blur", ROUNDING, |case, sample, spare| {
        let kernel = blur::box_kernel(odd(case)?);
        blur::separable(sample, spare, &kernel);
        Ok(())
    }),
    ("GaussianBlur", ROUNDING, |case, sample, spare| {
        let size = case.number("/params/ksize")? as usize;
        let kernel = blur::gaussian_kernel(size, case.number("/params/sigma")?);
        blur::separable(sample, spare, &kernel);
        Ok(())
    }),
    ("MedianBlur", EXACT, |case, sample, spare| {
        blur::median(sample, spare, odd(case)?);
        Ok(())
    }),
    ("MotionBlur", ROUNDING, |case, sample, spare| {
        let (kernel, [rows, cols]) = case.shaped::<2>("kernel")?;
        if rows != cols || rows % 2 == 0 {
            let reason = format!("the kernel has {rows} x {cols} values, not an odd square");
            return Err(CaseError::Content(reason));
        }
        blur::square(sample, spare, &kernel.values);
        Ok(())
    }),
    ("GaussNoise", ROUNDING, |case, sample, _| {
        noise::add(&mut sample.image, &case.array("noise")?.values);
        Ok(())
    }),
    ("MultiplicativeNoise", ROUNDING, |case, sample, _| {
        let factor = case.array("multiplier")?.doubles.first().copied();
        let factor = factor
            .ok_or_else(|| CaseError::Content("`multiplier` holds no number in f64".into()))?;
        noise::multiply(&mut sample.image, factor);
        Ok(())
    }),
    ("ImageCompression", ROUNDING, |case, sample, _| {
        compression::jpeg(sample, case.number("/params/quality")? as u32);
        Ok(())
    }),
    ("Downscale", EXACT, |case, sample, spare| {
        compression::downscale(sample, spare, case.number("/params/scale")?);
        Ok(())
    }),
];

pub(super) fn run(case: &Case, _: &Device) -> Result<Outcome, CaseError> {
    let class = case.text("/kind")?;
    let Some((_, tolerance, transform)) = CLASSES.iter().find(|(name, ..)| *name == class) else {
        return Ok(Outcome::NotRun {
            reason: format!("no transform answers to `{class}`"),
        });
    };
    let (image, [rows, cols]) = case.shaped::<2>("image")?;
    let mask = case.labels::<2>("mask")?;
    if mask.1 != [rows, cols] || rows * cols == 0 {
        return Err(CaseError::Content("image and mask do not fit".into()));
    }
    let mut sample = Sample::new(rows, cols, image.values.clone(), mask.0);
    let mut spare = Spare::default();
    transform(case, &mut sample, &mut spare)?;
    let labels: Vec<f32> = sample.labels.iter().map(|&l| f32::from(l)).collect();
    let mut checks = vec![
        compare(
            "image_out",
            &sample.image,
            &case.array("image_out")?.values,
            *tolerance,
        ),
        compare("mask_out", &labels, &case.array("mask_out")?.values, EXACT),
    ];
    if class == "ElasticTransform" {
        for (noise, field) in [("noise_x", "dx"), ("noise_y", "dy")] {
            let noise = &case.array(noise)?.doubles;
            if noise.len() != rows * cols {
                return Err(CaseError::Content(
                    "the noise does not fit the image".into(),
                ));
            }
            let alpha = case.number("/effective/alpha")?;
            let found: Vec<f32> = smooth(noise, rows, cols, case.number("/effective/sigma")?)
                .into_iter()
                .map(|v| (alpha * v) as f32)
                .collect();
            let expected = &case.array(field)?.values;
            checks.push(compare(field, &found, expected, ROUNDING * alpha.max(1.0)));
        }
    }
    Ok(Outcome::judge(checks))
}

fn odd(case: &Case) -> Result<usize, CaseError> {
    let size = case.number("/params/ksize")?;
    if size >= 1.0 && size % 2.0 == 1.0 {
        Ok(size as usize)
    } else {
        Err(CaseError::Content(format!("a kernel of {size} pixels")))
    }
}

fn linear(case: &Case, sample: &mut Sample, _: &mut Spare) -> Result<(), CaseError> {
    let (alpha, beta) = (case.number("/params/alpha")?, case.number("/params/beta")?);
    let by_mean = case.meta.pointer("/args/brightness_by_max") == Some(&false.into());
    let apply = if by_mean {
        brightness_contrast::linear_by_mean
    } else {
        brightness_contrast::linear
    };
    apply(&mut sample.image, alpha, beta);
    Ok(())
}

/// The affine map from the stored jitter, the displacement from the stored fields.
fn elastic(case: &Case, sample: &mut Sample, spare: &mut Spare) -> Result<(), CaseError> {
    let (jitter, [3, 2]) = case.shaped::<2>("affine_jitter")? else {
        return Err(CaseError::Content("`affine_jitter` is not 3 x 2".into()));
    };
    let jitter = std::array::from_fn(|i| std::array::from_fn(|j| jitter.values[2 * i + j]));
    let forward = jittered(points(sample.rows, sample.cols), jitter);
    warp::affine(sample, spare, &Affine::inverse_of(forward));
    let (dx, dy) = (case.array("dx")?, case.array("dy")?);
    if dx.values.len() != sample.image.len() || dy.values.len() != sample.image.len() {
        return Err(CaseError::Content("the fields do not fit the image".into()));
    }
    warp::displace(sample, spare, &dx.values, &dy.values);
    Ok(())
}
