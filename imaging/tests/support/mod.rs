//! Volumes built byte by byte, without the crate under test: headers after nifti1.h, voxels in any type and order of axes.

#![allow(dead_code)] // each test program uses its own part

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

/// NIfTI-1 codes of the number types.
pub(crate) const U8: i16 = 2;
pub(crate) const I16: i16 = 4;
pub(crate) const I32: i16 = 8;
pub(crate) const F32: i16 = 16;
pub(crate) const F64: i16 = 64;
pub(crate) const I8: i16 = 256;
pub(crate) const U16: i16 = 512;
pub(crate) const U32: i16 = 768;
pub(crate) const I64: i16 = 1024;
pub(crate) const U64: i16 = 1280;

/// A header in which everything can be wrong, and the bytes behind it.
#[derive(Clone, Debug)]
pub(crate) struct RawNifti {
    pub(crate) sizeof_hdr: i32,
    pub(crate) dim: [i16; 8],
    pub(crate) datatype: i16,
    pub(crate) bitpix: i16,
    pub(crate) pixdim: [f32; 8],
    pub(crate) vox_offset: f32,
    pub(crate) slope: f32,
    pub(crate) intercept: f32,
    pub(crate) xyzt_units: u8,
    pub(crate) qform_code: i16,
    pub(crate) sform_code: i16,
    pub(crate) quatern: [f32; 3],
    pub(crate) qoffset: [f32; 3],
    pub(crate) srow: [[f32; 4]; 3],
    pub(crate) magic: [u8; 4],
    pub(crate) big_endian: bool,
    /// Between the header and the voxels; four bytes announce extensions.
    pub(crate) extension: Vec<u8>,
    pub(crate) voxels: Vec<u8>,
}

impl RawNifti {
    /// `values` in the file's order; the affine is KiTS19's with 1 mm voxels: slices, rows, columns are axes 0, 1, 2.
    pub(crate) fn new(
        shape: [usize; 3],
        datatype: i16,
        values: impl IntoIterator<Item = f64>,
    ) -> Self {
        let mut raw = Self {
            sizeof_hdr: 348,
            dim: [
                3,
                shape[0] as i16,
                shape[1] as i16,
                shape[2] as i16,
                1,
                1,
                1,
                1,
            ],
            datatype,
            bitpix: 8 * size(datatype) as i16,
            pixdim: [1.0; 8],
            vox_offset: 352.0,
            slope: f32::NAN,
            intercept: f32::NAN,
            xyzt_units: 2,
            qform_code: 0,
            sform_code: 2,
            quatern: [0.0; 3],
            qoffset: [0.0; 3],
            srow: [
                [0.0, 0.0, -1.0, 0.0],
                [0.0, -1.0, 0.0, 0.0],
                [-1.0, 0.0, 0.0, 0.0],
            ],
            magic: *b"n+1\0",
            big_endian: false,
            extension: vec![0; 4],
            voxels: Vec::new(),
        };
        raw.set(values);
        raw
    }

    /// Replaces the voxels; call after changing the type or byte order.
    pub(crate) fn set(&mut self, values: impl IntoIterator<Item = f64>) {
        self.voxels.clear();
        for value in values {
            let mut bytes = match self.datatype {
                U8 => (value as u8).to_le_bytes().to_vec(),
                I8 => (value as i8).to_le_bytes().to_vec(),
                I16 => (value as i16).to_le_bytes().to_vec(),
                U16 => (value as u16).to_le_bytes().to_vec(),
                I32 => (value as i32).to_le_bytes().to_vec(),
                U32 => (value as u32).to_le_bytes().to_vec(),
                I64 => (value as i64).to_le_bytes().to_vec(),
                U64 => (value as u64).to_le_bytes().to_vec(),
                F32 => (value as f32).to_le_bytes().to_vec(),
                _ => value.to_le_bytes().to_vec(),
            };
            if self.big_endian {
                bytes.reverse();
            }
            self.voxels.extend(bytes);
        }
    }

