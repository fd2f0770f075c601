//! A package's bytes from its parts; the same parts always give the same bytes.

use alloc::vec::Vec;

use super::{
    Dtype, Header, MAJOR, MAX_AXES, MAX_TENSORS, MINOR, Manifest, PackageError, PackageView, Shape,
    Signature, TensorProblem,
    layout::{Layout, Trailer, aligned},
    table::{ENTRY_LEN, MAX_NAME_LEN, is_scale},
};

/// A tensor to be written.
#[derive(Clone, Copy, Debug)]
pub struct TensorSource<'a> {
    /// For people; 1 to 256 bytes.
    pub name: &'a str,
    /// Number format of `data`.
    pub dtype: Dtype,
    /// One to four axes, output channels first.
    pub shape: &'a [u32],
    /// The numbers, row-major and little-endian.
    pub data: &'a [u8],
    /// For i8: one for each index of the first axis, or none. For others: none.
    pub scales: &'a [f32],
}

/// Makes an unsigned package of the current format version.
///
/// `program` is the engine's encoding of the network; `tensors` keep their order. The result has been opened again, so
/// whatever this returns, [`PackageView::open`] and [`PackageView::manifest`] accept.
pub fn write(
    manifest: &Manifest,
    program: &[u8],
    tensors: &[TensorSource<'_>],
) -> Result<Vec<u8>, PackageError> {
    manifest.check()?;
    if tensors.len() > MAX_TENSORS {
        return Err(PackageError::TooManyTensors {
            tensors: tensors.len(),
        });
    }
    let manifest = postcard::to_allocvec(manifest).map_err(|_| PackageError::ManifestEncoding)?;
    let (table, data) = tensor_sections(tensors)?;
    let mut header = Header {
        major: MAJOR,
        minor: MINOR,
        total_len: 0,
        manifest_len: manifest.len() as u64,
        program_len: program.len() as u64,
        table_len: table.len() as u64,
        data_len: data.len() as u64,
        tensors: tensors.len() as u32,
    };
    let layout = Layout::new(&header).ok_or(PackageError::Sections)?;
    header.total_len = layout.total as u64;

    let mut file = Vec::with_capacity(layout.total);
    file.extend_from_slice(&header.bytes());
    for (section, bytes) in [
        (layout.manifest, &manifest[..]),
        (layout.program, program),
        (layout.table, &table),
        (layout.data, &data),
    ] {
        file.resize(section.start, 0);
        file.extend_from_slice(bytes);
    }
    file.resize(layout.trailer, 0);
    let trailer = Trailer {
        hash: *blake3::hash(&file).as_bytes(),
        signature: None,
    };
    file.extend_from_slice(&trailer.bytes());
    PackageView::open(&file)?.manifest()?;
    Ok(file)
}

/// Puts a signature over [`PackageView::hash`] into a package, replacing one that is there.
///
/// The package is checked first and unchanged on an error; the signature itself is taken as it is, except that an
/// empty one is refused.
pub fn attach_signature(file: &mut [u8], signature: Signature) -> Result<(), PackageError> {
    let view = PackageView::open(file)?;
    if signature.key_id == [0; 16] && signature.bytes == [0; 64] {
        return Err(PackageError::Signature);
    }
    let trailer = Trailer {
        hash: *view.hash(),
        signature: Some(signature),
    };
    let bytes = trailer.bytes();
    let start = file.len() - bytes.len();
    file[start..].copy_from_slice(&bytes);
    Ok(())
}

/// The tensor table with its names, and the tensors.
fn tensor_sections(tensors: &[TensorSource<'_>]) -> Result<(Vec<u8>, Vec<u8>), PackageError> {
    let mut table = Vec::with_capacity(tensors.len() * ENTRY_LEN);
    let (mut names, mut data) = (Vec::new(), Vec::new());
    for (index, tensor) in tensors.iter().enumerate() {
        let entry = append(tensor, &mut names, &mut data);
        table.extend_from_slice(&entry.map_err(|problem| PackageError::Tensor { index, problem })?);
    }
    table.append(&mut names);
    Ok((table, data))
}

/// Appends a tensor to the names and the data, and returns its entry.
fn append(
    tensor: &TensorSource<'_>,
    names: &mut Vec<u8>,
    data: &mut Vec<u8>,
) -> Result<[u8; ENTRY_LEN], TensorProblem> {
    let shape = Shape::new(tensor.shape).ok_or(TensorProblem::Shape)?;
    let expected = (shape.elements() * tensor.dtype.size()) as u64;
    let found = tensor.data.len() as u64;
    if found != expected {
        return Err(TensorProblem::Length { expected, found });
    }
    if !(1..=MAX_NAME_LEN).contains(&tensor.name.len()) {
        return Err(TensorProblem::Name);
    }
    let scales = tensor.scales;
    let fitting = tensor.dtype == Dtype::I8 && scales.len() == tensor.shape[0] as usize;
    if !(scales.is_empty() || fitting && scales.iter().all(|&scale| is_scale(scale))) {
        return Err(TensorProblem::Scales);
    }

    let name_start = u32::try_from(names.len()).map_err(|_| TensorProblem::Name)?;
    names.extend_from_slice(tensor.name.as_bytes());
    let offset = append_aligned(data, tensor.data.iter().copied())?;
    let scales_offset = if scales.is_empty() {
        0
    } else {
        append_aligned(data, scales.iter().flat_map(|scale| scale.to_le_bytes()))?
    };

    let mut axes = [0; MAX_AXES];
    axes[..tensor.shape.len()].copy_from_slice(tensor.shape);
    let mut entry = [0; ENTRY_LEN];
    entry[0..8].copy_from_slice(&offset.to_le_bytes());
    entry[8..16].copy_from_slice(&expected.to_le_bytes());
    entry[16..24].copy_from_slice(&scales_offset.to_le_bytes());
    entry[24..28].copy_from_slice(&(scales.len() as u32).to_le_bytes());
    entry[28..32].copy_from_slice(&name_start.to_le_bytes());
    entry[32..34].copy_from_slice(&(tensor.name.len() as u16).to_le_bytes());
    entry[34] = tensor.dtype as u8;
    entry[35] = tensor.shape.len() as u8;
    for (slot, axis) in entry[36..52].chunks_exact_mut(4).zip(axes) {
        slot.copy_from_slice(&axis.to_le_bytes());
    }
    Ok(entry)
}

/// Pads `data` to the alignment, appends the bytes and returns where they begin.
fn append_aligned(
    data: &mut Vec<u8>,
    bytes: impl Iterator<Item = u8>,
) -> Result<u64, TensorProblem> {
    let start = aligned(data.len()).ok_or(TensorProblem::Range)?;
    data.resize(start, 0);
    data.extend(bytes);
    Ok(start as u64)
}
