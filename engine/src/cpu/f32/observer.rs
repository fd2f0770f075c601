//! A network with all its values in sight.

use super::{Core, EngineError, NetworkError, Settings, planes};
use crate::program::{Program, Tensors, ValueId};

/// Runs a program operation by operation, as it is written, and shows every value: for calibration, and as a yardstick for the
/// rewritten and fused [`Network`](super::Network). Its kernels are the same.
pub struct Observer {
    core: Core,
    /// Channels of each value.
    channels: Vec<usize>,
}

impl Observer {
    /// Prepares a program for slices of `[rows, cols]` pixels, and consumes its tensors.
    pub fn new(
        program: &Program,
        tensors: Tensors,
        size: [usize; 2],
        settings: Settings,
    ) -> Result<Self, NetworkError> {
        let plan = program.check(&tensors)?;
        plan.fits(size[0], size[1])?;
        let planes = if settings.neighbours {
            program.input_channels as usize
        } else {
            1
        };
        let values = 0..plan.values() as u32;
        Ok(Self {
            core: Core::new(program, tensors, size, planes, settings, false)?,
            channels: values
                .map(|value| plan.shape(ValueId(value)).channels)
                .collect(),
        })
    }

    /// Shows the values of `batch` slices, `[batch, planes, rows, cols]` normalised to 0 ..= 1: image after image those for
    /// which `wanted` is true, in the program's order, as `[channels, rows, cols]`.
    ///
    /// The image is scaled by then. The probabilities of a final softmax are not computed and not shown.
    pub fn observe(
        &mut self,
        images: &[f32],
        batch: usize,
        wanted: &dyn Fn(ValueId) -> bool,
        show: &mut dyn FnMut(ValueId, &[f32]),
    ) -> Result<(), EngineError> {
        let mut image_by_channels = Vec::new();
        let Self { core, channels } = self;
        let mut hand_out = |core: &Core, value: ValueId| {
            if let Some(region) = core.values[value.index()]
                && wanted(value)
            {
                image_by_channels.clear();
                let values = core.schedule.read(region);
                planes(values, channels[value.index()], &mut image_by_channels);
                show(value, &image_by_channels);
            }
        };
        for image in core.slices(images, batch)? {
            core.enter(image, core.scale);
            hand_out(core, ValueId::INPUT);
            for layer in 0..core.layers.len() {
                let (values, steps) = &core.layers[layer];
                core.schedule.run(&core.team, steps.clone());
                for &value in values {
                    hand_out(core, value);
                }
            }
        }
        Ok(())
    }

    /// As [`LogitsModel::logits`](crate::model::LogitsModel::logits).
    pub fn logits(&mut self, images: &[f32], batch: usize) -> Result<Vec<f32>, EngineError> {
        self.core.logits(images, batch, self.core.scale)
    }

    /// As [`Network::raw_logits`](super::Network::raw_logits).
    pub fn raw_logits(&mut self, values: &[f32], batch: usize) -> Result<Vec<f32>, EngineError> {
        self.core.logits(values, batch, 1.0)
    }
}
