//! NIfTI files whose voxels are not what a CT has, and compressed ones that are not what gzip writes.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::segment;
use crate::ground::{Place, SHAPE, scan};
use crate::phantom::nifti::{
    Declared, F32, F64, I32, Order, RawNifti, U8, gzipped, place as put_affine,
};
use crate::phantom::{self, hu, label};
use crate::row::{Given, Row, Section, refused, taken};
use crate::run::{LARGE_KIB, REFUSAL_KIB, WORK_KIB};

pub(crate) const SECTION: Section = Section::of_program(
    "A NIfTI file's voxels, and gzip",
    "nephrobox segment FILE",
    segment,
    WORK_KIB,
    ROWS,
);

#[rustfmt::skip]
const ROWS: &[Row] = &[
    refused("NaN in the first voxel", |p| with(p, F32, |at| if at == [0, 0, 0] { f64::NAN } else { ct(at) }), 3, "value NaN"),
    refused("NaN in the last voxel", |p| with(p, F32, |at| if at == [19, 63, 95] { f64::NAN } else { ct(at) }), 3, "value NaN"),
    refused("NaN in every voxel", |p| with(p, F32, |_| f64::NAN), 3, "value NaN"),
    refused("infinity", |p| with(p, F32, |at| if at == [10, 5, 5] { f64::INFINITY } else { ct(at) }), 3, "value inf"),
    refused("minus infinity", |p| with(p, F64, |at| if at == [10, 5, 5] { f64::NEG_INFINITY } else { ct(at) }), 3, "value -inf"),
    refused("a number that scaling makes infinite", |p| with_scaled(p, 1e38), 3, "inf"),
    taken("10^300 HU", |p| with(p, F64, |at| if at[0] == 10 { 1e300 } else { ct(at) }), "warning: "),
    taken("HU of 32 bits, beyond 16", |p| with(p, I32, |at| if at[0] == 10 { 2e9 } else { ct(at) }), "warning: "),
    taken("nothing but zeros", |p| with(p, F32, |_| 0.0), "warning: "),
    taken("nothing but air", |p| with(p, F32, |_| -1024.0), "warning: "),
    taken("a label map in place of the scan", |p| with(p, U8, |at| f64::from(label(at))), "warning: "),
    taken("grey values of 8 bits in place of HU", |p| with(p, U8, |at| f64::from(hu(at) / 4 + 250).clamp(0.0, 255.0)), "warning: "),
    taken("a slope of infinity, which counts as none", |p| p.nifti(|raw| raw.slope = f32::INFINITY), "Kidney volume"),
    taken("one slice", |p| shaped(p, [1, 64, 96], Order::KITS), "warning: "),
    taken("two slices", |p| shaped(p, [2, 64, 96], Order::KITS), "warning: "),
    taken("one voxel", |p| shaped(p, [1, 1, 1], Order::KITS), "warning: "),
    taken("one column", |p| shaped(p, [20, 64, 1], Order::KITS), "Kidney volume"),
    taken("3,000 slices", |p| shaped(p, [3000, 8, 8], Order::KITS), "3000 slices in").within(LARGE_KIB),
    taken("3,000 slices, the slowest axis of the file", |p| shaped(p, [3000, 8, 8], Order { axes: [2, 1, 0], reversed: [false; 3] }), "3000 slices in").within(LARGE_KIB),
    taken("32,767 rows of one pixel", |p| shaped(p, [1, 32_767, 1], Order::KITS), "warning: ").within(LARGE_KIB),
    refused("a gzip file cut off at every 1 %", |p| { let whole = gzipped(&scan(|_| ())); p.file("scan.nii.gz", p.cut(&whole)) }, 3, "cut off|of a header|at most").at_every_percent(),
    refused("a gzip file without its checksum", |p| { let whole = gzipped(&scan(|_| ())); p.file("scan.nii.gz", &whole[..whole.len() - 8]) }, 3, "cut off"),
    refused("a gzip file with another checksum", |p| { let mut whole = gzipped(&scan(|_| ())); let at = whole.len() - 6; whole[at] ^= 1; p.file("scan.nii.gz", whole) }, 3, "damaged"),
    refused("a gzip file with another length at its end", |p| { let mut whole = gzipped(&scan(|_| ())); let at = whole.len() - 1; whole[at] ^= 1; p.file("scan.nii.gz", whole) }, 3, "damaged"),
    refused("one bit of the compressed data changed", |p| { let mut whole = gzipped(&scan(|_| ())); let at = whole.len() / 2; whole[at] ^= 8; p.file("scan.nii.gz", whole) }, 3, "damaged|cut off|more follow|NaN"),
    refused("only the first bytes of gzip", |p| p.file("scan.nii.gz", [0x1f, 0x8b]), 3, "cut off|of a header"),
    refused("gzip of another method", |p| { let mut whole = gzipped(&scan(|_| ())); whole[2] = 7; p.file("scan.nii.gz", whole) }, 3, "damaged"),
    refused("gzip with a name of 1 MB in its header", |p| { let whole = gzipped(b"x"); p.file("scan.nii.gz", [&whole[..3], &[8], &whole[4..10], &[b'a'; 1 << 20]].concat()) }, 3, "damaged|cut off"),
    refused("gzip within gzip", |p| p.file("scan.nii.gz", gzipped(&gzipped(&scan(|_| ())))), 3, "no NIfTI-1 header"),
    refused("other bytes behind the gzip data", |p| p.file("scan.nii.gz", [gzipped(&scan(|_| ())), b"and more".to_vec()].concat()), 3, "no gzip data follow"),
    refused("more voxels behind the last", |p| p.file("scan.nii.gz", gzipped(&[scan(|_| ()), vec![0; 64]].concat())), 3, "more follow"),
    refused("a gzip bomb: 8 GB of zeros behind the scan", bomb, 3, "more follow"),
    refused("a gzip bomb: 8 GB of zeros in place of the header", |p| p.file("scan.nii.gz", zeros(8 << 30)), 3, "no NIfTI-1 header"),
    refused("a gzip bomb whose header asks for all of it", greedy, 3, "not possible|no memory|at most"),
    refused("a tar of a series, compressed", |p| p.file("scan.nii.gz", gzipped(super::tar::sound())), 3, "must not be compressed"),
    taken("gzip data called .nii", |p| p.file("scan.nii", gzipped(&scan(|_| ()))), "Kidney volume"),
    taken("plain data called .nii.gz", |p| p.file("scan.nii.gz", scan(|_| ())), "Kidney volume"),
    taken("gzip in many members", |p| { let whole = scan(|_| ()); p.file("scan.nii.gz", whole.chunks(4096).flat_map(gzipped).collect::<Vec<u8>>()) }, "Kidney volume"),
    taken("zeros behind the gzip data, as tapes pad it", |p| p.file("scan.nii.gz", [gzipped(&scan(|_| ())), vec![0; 512]].concat()), "Kidney volume"),
];

