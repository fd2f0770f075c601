//! A package as JSON.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use crate::failure::{Exit, Failure, told};
use crate::package::{Package, Signed};

/// The whole document, with a line break at its end.
pub(super) fn document(path: &Path, package: &Package) -> Result<String, Failure> {
    let unwritable = |error| {
        told(
            Exit::Internal,
            &error,
            path.display(),
            "report this; it is a fault in nephroctl",
        )
    };
    let loaded = &package.loaded;
    let model = &loaded.model;
    let mut manifest = serde_json::to_value(model.manifest()).map_err(unwritable)?;
    // The slices of the self-test are megabytes of numbers that nobody reads; their sizes stand for them.
    manifest["self_test"] = model
        .manifest()
        .self_test
        .iter()
        .map(|test| json!({ "rows": test.rows, "cols": test.cols }))
        .collect();
    let [rows, cols] = package.input_size();
    let mut operations = BTreeMap::new();
    for op in &model.program().ops {
        *operations.entry(op.name()).or_insert(0_usize) += 1;
    }
    let tensors: Vec<Value> = model
        .tensors()
        .iter()
        .map(|tensor| {
            json!({
                "name": tensor.name(),
                "storage": tensor.storage().name(),
                "shape": tensor.shape(),
                "bytes": tensor.bytes(),
            })
        })
        .collect();
    let document = json!({
        "file": path.display().to_string(),
        "format": { "major": package.header.major, "minor": package.header.minor },
        "bytes": package.header.total_len,
        "blake3": loaded.hash.to_string(),
        "signature": package.signed.key().map(|key| json!({
            "key_id": key.to_string(),
            "verified": matches!(package.signed, Signed::Verified(_)),
        })),
        "manifest": manifest,
        "program": {
            "input_channels": model.program().input_channels,
            "classes": model.program().classes,
            "multiple": model.program().multiple,
            "operations": operations,
            "peak_value_bytes": model.plan().peak_value_bytes(rows, cols),
        },
        "tensors": tensors,
    });
    let mut words = serde_json::to_string_pretty(&document).map_err(unwritable)?;
    words.push('\n');
    Ok(words)
}
