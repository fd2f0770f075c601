//! Making a model ready on a GPU before the first scan: kernels compiled and chosen, arithmetic chosen, results compared with what must come out.

use std::time::{Duration, Instant};

use ::burn::tensor::Device;

use super::{Executor, ExecutorError, unpanicked};
use crate::device::{self, DeviceError};
use crate::executor::{Arithmetic, Event};
use crate::model::{EngineError, SliceModel};
use crate::package::Model;
use crate::self_test::{self, SelfTestError};

/// Timed batches for each arithmetic, where there is a choice. Where there is none one batch tells what to expect.
const RUNS: usize = 3;

/// How much of f32's time f16 may take: nearer than that they are equal, and which is faster would change from start to start.
const FASTER: f64 = 0.9;

/// Puts a model on a GPU in the arithmetic that is wanted, or in the faster one that the device and the model bear.
///
/// When it returns, every kernel has run, in each size of batch that [`SliceModel::segment`] uses, and the package's own slices
/// gave the labels they must give.
pub(crate) fn ready(
    model: &Model,
    device: &Device,
    wanted: Option<Arithmetic>,
    hear: &mut dyn FnMut(Event),
) -> Result<Executor, ExecutorError> {
    unpanicked(device, || {
        let name = device::name(device);
        let halves = device::has_halves(device);
        let others = match wanted {
            Some(Arithmetic::Int8) if halves => Some("f32, f16 or auto"),
            Some(Arithmetic::Int8) => Some("f32 or auto"),
            Some(Arithmetic::F16) if !halves => Some("f32 or auto"),
            _ => None,
        };
        if let (Some(arithmetic), Some(others)) = (wanted, others) {
            let arithmetic = arithmetic.name();
            return Err(DeviceError::Arithmetic {
                name,
                arithmetic,
                others,
            }
            .into());
        }
        let full = Executor::new(model, device)?;
        let trial = match wanted {
            Some(Arithmetic::F16) => trial(full.in_half_precision(), model, 1, hear),
            None if halves => faster(full, model, hear),
            _ => trial(full, model, 1, hear),
        };
        Ok(trial?.executor)
    })
}

/// An executor that has run.
struct Trial {
    executor: Executor,
    /// Least time for a batch.
    took: Duration,
}

/// The executor in `f16` if it is right and clearly faster than in `f32`.
fn faster(
    full: Executor,
    model: &Model,
    hear: &mut dyn FnMut(Event),
) -> Result<Trial, ExecutorError> {
    let halves = full.clone().in_half_precision();
    let full = trial(full, model, RUNS, hear)?;
    match trial(halves, model, RUNS, hear) {
        Ok(halves) if halves.took < full.took.mul_f64(FASTER) => Ok(halves),
        Ok(_) => Ok(full),
        Err(error) => {
            hear(Event::Declined {
                arithmetic: Arithmetic::F16,
                reason: error.to_string(),
            });
            Ok(full)
        }
    }
}

/// Runs everything once, checks the package's own slices, and takes the time.
fn trial(
    mut executor: Executor,
    model: &Model,
    runs: usize,
    hear: &mut dyn FnMut(Event),
) -> Result<Trial, ExecutorError> {
    let (device, arithmetic) = (device::name(&executor.device), executor.arithmetic());
    let batch = executor.batch();
    hear(Event::WarmingUp {
        device,
        arithmetic,
        batch,
    });
    let begun = Instant::now();
    let slice = pattern(&executor);
    let images = slice.repeat(batch);
    let mut labels = vec![0; batch * executor.rows * executor.cols];
    let pixels = executor.rows * executor.cols;
    executor.segment(&slice, 1, &mut labels[..pixels])?;
    if batch > 1 {
        executor.segment(&images, batch, &mut labels)?;
    }
    check(&mut executor, model)?;
    let warm_up = begun.elapsed();
    let mut took = Duration::MAX;
    for _ in 0..runs {
        let begun = Instant::now();
        executor.segment(&images, batch, &mut labels)?;
        took = took.min(begun.elapsed());
    }
    hear(Event::Ready {
        device,
        arithmetic,
        warm_up,
        slice: took / batch as u32,
    });
    Ok(Trial { executor, took })
}

