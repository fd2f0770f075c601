//! Packages from any parts, with the right hash and a trusted signature: what the writer would refuse to write.

use nephrobox_engine::package::Model;
use nephrobox_engine::program::{Data, Program, Tensor};
use nephrobox_shared::package::{Manifest, PublicKey, SecretKey, signing};

/// The key that the box trusts.
fn key() -> SecretKey {
    SecretKey::from_seed(&[7; 32])
}

/// The half that the box knows.
pub(crate) fn trusted() -> [PublicKey; 1] {
    [key().public()]
}

/// A tensor as the table describes it, whether or not that is true.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RawTensor {
    pub(crate) name: Vec<u8>,
    /// 0 is f32, 1 is f16, 2 is i8.
    pub(crate) dtype: u8,
    pub(crate) rank: u8,
    pub(crate) axes: [u32; 4],
    pub(crate) data: Vec<u8>,
    pub(crate) scales: Vec<f32>,
}

impl RawTensor {
    pub(crate) fn of(tensor: &Tensor) -> Self {
        let (dtype, data, scales) = match tensor.data() {
            Data::F32(v) => (0, v.iter().flat_map(|x| x.to_le_bytes()).collect(), vec![]),
            Data::F16(v) => (1, v.iter().flat_map(|x| x.to_le_bytes()).collect(), vec![]),
            Data::I8 { values, scales } => {
                let bytes = values.iter().map(|x| x.to_le_bytes()[0]).collect();
                (2, bytes, scales.clone())
            }
        };
        let mut axes = [0; 4];
        for (axis, &length) in axes.iter_mut().zip(tensor.shape()) {
            *axis = length as u32;
        }
        Self {
            name: tensor.name().into(),
            dtype,
            rank: tensor.shape().len() as u8,
            axes,
            data,
            scales,
        }
    }
}

/// The parts of a package, each as bytes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Parts {
    pub(crate) manifest: Vec<u8>,
    pub(crate) program: Vec<u8>,
    pub(crate) tensors: Vec<RawTensor>,
}

impl Parts {
    pub(crate) fn new(manifest: &Manifest, program: &Program, tensors: &[Tensor]) -> Self {
        Self {
            manifest: postcard::to_stdvec(manifest).unwrap(),
            program: program.to_bytes().unwrap(),
            tensors: tensors.iter().map(RawTensor::of).collect(),
        }
    }

    pub(crate) fn of(model: &Model) -> Self {
        let tensors: Vec<Tensor> = model.tensors().iter().cloned().collect();
        Self::new(model.manifest(), model.program(), &tensors)
    }

    /// The package with its hash. Signed, unless it is so wrong that it cannot be.
    pub(crate) fn signed(&self) -> Vec<u8> {
        let (table, data) = sections(&self.tensors);
        let parts = [&self.manifest, &self.program, &table, &data];
        let mut file = vec![0; 64];
        for part in parts {
            align(&mut file);
            file.extend_from_slice(part);
        }
        align(&mut file);
        file[..8].copy_from_slice(b"NBX1\x02\0\0\0");
        let total = file.len() + 128;
        let lengths = std::iter::once(total).chain(parts.map(Vec::len));
        for (slot, length) in file[8..48].chunks_exact_mut(8).zip(lengths) {
            slot.copy_from_slice(&(length as u64).to_le_bytes());
        }
        file[48..52].copy_from_slice(&(self.tensors.len() as u32).to_le_bytes());
        let hash = blake3::hash(&file);
        file.extend_from_slice(hash.as_bytes());
        file.resize(total, 0);
        let _ = signing::sign(&mut file, &key());
        file
    }
}

fn align(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(64), 0);
}

/// The table of tensors with their names, and their numbers.
fn sections(tensors: &[RawTensor]) -> (Vec<u8>, Vec<u8>) {
    let (mut table, mut names, mut data) = (Vec::new(), Vec::new(), Vec::new());
    for tensor in tensors {
        let mut entry = [0; 64];
        entry[28..32].copy_from_slice(&(names.len() as u32).to_le_bytes());
        entry[32..34].copy_from_slice(&(tensor.name.len() as u16).to_le_bytes());
        names.extend_from_slice(&tensor.name);
        align(&mut data);
        entry[..8].copy_from_slice(&(data.len() as u64).to_le_bytes());
        entry[8..16].copy_from_slice(&(tensor.data.len() as u64).to_le_bytes());
        data.extend_from_slice(&tensor.data);
        if !tensor.scales.is_empty() {
            align(&mut data);
            entry[16..24].copy_from_slice(&(data.len() as u64).to_le_bytes());
            entry[24..28].copy_from_slice(&(tensor.scales.len() as u32).to_le_bytes());
            data.extend(tensor.scales.iter().flat_map(|scale| scale.to_le_bytes()));
        }
        entry[34] = tensor.dtype;
        entry[35] = tensor.rank;
        for (slot, axis) in entry[36..52].chunks_exact_mut(4).zip(tensor.axes) {
            slot.copy_from_slice(&axis.to_le_bytes());
        }
        table.extend_from_slice(&entry);
    }
    table.append(&mut names);
    (table, data)
}

#[test]
fn what_is_forged_from_a_models_parts_is_the_package_that_the_writer_makes() {
    let model = crate::road::small();
    let mut written = model.to_bytes().unwrap();
    signing::sign(&mut written, &key()).unwrap();
    assert_eq!(Parts::of(&model).signed(), written);
}
