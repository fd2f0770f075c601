//! Reading one golden case, and comparing with it.

use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

use super::Check;

/// Why a case cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum CaseError {
    /// A file cannot be read.
    #[error("{path} cannot be read: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not what its name says.
    #[error("{path} is damaged: {reason}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Something is missing or of the wrong shape.
    #[error("{0}")]
    Content(String),
}

/// An array of a case.
#[derive(Clone, Debug)]
pub struct Array {
    /// Its dimensions.
    pub shape: Vec<usize>,
    /// Its values; integers are exact.
    pub values: Vec<f32>,
    /// The same in f64, if it is stored so; otherwise empty.
    pub doubles: Vec<f64>,
}

/// A golden case in memory.
#[derive(Debug)]
pub struct Case {
    /// Path of the JSON file.
    pub path: PathBuf,
    /// The JSON file's content.
    pub meta: Value,
    arrays: Vec<(String, Array)>,
}

impl Case {
    /// Reads `NAME.json` and the `NAME.safetensors` beside it.
    pub fn load(json: &Path) -> Result<Self, CaseError> {
        let read = |path: &Path| {
            fs::read(path).map_err(|source| CaseError::Read {
                path: path.into(),
                source,
            })
        };
        let damaged = |path: &Path, e: &dyn std::fmt::Display| CaseError::Damaged {
            path: path.into(),
            reason: e.to_string(),
        };
        let meta = serde_json::from_slice(&read(json)?).map_err(|e| damaged(json, &e))?;
        let file = json.with_extension("safetensors");
        let bytes = read(&file)?;
        let tensors = SafeTensors::deserialize(&bytes).map_err(|e| damaged(&file, &e))?;
        let mut arrays = Vec::new();
        for (name, view) in tensors.iter() {
            let data = view.data();
            let doubles: Vec<f64> = match view.dtype() {
                Dtype::F64 => data
                    .as_chunks()
                    .0
                    .iter()
                    .map(|b| f64::from_le_bytes(*b))
                    .collect(),
                _ => Vec::new(),
            };
            let values = match view.dtype() {
                Dtype::F64 => doubles.iter().map(|&v| v as f32).collect(),
                Dtype::F32 => data
                    .as_chunks()
                    .0
                    .iter()
                    .map(|b| f32::from_le_bytes(*b))
                    .collect(),
                Dtype::I16 => data
                    .as_chunks()
                    .0
                    .iter()
                    .map(|b| f32::from(i16::from_le_bytes(*b)))
                    .collect(),
                Dtype::U8 => data.iter().map(|&b| f32::from(b)).collect(),
                other => return Err(damaged(&file, &format!("`{name}` is of type {other:?}"))),
            };
            arrays.push((
                name.to_string(),
                Array {
                    shape: view.shape().to_vec(),
                    values,
                    doubles,
                },
            ));
        }
        Ok(Self {
            path: json.into(),
            meta,
            arrays,
        })
    }

    /// Every array by name.
    pub fn arrays(&self) -> impl Iterator<Item = (&str, &Array)> {
        self.arrays
            .iter()
            .map(|(name, array)| (name.as_str(), array))
    }

    /// The array called `name`, if there is one.
    pub fn find(&self, name: &str) -> Option<&Array> {
        self.arrays()
            .find(|(n, _)| *n == name)
            .map(|(_, array)| array)
    }

    /// The array called `name`.
    pub fn array(&self, name: &str) -> Result<&Array, CaseError> {
        self.find(name)
            .ok_or_else(|| CaseError::Content(format!("the case has no array `{name}`")))
    }

    /// The array called `name`, of `D` dimensions.
    pub fn shaped<const D: usize>(&self, name: &str) -> Result<(&Array, [usize; D]), CaseError> {
        let array = self.array(name)?;
        let shape = array.shape.as_slice().try_into().map_err(|_| {
            CaseError::Content(format!(
                "`{name}` has shape {:?}, not {D} dimensions",
                array.shape
            ))
        })?;
        Ok((array, shape))
    }