/// A slice that is neither flat nor noise: values in 0 to 1, with a slow wave down and a fast one across.
fn pattern(executor: &Executor) -> Vec<f32> {
    let (rows, cols) = (executor.rows, executor.cols);
    let pixel = |i: usize| {
        let (row, col) = ((i / cols % rows) as f32, (i % cols) as f32);
        0.5 + 0.3 * (row / 19.0).sin() + 0.2 * ((row + 2.0 * col) / 5.0).cos()
    };
    (0..executor.planes() * rows * cols).map(pixel).collect()
}

/// The package's own slices, if it has any, must get the labels they have in it, but for a few pixels at edges.
fn check(executor: &mut Executor, model: &Model) -> Result<(), ExecutorError> {
    let device = device::name(&executor.device);
    let failed = |error| match error {
        SelfTestError::Engine { source, .. } => source,
        other => EngineError::Device {
            device,
            reason: other.to_string(),
        },
    };
    let found = self_test::compare(model.manifest(), executor).map_err(failed)?;
    let all = self_test::total(&found);
    if all.is_close() {
        return Ok(());
    }
    let self_test::Compared { differ, outlined } = all;
    let reason = format!(
        "{differ} pixels of the package's own slices have another label than where it was made, beside {outlined} of kidney and tumour"
    );
    Err(EngineError::Device { device, reason }.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bundled package; its slices take a second each in f32 on a CPU.
    fn demo() -> Model {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/demo-resnet18.nbx");
        Model::load(path).unwrap().model
    }

    /// Every step of a start, on Burn's CPU backend in place of a GPU.
    /// Shows RQ-41.
    #[test]
    fn a_start_runs_everything_and_checks_the_packages_own_slices() {
        let (model, mut heard) = (demo(), Vec::new());
        let wanted = Some(Arithmetic::F32);
        let executor = ready(&model, &Device::flex(), wanted, &mut |event| {
            heard.push(event);
        });
        assert_eq!(executor.unwrap().arithmetic(), Arithmetic::F32);
        let [
            Event::WarmingUp { batch: 1, .. },
            Event::Ready { arithmetic, .. },
        ] = heard[..]
        else {
            panic!("{heard:?}");
        };
        assert_eq!(arithmetic, Arithmetic::F32);

        // The same network, asked for label maps without anything in them.
        let (mut manifest, program, tensors) = model.into_parts();
        for slice in &mut manifest.self_test {
            slice.labels.fill(0);
        }
        let wrong = Model::new(manifest, program, tensors).unwrap();
        let Err(refused) = ready(&wrong, &Device::flex(), wanted, &mut |_| ()) else {
            panic!("a wrong label map was taken");
        };
        assert!(refused.is_of_the_device(), "{refused}");
        assert!(refused.to_string().contains("own slices"), "{refused}");
    }

    #[test]
    fn integers_are_refused_before_anything_runs() {
        let wanted = Some(Arithmetic::Int8);
        let Err(refused) = ready(&demo(), &Device::flex(), wanted, &mut |_| {
            panic!("it runs");
        }) else {
            panic!("integers on floating point");
        };
        assert!(
            refused.to_string().contains("choose the arithmetic"),
            "{refused}"
        );
    }

    #[test]
    fn a_panic_below_becomes_an_error_with_its_words() {
        let panics = || -> Result<(), EngineError> { panic!("no kernel for sm_12") };
        let error = unpanicked(&Device::flex(), panics).unwrap_err();
        assert!(error.to_string().contains("no kernel for sm_12"), "{error}");
    }
}