fn ct(at: [usize; 3]) -> f64 {
    f64::from(hu(at))
}

/// The phantom in another type of number.
fn with(p: &Place<'_>, datatype: i16, value: fn([usize; 3]) -> f64) -> Given {
    let raw = phantom::raw(Order::KITS, Declared::Sform, datatype, value);
    p.file("scan.nii", raw.bytes())
}

/// The phantom times a slope that no float of 32 bits survives.
fn with_scaled(p: &Place<'_>, slope: f32) -> Given {
    let mut raw = phantom::raw(Order::KITS, Declared::Sform, F64, |_| 1e300);
    (raw.slope, raw.intercept) = (slope, 0.0);
    p.file("scan.nii", raw.bytes())
}

/// A scan of another shape.
fn shaped(p: &Place<'_>, shape: [usize; 3], order: Order) -> Given {
    let value =
        |[slice, row, col]: [usize; 3]| ct([slice % SHAPE[0], row % SHAPE[1], col % SHAPE[2]]);
    let mut raw = RawNifti::new(order.file_shape(shape), 4, order.indices(shape).map(value));
    put_affine(
        &mut raw,
        &order.affine(shape, phantom::SPACING, phantom::ORIGIN),
        Declared::Sform,
    );
    p.file("scan.nii", raw.bytes())
}

/// So many zeros, compressed: one piece of 64 MB again and again, as gzip takes several in a row.
fn zeros(bytes: usize) -> Vec<u8> {
    const PIECE: usize = 64 << 20;
    let mut piece = GzEncoder::new(Vec::new(), Compression::best());
    let block = vec![0; 1 << 20];
    for _ in 0..PIECE >> 20 {
        piece.write_all(&block).expect("compressed");
    }
    piece.finish().expect("compressed").repeat(bytes / PIECE)
}

fn bomb(p: &Place<'_>) -> Given {
    p.file(
        "scan.nii.gz",
        [gzipped(&scan(|_| ())), zeros(8 << 30)].concat(),
    )
}

/// The axes lie so that the whole volume has to be held.
fn greedy(p: &Place<'_>) -> Given {
    let head = scan(|raw| {
        raw.dim[1..4].copy_from_slice(&[2000, 1500, 1400]);
        raw.voxels.clear();
    });
    p.file("scan.nii.gz", [gzipped(&head), zeros(8 << 30)].concat())
}

/// What is refused before any voxel is read needs no more than any refusal.
const _: () = assert!(REFUSAL_KIB < WORK_KIB);
