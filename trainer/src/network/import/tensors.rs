//! Files of named tensors: safetensors and PyTorch checkpoints, with Keras' names or torchvision's.

use std::collections::BTreeMap;
use std::path::Path;

use half::{bf16, f16};
use pytorch_reader::{DType, PytorchReader, Tensor};
use safetensors::SafeTensors;
use safetensors::tensor::Dtype;

use super::super::graph::Role;
use super::{
    Format, ImportError, ImportFault, Source, SourceLayer, SourceValue, afford, most_values,
};

/// Keys under which training scripts put the weights beside other things.
const NESTED: [&str; 4] = ["state_dict", "model_state_dict", "model", "net"];

/// What the names of averaged variables begin with in a checkpoint of `nephrotrain train`.
pub const AVERAGE: &str = "average/";

/// A tensor of either format, its bytes little endian.
struct Raw {
    shape: Vec<usize>,
    numbers: Numbers,
    bytes: Vec<u8>,
}

#[derive(Clone, Copy)]
enum Numbers {
    F16,
    Bf16,
    F32,
    F64,
    Whole,
}

/// Reads the layers of a safetensors file.
pub(super) fn safetensors(path: &Path, bytes: &[u8]) -> Result<Source, ImportError> {
    let damaged =
        |e: &dyn std::fmt::Display| ImportError::new(path, ImportFault::Damaged(e.to_string()));
    let file = SafeTensors::deserialize(bytes).map_err(|e| damaged(&e))?;
    let mut tensors = BTreeMap::new();
    for (name, view) in file.iter() {
        let numbers = match view.dtype() {
            Dtype::F16 => Numbers::F16,
            Dtype::BF16 => Numbers::Bf16,
            Dtype::F32 => Numbers::F32,
            Dtype::F64 => Numbers::F64,
            _ => Numbers::Whole,
        };
        let raw = Raw {
            shape: view.shape().to_vec(),
            numbers,
            bytes: view.data().to_vec(),
        };
        tensors.insert(name.to_string(), raw);
    }
    prefer_averages(&mut tensors);
    source(path, Format::Safetensors, tensors)
}

/// A run that averages its weights keeps both: the averaged ones are those that were judged.
fn prefer_averages(tensors: &mut BTreeMap<String, Raw>) {
    let averages: Vec<(String, String)> = tensors
        .keys()
        .filter_map(|name| Some((name.clone(), name.strip_prefix(AVERAGE)?.to_owned())))
        .collect();
    for (name, plain) in averages {
        if let Some(value) = tensors.remove(&name) {
            tensors.insert(plain, value);
        }
    }
}

/// Reads the layers of a PyTorch checkpoint; the pickle is parsed as data, nothing in it is run.
pub(super) fn pytorch(path: &Path, bytes: u64) -> Result<Source, ImportError> {
    let damaged =
        |e: &dyn std::fmt::Display| ImportError::new(path, ImportFault::Damaged(e.to_string()));
    let whole = PytorchReader::new(path).map(PytorchReader::into_tensors);
    // A training script's checkpoint: the weights lie one level down, other things beside them.
    let flat = whole.as_ref().is_ok_and(|tensors| !tensors.is_empty());
    let nested = || {
        NESTED.iter().find_map(|key| {
            let reader = PytorchReader::with_top_level_key(path, key).ok()?;
            (!reader.is_empty()).then(|| reader.into_tensors())
        })
    };
    let found = if flat {
        whole
    } else {
        nested().map_or(whole, Ok)
    };
    let mut tensors = BTreeMap::new();
    let mut left = most_values(bytes);
    for (name, tensor) in found.map_err(|e| damaged(&e))? {
        afford(&mut left, tensor.shape()).map_err(|e| damaged(&format!("`{name}`: {e}")))?;
        let raw = raw(&tensor).map_err(|e| damaged(&e))?;
        tensors.insert(name, raw);
    }
    source(path, Format::PyTorch, tensors)
}

