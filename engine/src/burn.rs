//! The reference executor: a checked program, operation by operation, on Burn tensors in `f32`, or in `f16` for GPUs that gain from it.
//!
//! One implementation serves every device Burn has. It holds no architecture: what it runs is what the program says.
//! Values are dropped after their last use, so that memory is that of [`Plan::peak_value_bytes`] plus the backend's
//! working space.
//!
//! Between a slice and the program's image lie two steps, and they are done here and nowhere else: the slice is
//! repeated over the program's input channels, and multiplied by the model's input scale.
//!
//! Weights become floating point once, when an executor is made, whatever the package stores. With `f16`, convolutions read and write
//! 16 bits, and so do the values between operations. What has numbers of its own range stays in `f32`: affine operations, whose factors
//! come from variances, and roundings to a grid, which has more numbers than `f16` tells apart.

mod enlarge;
mod ready;

use std::panic::{AssertUnwindSafe, catch_unwind};

use ::burn::tensor::module::{conv2d, max_pool2d};
use ::burn::tensor::ops::{ConvOptions, MaxPoolOptions};
use ::burn::tensor::{Device, FloatDType, Tensor, TensorData, activation};

use crate::device;
use crate::executor::Arithmetic;
use crate::model::{EngineError, LogitsModel, SliceModel, length};
use crate::package::Model;
use crate::program::{self, Op, Plan, Program, ProgramError, TensorId, Tensors, ValueId, argmax};

use enlarge::{double, interleave};
pub(crate) use ready::ready;

/// Slices that go through a GPU at once, if their values fit into [`BATCH_BYTES`].
const BATCH: usize = 8;

/// Bytes of values, in `f32`, that a batch may take. The smallest Jetson shares 4 GB between GPU, CPU and system.
const BATCH_BYTES: u64 = 1 << 30;

/// A program on a device, ready to run.
#[derive(Clone)]
pub struct Executor {
    program: Program,
    plan: Plan,
    weights: Vec<Tensor<4>>,
    /// What convolutions compute in.
    float: FloatDType,
    device: Device,
    rows: usize,
    cols: usize,
    /// The only number of slices, but for one, that goes through the device at once; any number does if it is `None`.
    batch: Option<usize>,
    input_scale: f32,
    neighbours: bool,
}

impl Executor {
    /// Puts a model on a device. It takes slices of the size its preprocessing makes.
    pub fn new(model: &Model, device: &Device) -> Result<Self, ExecutorError> {
        let input = model.manifest().input;
        let size = [input.preprocess.rows, input.preprocess.cols];
        Self::from_program(
            model.program(),
            model.tensors(),
            size,
            f32::from(input.scale),
            device,
        )
    }

    /// Checks a program and puts its tensors on a device, as `f32` whatever their storage.
    ///
    /// `[rows, cols]` is the size of slices that [`SliceModel::segment`] takes; [`logits`](Self::logits) takes any the program accepts.
    /// `input_scale` is what pixels in 0 ..= 1 are multiplied by before they enter the program.
    ///
    /// On a GPU slices go through in batches of one size, eight or as many as fit into 1 GiB of values:
    /// see [`in_batches_of`](Self::in_batches_of).
    pub fn from_program(
        program: &Program,
        tensors: &Tensors,
        [rows, cols]: [usize; 2],
        input_scale: f32,
        device: &Device,
    ) -> Result<Self, ExecutorError> {
        let plan = program.check(tensors)?;
        plan.fits(rows, cols)?;
        let weights = tensors
            .iter()
            .map(|tensor| upload_weight(tensor, device))
            .collect();
        let fit = BATCH_BYTES / plan.peak_value_bytes(rows, cols).max(1);
        // On the CPU one image already keeps all cores busy: four at once took as long for each and 48 MiB more.
        let batch = match device {
            device if *device == Device::flex() => None,
            device if device::is_software(device) => Some(1),
            _ => Some((fit as usize).clamp(1, BATCH)),
        };
        Ok(Self {
            program: program.clone(),
            plan,
            weights,
            float: FloatDType::F32,
            device: device.clone(),
            rows,
            cols,
            batch,
            input_scale,
            neighbours: false,
        })
    }

