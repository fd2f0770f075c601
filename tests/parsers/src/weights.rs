//! Weights of others: Keras' HDF5, safetensors, PyTorch.

use std::fs;

use nephrotrain::network::import::Source;

/// Reads a file of this name and asks everything that the trainer asks of it.
fn read(name: &str, bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(name);
    fs::write(&path, bytes).expect("written");
    let Ok(source) = Source::read(&path) else {
        return;
    };
    assert!(!source.describe().is_empty());
    let _ = source.expects();
    let _ = source.published();
    for layer in &source.layers {
        for value in &layer.values {
            let elements: usize = value.shape.iter().product();
            assert_eq!(elements, value.values.len(), "{}", value.label);
        }
    }
}

/// What a file of another kind begins with cannot be of use to the parser under attack.
fn begins(bytes: &[u8], starts: &[&[u8]]) -> bool {
    starts.iter().any(|start| bytes.starts_with(start))
}

/// A file of HDF5, as Keras writes it.
pub fn keras_h5(bytes: &[u8]) {
    if begins(bytes, &[b"\x89HDF"]) {
        read("weights.h5", bytes);
    }
}

/// A file of safetensors.
pub fn safetensors(bytes: &[u8]) {
    read("weights.safetensors", bytes);
}

/// A file of PyTorch: a zip, or a pickle as older versions wrote it.
pub fn torch_pth(bytes: &[u8]) {
    if begins(bytes, &[b"PK", b"\x80"]) {
        read("weights.pth", bytes);
    }
}