    /// The array called `name` on a device.
    pub fn tensor<const D: usize>(
        &self,
        name: &str,
        device: &Device,
    ) -> Result<Tensor<D>, CaseError> {
        let (array, shape) = self.shaped::<D>(name)?;
        Ok(Tensor::from_data(
            TensorData::new(array.values.clone(), shape),
            device,
        ))
    }

    /// The array called `name` as bytes.
    pub fn bytes(&self, name: &str) -> Result<Vec<u8>, CaseError> {
        Ok(self.array(name)?.values.iter().map(|&v| v as u8).collect())
    }

    /// The labels array (0, 1, 2) with its shape.
    pub fn labels<const D: usize>(&self, name: &str) -> Result<(Vec<u8>, [usize; D]), CaseError> {
        let (_, shape) = self.shaped::<D>(name)?;
        let labels = self.bytes(name)?;
        match labels.iter().find(|&&l| l > 2) {
            Some(l) => Err(CaseError::Content(format!("`{name}` holds the label {l}"))),
            None => Ok((labels, shape)),
        }
    }

    /// The number at a JSON pointer.
    pub fn number(&self, pointer: &str) -> Result<f64, CaseError> {
        self.meta
            .pointer(pointer)
            .and_then(Value::as_f64)
            .ok_or_else(|| {
                CaseError::Content(format!("the case's JSON has no number at `{pointer}`"))
            })
    }

    /// The text at a JSON pointer.
    pub fn text(&self, pointer: &str) -> Result<&str, CaseError> {
        self.meta
            .pointer(pointer)
            .and_then(Value::as_str)
            .ok_or_else(|| {
                CaseError::Content(format!("the case's JSON has no text at `{pointer}`"))
            })
    }

    /// The list of numbers at a JSON pointer (nested lists are flattened).
    pub fn numbers(&self, pointer: &str) -> Result<Vec<f64>, CaseError> {
        fn collect(value: &Value, out: &mut Vec<f64>) -> bool {
            match value {
                Value::Array(items) => items.iter().all(|item| collect(item, out)),
                other => other.as_f64().map(|v| out.push(v)).is_some(),
            }
        }
        let mut out = Vec::new();
        let found = self
            .meta
            .pointer(pointer)
            .is_some_and(|v| v.is_array() && collect(v, &mut out));
        found.then_some(out).ok_or_else(|| {
            CaseError::Content(format!("the case's JSON has no numbers at `{pointer}`"))
        })
    }
}

/// Largest absolute difference; infinite where lengths differ, NaN where a value is.
pub(super) fn largest_difference(found: &[f32], expected: &[f32]) -> f64 {
    if found.len() != expected.len() {
        return f64::INFINITY;
    }
    let worse = |worst: f64, d: f64| if d.is_nan() || d > worst { d } else { worst };
    found
        .iter()
        .zip(expected)
        .map(|(a, b)| f64::from((a - b).abs()))
        .fold(0.0, |w, d| if w.is_nan() { w } else { worse(w, d) })
}

/// Largest magnitude of an array.
pub(super) fn magnitude(values: &[f32]) -> f64 {
    values
        .iter()
        .map(|v| f64::from(v.abs()))
        .fold(0.0, f64::max)
}

/// Compares arrays by their largest difference.
pub(super) fn compare(what: &str, found: &[f32], expected: &[f32], tolerance: f64) -> Check {
    Check {
        what: what.into(),
        deviation: largest_difference(found, expected),
        tolerance,
    }
}

/// Compares arrays by their largest difference as a share of the largest expected magnitude.
pub(super) fn compare_relative(
    what: &str,
    found: &[f32],
    expected: &[f32],
    tolerance: f64,
) -> Check {
    let scale = magnitude(expected).max(f64::from(f32::MIN_POSITIVE));
    Check {
        what: what.into(),
        deviation: largest_difference(found, expected) / scale,
        tolerance,
    }
}

/// Compares two numbers by their relative difference.
pub(super) fn compare_number(what: &str, found: f64, expected: f64, tolerance: f64) -> Check {
    let scale = expected.abs().max(f64::from(f32::MIN_POSITIVE));
    Check {
        what: what.into(),
        deviation: (found - expected).abs() / scale,
        tolerance,
    }
}
