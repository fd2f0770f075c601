//! Turning a file's raw voxels into HU (`i16`) or labels (`u8`), a few thousand at a time.
//!
//! Used by the reader. All real number types of NIfTI-1 up to 64 bits are understood, in both byte orders, with the header's scaling
//! applied in f64. HU are rounded to the nearest integer (ties to even) and saturated to the range of `i16`.

use nifti::NiftiType;

/// Number types a voxel may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Number {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F32,
    F64,
}

impl Number {
    /// `None` for complex numbers, colours and 128-bit floats.
    pub(crate) fn from_nifti(kind: NiftiType) -> Option<Self> {
        Some(match kind {
            NiftiType::Uint8 => Self::U8,
            NiftiType::Int8 => Self::I8,
            NiftiType::Uint16 => Self::U16,
            NiftiType::Int16 => Self::I16,
            NiftiType::Uint32 => Self::U32,
            NiftiType::Int32 => Self::I32,
            NiftiType::Uint64 => Self::U64,
            NiftiType::Int64 => Self::I64,
            NiftiType::Float32 => Self::F32,
            NiftiType::Float64 => Self::F64,
            _ => return None,
        })
    }

    /// Bytes in the file.
    pub(crate) fn size(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }
}

/// How a file writes its voxels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Encoding {
    pub(crate) number: Number,
    pub(crate) big_endian: bool,
    /// Slope and intercept; `None` leaves the numbers as they are.
    pub(crate) scaling: Option<(f64, f64)>,
}

/// The first voxel of a piece that cannot be what it should be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BadVoxel {
    /// Index within the piece.
    pub(crate) index: usize,
    /// Its value after scaling.
    pub(crate) value: f64,
}

/// What a canonical slice is made of: `i16` for HU, `u8` for labels. Nothing else implements this.
pub trait Voxel: bytemuck::Pod + Default + Send + Sync + sealed::Decode {}

impl Voxel for i16 {}
impl Voxel for u8 {}

pub(crate) mod sealed {
    use super::{BadVoxel, Encoding};

    /// The private half of [`super::Voxel`].
    pub trait Decode: Sized {
        /// Labels, not HU.
        const ARE_LABELS: bool;

        /// Turns `raw`, a whole number of voxels, into as many values.
        fn decode(encoding: &Encoding, raw: &[u8], out: &mut [Self]) -> Result<(), BadVoxel>;

        /// Appends the little-endian bytes of `values`.
        fn encode(values: &[Self], bytes: &mut Vec<u8>);
    }
}

impl sealed::Decode for i16 {
    const ARE_LABELS: bool = false;

    fn decode(encoding: &Encoding, raw: &[u8], out: &mut [Self]) -> Result<(), BadVoxel> {
        if encoding.number == Number::I16 && encoding.scaling.is_none() {
            let read = if encoding.big_endian {
                i16::from_be_bytes
            } else {
                i16::from_le_bytes
            };
            for (value, bytes) in out.iter_mut().zip(raw.as_chunks::<2>().0) {
                *value = read(*bytes);
            }
            return Ok(());
        }
        decode(encoding, raw, out, to_hu)
    }

    fn encode(values: &[Self], bytes: &mut Vec<u8>) {
        bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    }
}

impl sealed::Decode for u8 {
    const ARE_LABELS: bool = true;

    fn decode(encoding: &Encoding, raw: &[u8], out: &mut [Self]) -> Result<(), BadVoxel> {
        if encoding.number == Number::U8
            && encoding.scaling.is_none()
            && raw.iter().fold(0, |all, value| all.max(*value)) <= 2
        {
            out.copy_from_slice(raw);
            return Ok(());
        }
        decode(encoding, raw, out, to_label)
    }

    fn encode(values: &[Self], bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(values);
    }
}

/// 1.5 * 2^52: adding it to a number well below 2^51 leaves that number, rounded to the nearest integer with ties to even, in the
/// low bits of the sum. Unlike `round_ties_even` this needs no instruction newer than SSE2 to run on several voxels at once.
const ROUND: f64 = 6_755_399_441_055_744.0;

/// HU and whether the value was finite.
fn to_hu(value: f64) -> (i16, bool) {
    let clamped = value.clamp(f64::from(i16::MIN), f64::from(i16::MAX));
    ((clamped + ROUND).to_bits() as i16, value.is_finite())
}

/// Label and whether the value was exactly 0, 1 or 2.
fn to_label(value: f64) -> (u8, bool) {
    let label = (value.clamp(0.0, 2.0) + ROUND).to_bits() as u8;
    (label, f64::from(label) == value)
}

fn decode<V>(
    encoding: &Encoding,
    raw: &[u8],
    out: &mut [V],
    convert: impl Fn(f64) -> (V, bool),
) -> Result<(), BadVoxel> {
    macro_rules! pick {
        ($($number:ident $type:ty),*) => {
            match (encoding.number, encoding.big_endian) {
                $(
                    (Number::$number, false) => scale(encoding, raw, out, |b| <$type>::from_le_bytes(b) as f64, convert),
                    (Number::$number, true) => scale(encoding, raw, out, |b| <$type>::from_be_bytes(b) as f64, convert),
                )*
            }
        };
    }
    pick!(U8 u8, I8 i8, U16 u16, I16 i16, U32 u32, I32 i32, U64 u64, I64 i64, F32 f32, F64 f64)
}

fn scale<const N: usize, V>(
    encoding: &Encoding,
    raw: &[u8],
    out: &mut [V],
    read: impl Fn([u8; N]) -> f64,
    convert: impl Fn(f64) -> (V, bool),
) -> Result<(), BadVoxel> {
    let raw = raw.as_chunks::<N>().0;
    match encoding.scaling {
        None => convert_all(raw, out, read, convert),
        Some((slope, intercept)) => {
            convert_all(raw, out, |bytes| read(bytes) * slope + intercept, convert)
        }
    }
}

fn convert_all<const N: usize, V>(
    raw: &[[u8; N]],
    out: &mut [V],
    value: impl Fn([u8; N]) -> f64,
    convert: impl Fn(f64) -> (V, bool),
) -> Result<(), BadVoxel> {
    let mut all_good = true;
    for (out, bytes) in out.iter_mut().zip(raw) {
        let (converted, good) = convert(value(*bytes));
        *out = converted;
        all_good &= good;
    }
    if all_good {
        return Ok(());
    }
    // Only now look for the place: a branch in the loop above would keep it from being vectorised.
    let bad = raw
        .iter()
        .map(|bytes| value(*bytes))
        .enumerate()
        .find(|(_, value)| !convert(*value).1);
    bad.map_or(Ok(()), |(index, value)| Err(BadVoxel { index, value }))
}