    /// Whether it reads a slice with its two neighbours, one for each of three input channels, instead of one image for all.
    /// A program without three input channels has no place for neighbours and stays as it is.
    #[must_use]
    pub fn reading_neighbours(mut self, neighbours: bool) -> Self {
        self.neighbours = neighbours && self.program.input_channels == 3;
        self
    }

    /// The same program in `f16`. Weights of convolutions are rounded here, once; those of other operations stay as they are.
    ///
    /// Ask [`device::has_halves`] before. Logits come back as `f32`.
    #[must_use]
    pub fn in_half_precision(mut self) -> Self {
        self.float = FloatDType::F16;
        for op in &self.program.ops {
            if let Op::Conv2d { .. } | Op::UpConv2d { .. } = op {
                for id in op.tensors() {
                    let weight = &mut self.weights[id.index()];
                    *weight = weight.clone().cast(FloatDType::F16);
                }
            }
        }
        self
    }

    /// What convolutions compute in.
    pub fn arithmetic(&self) -> Arithmetic {
        match self.float {
            FloatDType::F16 => Arithmetic::F16,
            _ => Arithmetic::F32,
        }
    }

    /// Lets [`SliceModel::segment`] put slices through in batches of `batch`, at least 1, or one by one, and nothing between.
    ///
    /// A GPU compiles and times its kernels for every size of batch it sees. With two sizes all of that is done before the
    /// first scan; a batch that is not full is filled with empty slices.
    #[must_use]
    pub fn in_batches_of(mut self, batch: usize) -> Self {
        self.batch = Some(batch.max(1));
        self
    }

    /// Logits of `batch` slices: from `[batch, planes, rows, cols]`, normalised to 0 ..= 1, to `[batch, classes, rows, cols]`.
    pub fn logits(
        &mut self,
        images: &[f32],
        batch: usize,
        rows: usize,
        cols: usize,
    ) -> Result<Vec<f32>, EngineError> {
        let images = self.enter(images, [batch, rows, cols])?;
        self.download(self.forward(images))
    }

    /// The program's image: slices scaled, and repeated over the channels unless neighbours fill them.
    fn enter(
        &self,
        images: &[f32],
        [batch, rows, cols]: [usize; 3],
    ) -> Result<Tensor<4>, EngineError> {
        let slices = self.upload(images, [batch, self.planes(), rows, cols])?;
        let channels = self.program.input_channels as usize / self.planes();
        Ok(slices.mul_scalar(self.input_scale).repeat_dim(1, channels))
    }

    /// Logits of values as the program itself reads them, `[batch, input channels, rows, cols]`: neither repeated nor scaled.
    ///
    /// For comparing the program with the network it was lowered from.
    pub fn raw_logits(
        &mut self,
        values: &[f32],
        batch: usize,
        rows: usize,
        cols: usize,
    ) -> Result<Vec<f32>, EngineError> {
        let values = self.upload(
            values,
            [batch, self.program.input_channels as usize, rows, cols],
        )?;
        self.download(self.forward(values))
    }

    /// Labels of `batch` slices of any size the program accepts; `images` are `[batch, planes, rows, cols]`, `labels`
    /// `[batch, rows, cols]`.
    pub fn labels(
        &mut self,
        images: &[f32],
        batch: usize,
        rows: usize,
        cols: usize,
        labels: &mut [u8],
    ) -> Result<(), EngineError> {
        length(
            "the label buffer",
            batch.saturating_mul(rows).saturating_mul(cols),
            labels.len(),
        )?;
        let logits = self.logits(images, batch, rows, cols)?;
        let pixels = rows * cols;
        let classes = self.program.classes as usize;
        for (logits, labels) in logits
            .chunks_exact(classes * pixels)
            .zip(labels.chunks_exact_mut(pixels))
        {
            argmax(logits, labels)?;
        }
        Ok(())
    }

    /// What was found when the program was checked.
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Where it runs.
    pub const fn device(&self) -> &Device {
        &self.device
    }

