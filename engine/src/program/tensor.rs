//! Tensors of a program: names, shapes and data in one of three storages.
//!
//! All arithmetic is done in `f32`; `f16` and `i8` are ways to store convolution weights in fewer bytes.

use half::f16;

use super::TensorId;

/// Most axes a tensor may have; convolution weights need four.
pub const MAX_AXES: usize = 4;

/// How numbers are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Storage {
    /// IEEE 754 binary32, exact.
    F32,
    /// IEEE 754 binary16: half the size, relative error up to 2^-11.
    F16,
    /// Symmetric signed bytes with one scale for each index of the first axis (each output channel):
    /// a quarter of the size, error up to half of `largest magnitude in the channel / 127`.
    I8,
}

impl Storage {
    /// The name used in listings and on command lines.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::I8 => "i8",
        }
    }
}

/// Numbers of a tensor, row-major.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// As they are.
    F32(Vec<f32>),
    /// Half precision.
    F16(Vec<f16>),
    /// `value = byte * scales[index on the first axis]`.
    I8 {
        /// The bytes, in -127 ..= 127.
        values: Vec<i8>,
        /// One scale for each index of the first axis: positive and normal.
        scales: Vec<f32>,
    },
}

/// Why a tensor is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TensorError {
    /// No axis, too many, or one of length 0.
    #[error(
        "tensor {name} has the shape {shape:?}; one to {MAX_AXES} axes of length 1 or more are possible"
    )]
    Shape {
        /// Name of the tensor.
        name: String,
        /// Its shape.
        shape: Vec<usize>,
    },
    /// Shape and data disagree.
    #[error(
        "tensor {name} of shape {shape:?} has {found} numbers or scales where {expected} belong"
    )]
    Length {
        /// Name of the tensor.
        name: String,
        /// Its shape.
        shape: Vec<usize>,
        /// How many the shape asks for.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// A number that no trained network has.
    #[error(
        "tensor {name} holds a number that is infinite, not a number, or out of its storage's range"
    )]
    Value {
        /// Name of the tensor.
        name: String,
    },
}

/// A named array of numbers. Always consistent: data fit the shape and every number is finite.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    name: String,
    shape: Vec<usize>,
    data: Data,
}

impl Tensor {
    /// Makes a tensor from parts and checks that they fit.
    pub fn new(
        name: impl Into<String>,
        shape: Vec<usize>,
        data: Data,
    ) -> Result<Self, TensorError> {
        let name = name.into();
        let elements = match shape
            .iter()
            .try_fold(1_usize, |n, &axis| n.checked_mul(axis))
        {
            Some(n) if n > 0 && (1..=MAX_AXES).contains(&shape.len()) => n,
            _ => return Err(TensorError::Shape { name, shape }),
        };
        let channels = shape[0];
        let (found, finite, scales) = match &data {
            Data::F32(v) => (v.len(), v.iter().all(|x| x.is_finite()), channels),
            Data::F16(v) => (v.len(), v.iter().all(|x| x.is_finite()), channels),
            Data::I8 { values, scales } => (
                values.len(),
                values.iter().all(|&x| x != i8::MIN)
                    && scales
                        .iter()
                        .all(|s| s.is_normal() && *s > 0.0 && (s * 127.0).is_finite()),
                scales.len(),
            ),
        };
        if found != elements {
            return Err(TensorError::Length {
                name,
                shape,
                expected: elements,
                found,
            });
        }
        if scales != channels {
            return Err(TensorError::Length {
                name,
                shape,
                expected: channels,
                found: scales,
            });
        }
        if !finite {
            return Err(TensorError::Value { name });
        }
        Ok(Self { name, shape, data })
    }

    /// Makes an `f32` tensor.
    pub fn f32(
        name: impl Into<String>,
        shape: Vec<usize>,
        values: Vec<f32>,
    ) -> Result<Self, TensorError> {
        Self::new(name, shape, Data::F32(values))
    }

    /// The name; for people, nothing is found by it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Lengths of the axes; output channels come first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The numbers as stored, without a copy.
    pub fn into_data(self) -> Data {
        self.data
    }