    pub(crate) fn header(&self) -> Vec<u8> {
        let mut raw = vec![0; 348];
        let mut put = |at: usize, mut bytes: Vec<u8>| {
            if self.big_endian {
                bytes.reverse();
            }
            raw[at..at + bytes.len()].copy_from_slice(&bytes);
        };
        put(0, self.sizeof_hdr.to_le_bytes().into());
        for i in 0..8 {
            put(40 + 2 * i, self.dim[i].to_le_bytes().into());
            put(76 + 4 * i, self.pixdim[i].to_le_bytes().into());
        }
        put(70, self.datatype.to_le_bytes().into());
        put(72, self.bitpix.to_le_bytes().into());
        put(108, self.vox_offset.to_le_bytes().into());
        put(112, self.slope.to_le_bytes().into());
        put(116, self.intercept.to_le_bytes().into());
        put(123, vec![self.xyzt_units]);
        put(252, self.qform_code.to_le_bytes().into());
        put(254, self.sform_code.to_le_bytes().into());
        for i in 0..3 {
            put(256 + 4 * i, self.quatern[i].to_le_bytes().into());
            put(268 + 4 * i, self.qoffset[i].to_le_bytes().into());
            for j in 0..4 {
                put(280 + 16 * i + 4 * j, self.srow[i][j].to_le_bytes().into());
            }
        }
        raw[344..].copy_from_slice(&self.magic);
        raw
    }

    /// The whole file, uncompressed.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        [self.header(), self.extension.clone(), self.voxels.clone()].concat()
    }

    /// Writes the file, compressed if its name ends in `.gz`.
    pub(crate) fn save(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref().to_owned();
        let gzip = path.extension().is_some_and(|extension| extension == "gz");
        let bytes = if gzip {
            gzipped(&self.bytes())
        } else {
            self.bytes()
        };
        File::create(&path).unwrap().write_all(&bytes).unwrap();
        path
    }
}

pub(crate) fn size(datatype: i16) -> usize {
    match datatype {
        U8 | I8 => 1,
        I16 | U16 => 2,
        I32 | U32 | F32 => 4,
        _ => 8,
    }
}

pub(crate) fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The uncompressed content of a file.
pub(crate) fn content(path: &Path) -> Vec<u8> {
    let bytes = std::fs::read(path).unwrap();
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return bytes;
    }
    let mut all = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&bytes[..]), &mut all).unwrap();
    all
}

/// How a file orders the canonical axes (0 slice, 1 row, 2 column) and which of them it runs through backwards.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order {
    /// Canonical axis of file axis 0 (fastest), 1 and 2.
    pub(crate) axes: [usize; 3],
    pub(crate) reversed: [bool; 3],
}

impl Order {
    /// KiTS19's.
    pub(crate) const KITS: Self = Self {
        axes: [0, 1, 2],
        reversed: [false; 3],
    };

    /// All 48.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        const AXES: [[usize; 3]; 6] = [
            [0, 1, 2],
            [0, 2, 1],
            [1, 0, 2],
            [1, 2, 0],
            [2, 0, 1],
            [2, 1, 0],
        ];
        AXES.into_iter().flat_map(|axes| {
            (0..8).map(move |bits| Self {
                axes,
                reversed: [0, 1, 2].map(|axis| bits >> axis & 1 == 1),
            })
        })
    }

    /// Lengths of the file's axes for a canonical `shape`.
    pub(crate) fn file_shape(&self, shape: [usize; 3]) -> [usize; 3] {
        self.axes.map(|axis| shape[axis])
    }

    /// Canonical index of each voxel, in the file's order.
    pub(crate) fn indices(self, shape: [usize; 3]) -> impl Iterator<Item = [usize; 3]> {
        let [n0, n1, n2] = self.file_shape(shape);
        (0..n2)
            .flat_map(move |k| (0..n1).flat_map(move |j| (0..n0).map(move |i| [i, j, k])))
            .map(move |file| {
                let mut canonical = [0; 3];
                for axis in 0..3 {
                    let to = self.axes[axis];
                    canonical[to] = if self.reversed[axis] {
                        shape[to] - 1 - file[axis]
                    } else {
                        file[axis]
                    };
                }
                canonical
            })
    }

    /// NIfTI axis codes of the file's axes: slices run towards I, rows towards P, columns towards L unless reversed.
    pub(crate) fn codes(&self) -> String {
        (0..3)
            .map(|axis| {
                [['I', 'S'], ['P', 'A'], ['L', 'R']][self.axes[axis]]
                    [usize::from(self.reversed[axis])]
            })
            .collect()
    }

    /// Affine of a volume whose canonical first voxel lies at `origin` (RAS+, mm).
    pub(crate) fn affine(
        &self,
        shape: [usize; 3],
        spacing: [f64; 3],
        origin: [f64; 3],
    ) -> [[f64; 4]; 3] {
        const WORLD: [usize; 3] = [2, 1, 0];
        let mut affine = [0, 1, 2].map(|world| [0.0, 0.0, 0.0, origin[world]]);
        for axis in 0..3 {
            let canonical = self.axes[axis];
            let world = WORLD[canonical];
            let step = -spacing[canonical];
            affine[world][axis] = if self.reversed[axis] { -step } else { step };
            if self.reversed[axis] {
                affine[world][3] += step * (shape[canonical] - 1) as f64;
            }
        }
        affine
    }
}