fn raw(tensor: &Tensor) -> std::io::Result<Raw> {
    Ok(Raw {
        shape: tensor.shape().to_vec(),
        numbers: match tensor.dtype() {
            DType::F16 => Numbers::F16,
            DType::BF16 => Numbers::Bf16,
            DType::F32 => Numbers::F32,
            DType::F64 => Numbers::F64,
            _ => Numbers::Whole,
        },
        bytes: tensor.read()?,
    })
}

/// Groups tensors by layer. A prefix that a wrapper put before all encoder names (`module.`, `encoder.`) is dropped.
fn source(
    path: &Path,
    format: Format,
    tensors: BTreeMap<String, Raw>,
) -> Result<Source, ImportError> {
    const MARK: &str = "layer1.0.conv1.weight";
    let prefix = tensors
        .keys()
        .find_map(|name| name.strip_suffix(MARK))
        .unwrap_or_default()
        .to_string();
    let mut layers: Vec<SourceLayer> = Vec::new();
    for (name, raw) in tensors {
        let name = name.strip_prefix(&prefix).unwrap_or(&name);
        let Some((layer, part)) = split(name) else {
            continue;
        };
        if matches!(raw.numbers, Numbers::Whole) {
            continue; // `num_batches_tracked`
        }
        let value = SourceValue {
            label: name.into(),
            role: role(part, raw.shape.len()),
            values: floats(&raw),
            shape: raw.shape,
        };
        match layers.iter_mut().find(|l| l.name == layer) {
            Some(known) => known.values.push(value),
            None => layers.push(SourceLayer {
                name: layer.into(),
                values: vec![value],
            }),
        }
    }
    for layer in &mut layers {
        let is_norm = layer
            .values
            .iter()
            .any(|v| v.role == Some(Role::MovingMean));
        for value in &mut layer.values {
            if is_norm && value.role == Some(Role::Bias) {
                value.role = Some(Role::Beta); // PyTorch calls both `bias`
            }
        }
    }
    if layers.is_empty() {
        let what = "holds no weights under Keras' or torchvision's names".into();
        let remedy = "give a file of a ResNet or of `nephrotrain train`".into();
        return Err(ImportError::new(
            path,
            ImportFault::Content { what, remedy },
        ));
    }
    Ok(Source {
        path: path.into(),
        format,
        layers,
        ordered: false,
        md5: None,
    })
}

/// `LAYER/ROLE`, with or without Keras' `:0`, or `LAYER.ROLE`. An optimiser's moments are no layers.
fn split(name: &str) -> Option<(&str, &str)> {
    if name.starts_with("adam.") {
        return None;
    }
    let name = name.strip_suffix(":0").unwrap_or(name);
    name.rsplit_once('/').or_else(|| name.rsplit_once('.'))
}

fn role(part: &str, rank: usize) -> Option<Role> {
    Some(match part {
        "gamma" => Role::Gamma,
        "beta" => Role::Beta,
        "moving_mean" | "running_mean" => Role::MovingMean,
        "moving_variance" | "running_var" => Role::MovingVariance,
        "bias" => Role::Bias,
        "weight" if rank == 1 => Role::Gamma,
        "kernel" | "weight" => Role::Kernel,
        _ => return None,
    })
}

fn floats(raw: &Raw) -> Vec<f32> {
    let bytes = &raw.bytes;
    match raw.numbers {
        Numbers::F16 => (bytes.as_chunks().0.iter())
            .map(|b| f16::from_le_bytes(*b).to_f32())
            .collect(),
        Numbers::Bf16 => (bytes.as_chunks().0.iter())
            .map(|b| bf16::from_le_bytes(*b).to_f32())
            .collect(),
        Numbers::F32 => (bytes.as_chunks().0.iter())
            .map(|b| f32::from_le_bytes(*b))
            .collect(),
        Numbers::F64 => (bytes.as_chunks().0.iter())
            .map(|b| f64::from_le_bytes(*b) as f32)
            .collect(),
        Numbers::Whole => Vec::new(),
    }
}