    /// The numbers as stored.
    pub const fn data(&self) -> &Data {
        &self.data
    }

    /// How the numbers are stored.
    pub const fn storage(&self) -> Storage {
        match self.data {
            Data::F32(_) => Storage::F32,
            Data::F16(_) => Storage::F16,
            Data::I8 { .. } => Storage::I8,
        }
    }

    /// How many numbers there are.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// Bytes of the stored numbers and scales.
    pub fn bytes(&self) -> usize {
        match &self.data {
            Data::F32(v) => v.len() * 4,
            Data::F16(v) => v.len() * 2,
            Data::I8 { values, scales } => values.len() + scales.len() * 4,
        }
    }

    /// The numbers as `f32`, in the shape's row-major order.
    pub fn to_f32(&self) -> Vec<f32> {
        match &self.data {
            Data::F32(v) => v.clone(),
            Data::F16(v) => v.iter().map(|x| x.to_f32()).collect(),
            Data::I8 { values, scales } => values
                .chunks_exact(values.len() / scales.len())
                .zip(scales)
                .flat_map(|(channel, &scale)| channel.iter().map(move |&x| f32::from(x) * scale))
                .collect(),
        }
    }

    /// The same, without a copy where they are stored like that.
    pub fn into_f32(self) -> Vec<f32> {
        match self.data {
            Data::F32(values) => values,
            _ => self.to_f32(),
        }
    }

    /// The same tensor in another storage, rounded to nearest.
    ///
    /// # Errors
    ///
    /// A number too large for `f16`, or so large that it overflows on the way back from `i8`.
    pub fn stored_as(&self, storage: Storage) -> Result<Self, TensorError> {
        if storage == self.storage() {
            return Ok(self.clone());
        }
        let values = self.to_f32();
        let data = match storage {
            Storage::F32 => Data::F32(values),
            Storage::F16 => Data::F16(values.iter().map(|&x| f16::from_f32(x)).collect()),
            Storage::I8 => quantise(&values, self.shape[0]),
        };
        Self::new(self.name.clone(), self.shape.clone(), data)
    }
}

/// Symmetric quantisation: each channel's largest magnitude becomes 127.
fn quantise(values: &[f32], channels: usize) -> Data {
    let mut bytes = Vec::with_capacity(values.len());
    let mut scales = Vec::with_capacity(channels);
    for channel in values.chunks_exact(values.len() / channels) {
        let largest = channel.iter().fold(0.0_f32, |m, x| m.max(x.abs()));
        let scale = largest / 127.0;
        // An all-zero (or subnormal) channel has no scale of its own; any positive one keeps it zero.
        let scale = if scale.is_normal() { scale } else { 1.0 };
        bytes.extend(
            channel
                .iter()
                .map(|x| (x / scale).round_ties_even().clamp(-127.0, 127.0) as i8),
        );
        scales.push(scale);
    }
    Data::I8 {
        values: bytes,
        scales,
    }
}

/// The tensor table of a program; [`TensorId`]s are positions in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tensors(Vec<Tensor>);

impl Tensors {
    /// Appends a tensor and returns its number.
    pub fn push(&mut self, tensor: Tensor) -> TensorId {
        self.0.push(tensor);
        TensorId(self.0.len() as u32 - 1)
    }

    /// The tensor of that number, if there is one.
    pub fn get(&self, id: TensorId) -> Option<&Tensor> {
        self.0.get(id.index())
    }

    /// How many tensors there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All tensors, by number.
    pub fn iter(&self) -> std::slice::Iter<'_, Tensor> {
        self.0.iter()
    }

    /// Bytes of all stored numbers.
    pub fn bytes(&self) -> usize {
        self.0.iter().map(Tensor::bytes).sum()
    }
}

impl FromIterator<Tensor> for Tensors {
    fn from_iter<T: IntoIterator<Item = Tensor>>(tensors: T) -> Self {
        Self(tensors.into_iter().collect())
    }
}

impl IntoIterator for Tensors {
    type Item = Tensor;
    type IntoIter = std::vec::IntoIter<Tensor>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Tensors {
    type Item = &'a Tensor;
    type IntoIter = std::slice::Iter<'a, Tensor>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