/// Which transforms a header declares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Declared {
    Sform,
    Qform,
    Both,
}

/// Puts an affine into a header in the declared ways. Transforms not declared get values that would mislead if they were used.
pub(crate) fn place(raw: &mut RawNifti, affine: &[[f64; 4]; 3], declared: Declared) {
    let column = |axis: usize| [affine[0][axis], affine[1][axis], affine[2][axis]];
    let steps = [0, 1, 2].map(|axis| column(axis).iter().map(|v| v * v).sum::<f64>().sqrt());
    raw.pixdim[1..4].copy_from_slice(&steps.map(|mm| mm as f32));
    raw.sform_code = 0;
    raw.qform_code = 0;
    raw.srow = [
        [3.0, 0.0, 0.0, 0.0],
        [0.0, 5.0, 0.0, 0.0],
        [0.0, 0.0, 7.0, 0.0],
    ];
    if declared != Declared::Qform {
        raw.sform_code = 1;
        raw.srow = affine.map(|row| row.map(|value| value as f32));
    }
    if declared != Declared::Sform {
        raw.qform_code = 1;
        let mut rotation =
            [0, 1, 2].map(|world| [0, 1, 2].map(|axis| affine[world][axis] / steps[axis]));
        let [a, b, c] = rotation;
        let determinant = a[0] * (b[1] * c[2] - b[2] * c[1]) - a[1] * (b[0] * c[2] - b[2] * c[0])
            + a[2] * (b[0] * c[1] - b[1] * c[0]);
        raw.pixdim[0] = determinant.signum() as f32;
        for row in &mut rotation {
            row[2] *= determinant.signum();
        }
        raw.quatern = quaternion(&rotation).map(|value| value as f32);
        raw.qoffset = [0, 1, 2].map(|world| affine[world][3] as f32);
    }
}

/// b, c, d of the unit quaternion of a rotation, after `nifti_mat44_to_quatern` of the NIfTI-1 C library.
fn quaternion(r: &[[f64; 3]; 3]) -> [f64; 3] {
    let trace = r[0][0] + r[1][1] + r[2][2] + 1.0;
    if trace > 0.5 {
        let a = 0.5 * trace.sqrt();
        return [
            (r[2][1] - r[1][2]) * 0.25 / a,
            (r[0][2] - r[2][0]) * 0.25 / a,
            (r[1][0] - r[0][1]) * 0.25 / a,
        ];
    }
    let x = 1.0 + r[0][0] - (r[1][1] + r[2][2]);
    let y = 1.0 + r[1][1] - (r[0][0] + r[2][2]);
    let z = 1.0 + r[2][2] - (r[0][0] + r[1][1]);
    let (a, [b, c, d]) = if x > 1.0 {
        let b = 0.5 * x.sqrt();
        (
            (r[2][1] - r[1][2]) * 0.25 / b,
            [
                b,
                (r[0][1] + r[1][0]) * 0.25 / b,
                (r[0][2] + r[2][0]) * 0.25 / b,
            ],
        )
    } else if y > 1.0 {
        let c = 0.5 * y.sqrt();
        (
            (r[0][2] - r[2][0]) * 0.25 / c,
            [
                (r[0][1] + r[1][0]) * 0.25 / c,
                c,
                (r[1][2] + r[2][1]) * 0.25 / c,
            ],
        )
    } else {
        let d = 0.5 * z.sqrt();
        (
            (r[1][0] - r[0][1]) * 0.25 / d,
            [
                (r[0][2] + r[2][0]) * 0.25 / d,
                (r[1][2] + r[2][1]) * 0.25 / d,
                d,
            ],
        )
    };
    if a < 0.0 { [-b, -c, -d] } else { [b, c, d] }
}

/// `../shared/data` beside the repository, or `None` with a line that says so.
pub(crate) fn shared_data() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("skipped: ../shared is not here");
    None
}