    fn upload(&self, values: &[f32], shape: [usize; 4]) -> Result<Tensor<4>, EngineError> {
        let [batch, _, rows, cols] = shape;
        if !self.plan.accepts(rows, cols) {
            return Err(EngineError::Size {
                rows,
                cols,
                multiple: self.program.multiple,
            });
        }
        let expected = shape
            .iter()
            .try_fold(1_usize, |n, &axis| n.checked_mul(axis))
            .unwrap_or(usize::MAX);
        length("the batch of images", expected, values.len())?;
        if batch == 0 {
            return Err(EngineError::Length {
                what: "the batch of images",
                expected: rows * cols,
                found: 0,
            });
        }
        Ok(Tensor::from_data(
            TensorData::new(values.to_vec(), shape),
            &self.device,
        ))
    }

    fn download(&self, logits: Tensor<4>) -> Result<Vec<f32>, EngineError> {
        let failed = |reason: String| EngineError::Device {
            device: device::name(&self.device),
            reason,
        };
        let data = logits
            .try_into_data_as::<f32>()
            .map_err(|e| failed(e.to_string()))?;
        data.try_into_vec::<f32>()
            .map_err(|e| failed(e.to_string()))
    }

    fn weight(&self, id: TensorId) -> Tensor<4> {
        self.weights[id.index()].clone()
    }

    /// A value with the numbers that convolutions read.
    fn narrow(&self, value: Tensor<4>) -> Tensor<4> {
        value.cast(self.float)
    }

    /// Runs every operation up to the logits, which are `f32`.
    fn forward(&self, image: Tensor<4>) -> Tensor<4> {
        let mut values = Values(vec![None; self.plan.values()]);
        values.0[ValueId::INPUT.index()] = Some(self.narrow(image));
        for (index, op) in self.program.ops.iter().enumerate() {
            let frees = self.plan.frees(index);
            let result = match *op {
                Op::Conv2d {
                    input,
                    weight,
                    bias,
                    stride,
                    padding,
                    ..
                } => conv2d(
                    values.read(input, frees),
                    self.weight(weight),
                    bias.map(|bias| self.weight(bias).reshape([-1])),
                    ConvOptions::new([stride as usize; 2], [padding as usize; 2], [1, 1], 1),
                ),
                Op::Affine {
                    input,
                    scale,
                    shift,
                    relu,
                    ..
                } => {
                    let (scale, shift) = (wide(self.weight(scale)), wide(self.weight(shift)));
                    let sum = wide(values.read(input, frees)) * scale + shift;
                    self.narrow(if relu { activation::relu(sum) } else { sum })
                }
                Op::Relu { input, .. } => activation::relu(values.read(input, frees)),
                Op::Add { a, b, .. } => {
                    let (a, b) = values.read_two(a, b, frees);
                    a + b
                }
                Op::MaxPool2d {
                    input,
                    kernel,
                    stride,
                    padding,
                    ..
                } => max_pool2d(
                    values.read(input, frees),
                    MaxPoolOptions::new([kernel as usize; 2])
                        .with_stride([stride as usize; 2])
                        .with_padding([padding as usize; 2]),
                ),
                Op::UpConv2d {
                    input,
                    weight,
                    bias,
                    ..
                } => interleave(
                    &conv2d(
                        values.read(input, frees),
                        self.weight(weight),
                        None,
                        ConvOptions::new([1, 1], [1, 1], [1, 1], 1),
                    ),
                    bias.map(|bias| self.weight(bias)),
                ),
                Op::Quantise {
                    input,
                    scale,
                    precision,
                    ..
                } => {
                    let scale = wide(self.weight(scale));
                    let [low, high] = precision.range();
                    let steps = wide(values.read(input, frees)) / scale.clone();
                    self.narrow(steps.round().clamp(low, high) * scale)
                }
                Op::Upsample2x { input, .. } => double(values.read(input, frees)),
                Op::Concat { a, b, .. } => {
                    let (a, b) = values.read_two(a, b, frees);
                    Tensor::cat(vec![a, b], 1)
                }
                // Labels and logits are not touched by it, and it comes last.
                Op::Softmax { .. } => break,
            };
            values.0[op.output().index()] = Some(result);
            for value in frees {
                values.0[value.index()] = None;
            }
        }
        wide(values.read(self.program.output, &[]))
    }

