//! The tensor table: one entry of 64 bytes for each tensor, then their names.

use super::{
    ALIGNMENT, TensorProblem,
    layout::{u16_at, u32_at, u64_at},
};

/// Most axes a tensor may have; convolution weights need four.
pub const MAX_AXES: usize = 4;
/// Most tensors a package may have.
pub const MAX_TENSORS: usize = 65_536;

pub(super) const ENTRY_LEN: usize = 64;
pub(super) const MAX_NAME_LEN: usize = 256;
const SCALE_LEN: u64 = 4;

/// How a tensor's numbers are stored, little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Dtype {
    /// IEEE 754 binary32.
    F32 = 0,
    /// IEEE 754 binary16.
    F16 = 1,
    /// Signed bytes, as a rule with one f32 scale for each index of the first axis: `value = byte * scale`.
    I8 = 2,
}

impl Dtype {
    /// The dtype of a table entry's code.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::F32),
            1 => Some(Self::F16),
            2 => Some(Self::I8),
            _ => None,
        }
    }

    /// Bytes of one number.
    pub const fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
            Self::I8 => 1,
        }
    }

    /// The name used in listings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::I8 => "i8",
        }
    }
}

/// The lengths of a tensor's axes, one to four of them, each at least 1.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    axes: [u32; MAX_AXES],
    len: usize,
}

impl Shape {
    /// Takes the lengths; `None` unless there are one to four, each at least 1, with a product that can be counted.
    pub fn new(axes: &[u32]) -> Option<Self> {
        let mut shape = Self {
            axes: [0; MAX_AXES],
            len: axes.len(),
        };
        shape.axes.get_mut(..axes.len())?.copy_from_slice(axes);
        if axes.is_empty() || axes.contains(&0) {
            return None;
        }
        let elements = axes
            .iter()
            .try_fold(1_u64, |n, &axis| n.checked_mul(u64::from(axis)))?;
        // Room for the largest number format, so that a length in bytes never overflows.
        usize::try_from(elements.checked_mul(4)?).ok()?;
        Some(shape)
    }

    /// The lengths, output channels first.
    pub fn axes(&self) -> &[u32] {
        &self.axes[..self.len]
    }

    /// How many numbers there are.
    pub fn elements(&self) -> usize {
        self.axes().iter().map(|&axis| axis as usize).product()
    }
}

impl core::fmt::Debug for Shape {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.axes().fmt(f)
    }
}

/// One checked entry of the tensor table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TensorInfo<'a> {
    /// For people; tensors are found by their position.
    pub name: &'a str,
    /// Number format.
    pub dtype: Dtype,
    /// Lengths of the axes.
    pub shape: Shape,
    /// Position of the numbers from the start of the tensor section; a multiple of 64.
    pub offset: usize,
    /// Number of scales: 0, or for i8 the length of the first axis.
    pub scales: usize,
    /// Position of the scales from the start of the tensor section; a multiple of 64, 0 without scales.
    pub scales_offset: usize,
}

impl TensorInfo<'_> {
    /// Bytes of the numbers, scales not included.
    pub fn data_len(&self) -> usize {
        self.shape.elements() * self.dtype.size()
    }

    /// Where the numbers and scales end.
    pub(super) fn end(&self) -> usize {
        if self.scales == 0 {
            self.offset + self.data_len()
        } else {
            self.scales_offset + self.scales * SCALE_LEN as usize
        }
    }
}

/// A tensor's entry together with its bytes in the file.
#[derive(Clone, Copy, Debug)]
pub struct TensorView<'a> {
    /// The table's entry.
    pub info: TensorInfo<'a>,
    /// The numbers, row-major and little-endian.
    pub data: &'a [u8],
    pub(super) scales: &'a [u8],
}

impl<'a> TensorView<'a> {
    /// The scales, one for each index of the first axis, each finite and above 0; none where the numbers have no scale.
    pub fn scales(&self) -> impl ExactSizeIterator<Item = f32> + use<'a> {
        let (scales, _) = self.scales.as_chunks::<4>();
        scales.iter().map(|bytes| f32::from_le_bytes(*bytes))
    }
}

/// The tensor table's bytes, at least `tensors` entries long.
#[derive(Clone, Copy)]
pub(super) struct Table<'a> {
    pub(super) entries: &'a [u8],
    pub(super) names: &'a [u8],
    pub(super) data: &'a [u8],
}

impl<'a> Table<'a> {
    /// Reads and checks one entry; `free` is where the tensors before it end.
    pub(super) fn tensor(
        &self,
        index: usize,
        free: usize,
    ) -> Result<TensorView<'a>, TensorProblem> {
        let start = index * ENTRY_LEN;
        let entry = self
            .entries
            .get(start..start + ENTRY_LEN)
            .ok_or(TensorProblem::Range)?;

        let name_start = u32_at(entry, 28) as usize;
        let name_len = usize::from(u16_at(entry, 32));
        let name = name_start
            .checked_add(name_len)
            .and_then(|end| self.names.get(name_start..end))
            .filter(|name| (1..=MAX_NAME_LEN).contains(&name.len()))
            .and_then(|name| core::str::from_utf8(name).ok())
            .ok_or(TensorProblem::Name)?;

        let dtype = Dtype::from_code(entry[34]).ok_or(TensorProblem::Dtype(entry[34]))?;
        let mut axes = [0; MAX_AXES];
        for (axis, slot) in axes.iter_mut().enumerate() {
            *slot = u32_at(entry, 36 + 4 * axis);
        }
        let rank = usize::from(entry[35]);
        let shape = axes
            .get(..rank)
            .and_then(Shape::new)
            .ok_or(TensorProblem::Shape)?;
        if axes[rank..].iter().any(|&axis| axis != 0) {
            return Err(TensorProblem::Shape);
        }

        let expected = (shape.elements() * dtype.size()) as u64;
        let found = u64_at(entry, 8);
        if found != expected {
            return Err(TensorProblem::Length { expected, found });
        }
        let (offset, data) = self.piece(u64_at(entry, 0), expected, free)?;

        let scale_count = u32_at(entry, 24);
        let scales_position = u64_at(entry, 16);
        let (scales_offset, scales) = if scale_count == 0 {
            if scales_position != 0 {
                return Err(TensorProblem::Scales);
            }
            (0, &[][..])
        } else {
            if dtype != Dtype::I8 || scale_count != axes[0] {
                return Err(TensorProblem::Scales);
            }
            self.piece(
                scales_position,
                u64::from(scale_count) * SCALE_LEN,
                offset + data.len(),
            )?
        };
        let view = TensorView {
            info: TensorInfo {
                name,
                dtype,
                shape,
                offset,
                scales: scale_count as usize,
                scales_offset,
            },
            data,
            scales,
        };
        if view.scales().all(is_scale) {
            Ok(view)
        } else {
            Err(TensorProblem::Scales)
        }
    }

    /// Bytes of the tensor section that begin aligned and not before `free`.
    fn piece(
        &self,
        offset: u64,
        len: u64,
        free: usize,
    ) -> Result<(usize, &'a [u8]), TensorProblem> {
        let range = || {
            let start = usize::try_from(offset).ok()?;
            let end = start.checked_add(usize::try_from(len).ok()?)?;
            (start.is_multiple_of(ALIGNMENT) && start >= free).then_some(start..end)
        };
        let range = range().ok_or(TensorProblem::Range)?;
        let start = range.start;
        Ok((start, self.data.get(range).ok_or(TensorProblem::Range)?))
    }
}

/// Whether a number can be a scale.
pub(super) fn is_scale(scale: f32) -> bool {
    scale.is_finite() && scale > 0.0
}
