//! Keras' HDF5 files: weights files and whole models, of every age.
//!
//! The root of a weights file (or the group `model_weights` of a whole model) has the attribute `layer_names`; each
//! layer's group has `weight_names`, paths relative to the group. Both are split into `NAME0`, `NAME1`, ... where they
//! would pass HDF5's 64 kB limit. Strings are of fixed length in old files and of variable length in new ones;
//! an empty list has the type f64. Kernels are HWIO in the file.

use std::collections::HashMap;
use std::path::Path;

use hdf5_pure::{AttrValue, DType, File, Group};

use super::published::md5;
use super::{
    Format, ImportError, ImportFault, Source, SourceLayer, SourceValue, afford, most_values,
};

/// Reads the layers of a Keras file.
pub(super) fn read(path: &Path, bytes: Vec<u8>) -> Result<Source, ImportError> {
    let digest = md5(&bytes);
    let mut left = most_values(bytes.len() as u64);
    let damaged =
        |e: &dyn std::fmt::Display| ImportError::new(path, ImportFault::Damaged(e.to_string()));
    let file = File::from_bytes(bytes).map_err(|e| damaged(&e))?;
    let root = file.root();
    let has_names = |group: &Group| {
        let attributes = group.attrs().map_err(|e| damaged(&e))?;
        Ok(list(&attributes, "layer_names").is_some())
    };
    let groups = root.groups().map_err(|e| damaged(&e))?;
    let (format, weights) = if has_names(&root)? {
        (Format::KerasWeights, root)
    } else if groups.iter().any(|g| g == "model_weights") {
        let group = root.group("model_weights").map_err(|e| damaged(&e))?;
        (Format::KerasModel, group)
    } else {
        let keras3 = groups
            .iter()
            .any(|g| g == "layers" || g == "_layer_checkpoint_dependencies");
        let (what, remedy) = if keras3 {
            (
                "is one of Keras 3",
                "save it with Keras 2 (`tf_keras`, `save_format=\"h5\"`)",
            )
        } else {
            (
                "is HDF5 but holds no Keras layers (attribute `layer_names`)",
                "give a file that Keras 2 saved",
            )
        };
        let (what, remedy) = (what.into(), remedy.into());
        return Err(ImportError::new(
            path,
            ImportFault::Content { what, remedy },
        ));
    };
    let attributes = weights.attrs().map_err(|e| damaged(&e))?;
    let names =
        list(&attributes, "layer_names").ok_or_else(|| damaged(&"`layer_names` is missing"))?;
    let mut layers = Vec::new();
    for name in names {
        let group = weights
            .group(&name)
            .map_err(|e| damaged(&format!("layer `{name}`: {e}")))?;
        let attributes = group.attrs().map_err(|e| damaged(&e))?;
        let mut values = Vec::new();
        for label in list(&attributes, "weight_names").unwrap_or_default() {
            let value = array(&group, &label, &mut left);
            values.push(value.map_err(|e| damaged(&format!("`{name}/{label}`: {e}")))?);
        }
        if !values.is_empty() {
            layers.push(SourceLayer { name, values });
        }
    }
    Ok(Source {
        path: path.into(),
        format,
        layers,
        ordered: true,
        md5: Some(digest),
    })
}

/// A list of strings, whole or in numbered parts; `None` if there is none. An empty list of any type is empty.
fn list(attributes: &HashMap<String, AttrValue>, name: &str) -> Option<Vec<String>> {
    if let Some(value) = attributes.get(name) {
        return Some(strings(value));
    }
    let parts: Vec<String> = (0..)
        .map_while(|i| attributes.get(&format!("{name}{i}")))
        .flat_map(strings)
        .collect();
    (!parts.is_empty()).then_some(parts)
}

/// Strings of an attribute of either kind; those of fixed length are padded with zeros.
fn strings(value: &AttrValue) -> Vec<String> {
    let strings = value.as_strings().unwrap_or_default();
    let strings = strings.iter().map(|s| s.trim_end_matches('\0').to_string());
    strings.collect()
}

/// One array, convolution kernels turned from HWIO to OIHW.
fn array(group: &Group, label: &str, left: &mut usize) -> Result<SourceValue, String> {
    let dataset = group.dataset(label).map_err(|e| e.to_string())?;
    let stored = dataset.dtype().map_err(|e| e.to_string())?;
    if !matches!(stored, DType::F32 | DType::F64) {
        return Err(format!("its numbers are {stored:?}, not f32"));
    }
    let shape: Vec<usize> = dataset
        .shape()
        .map_err(|e| e.to_string())?
        .iter()
        .map(|&n| n as usize)
        .collect();
    afford(left, &shape)?;
    let values = dataset.read_f32().map_err(|e| e.to_string())?;
    let expected = shape
        .iter()
        .try_fold(1_usize, |n, &side| n.checked_mul(side));
    if expected != Some(values.len()) {
        return Err(format!(
            "it has {} values for the shape {shape:?}",
            values.len()
        ));
    }
    let (shape, values) = match shape[..] {
        // An empty array has nothing to turn, and its other sides may be too large to multiply.
        [height, width, from, out] if !values.is_empty() => (
            vec![out, from, height, width],
            oihw(&values, height * width, from, out),
        ),
        _ => (shape, values),
    };
    Ok(SourceValue {
        label: label.into(),
        role: None,
        shape,
        values,
    })
}

/// HWIO to OIHW.
fn oihw(values: &[f32], places: usize, from: usize, out: usize) -> Vec<f32> {
    let mut kernel = vec![0.0; values.len()];
    for (place, block) in values.chunks_exact(from * out).enumerate() {
        for (i, row) in block.chunks_exact(out).enumerate() {
            for (o, &v) in row.iter().enumerate() {
                kernel[(o * from + i) * places + place] = v;
            }
        }
    }
    kernel
}