    /// Labels slices that may be fewer than a batch, which is then filled up.
    fn padded(
        &mut self,
        images: &[f32],
        count: usize,
        labels: &mut [u8],
    ) -> Result<(), EngineError> {
        let (rows, cols) = (self.rows, self.cols);
        match self.batch {
            Some(batch) if count > 1 && count < batch => {
                let mut full = images.to_vec();
                full.resize(images.len() / count * batch, 0.0);
                let mut found = vec![0; labels.len() / count * batch];
                self.labels(&full, batch, rows, cols, &mut found)?;
                labels.copy_from_slice(&found[..labels.len()]);
                Ok(())
            }
            _ => self.labels(images, count, rows, cols, labels),
        }
    }
}

impl SliceModel for Executor {
    fn rows(&self) -> usize {
        self.rows
    }

    fn cols(&self) -> usize {
        self.cols
    }

    fn planes(&self) -> usize {
        if self.neighbours { 3 } else { 1 }
    }

    fn batch(&self) -> usize {
        self.batch.unwrap_or(1)
    }

    fn segment(
        &mut self,
        images: &[f32],
        batch: usize,
        labels: &mut [u8],
    ) -> Result<(), EngineError> {
        let pixels = self.rows * self.cols;
        let slice = self.planes() * pixels;
        self.shape().fits(images, batch, labels)?;
        let at_once = self.batch.unwrap_or(batch).max(1);
        let device = self.device.clone();
        unpanicked(&device, || {
            for (images, labels) in images
                .chunks(at_once * slice)
                .zip(labels.chunks_mut(at_once * pixels))
            {
                self.padded(images, images.len() / slice, labels)?;
            }
            Ok(())
        })
    }
}

impl LogitsModel for Executor {
    fn classes(&self) -> usize {
        self.program.classes as usize
    }

    fn logits(&mut self, images: &[f32], batch: usize) -> Result<Vec<f32>, EngineError> {
        let (device, rows, cols) = (self.device.clone(), self.rows, self.cols);
        let work = || Executor::logits(self, images, batch, rows, cols);
        unpanicked(&device, work)
    }
}

/// Runs what a GPU takes part in. Burn panics where a driver or a kernel compiler fails in the middle of the work; that becomes an error.
fn unpanicked<T, E: From<EngineError>>(
    device: &Device,
    work: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str);
        let said = said.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(EngineError::Device {
            device: device::name(device),
            reason: said.unwrap_or("it stopped without a word").to_owned(),
        }
        .into())
    })
}

/// A value in `f32`.
fn wide(value: Tensor<4>) -> Tensor<4> {
    value.cast(FloatDType::F32)
}

/// Copies a tensor to the device: kernels as they are, one number per channel as `[1, channels, 1, 1]`.
fn upload_weight(tensor: &program::Tensor, device: &Device) -> Tensor<4> {
    let shape = match *tensor.shape() {
        [out, channels, rows, cols] => [out, channels, rows, cols],
        // The check has seen every tensor in use, with four axes or with one.
        _ => [1, tensor.elements(), 1, 1],
    };
    Tensor::from_data(TensorData::new(tensor.to_f32(), shape), device)
}

/// Values by number; those not yet defined or already freed are `None`.
struct Values(Vec<Option<Tensor<4>>>);

impl Values {
    /// Hands out a value. One that is freed by this operation is moved, so that the backend may work in place.
    fn read(&mut self, value: ValueId, frees: &[ValueId]) -> Tensor<4> {
        let slot = &mut self.0[value.index()];
        let tensor = if frees.contains(&value) {
            slot.take()
        } else {
            slot.clone()
        };
        tensor.expect("the check found every value defined before it is read and freed after")
    }

    fn read_two(&mut self, a: ValueId, b: ValueId, frees: &[ValueId]) -> (Tensor<4>, Tensor<4>) {
        let first = self.read(a, if a == b { &[] } else { frees });
        (first, self.read(b, frees))
    }
}

/// Why an executor could not be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExecutorError {
    /// The program is not sound.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// The slice size does not fit, or would take too much memory or work.
    #[error(transparent)]
    Fit(#[from] program::FitError),
    /// The device failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The device is not one for it.
    #[error(transparent)]
    Device(#[from] device::DeviceError),
}

impl ExecutorError {
    /// Whether the device is to blame, so that another one may do.
    pub const fn is_of_the_device(&self) -> bool {
        matches!(
            self,
            Self::Device(_) | Self::Engine(EngineError::Device { .. })
        )
    }
}
