//! NIfTI files whose header lies.

use super::segment;
use crate::ground::{SHAPE, scan};
use crate::phantom::nifti::{Declared, F32, Order, place as put_affine};
use crate::row::{Row, Section, refused, taken};
use crate::run::{REFUSAL_KIB, WORK_KIB};

pub(crate) const SECTION: Section = Section::of_program(
    "A NIfTI file's header",
    "nephrobox segment FILE",
    segment,
    REFUSAL_KIB,
    ROWS,
);

#[rustfmt::skip]
const ROWS: &[Row] = &[
    refused("an empty file", |p| p.file("scan.nii", b""), 3, "0 bytes"),
    refused("one byte", |p| p.file("scan.nii", b"n"), 3, "1 bytes"),
    refused("a text", |p| p.file("scan.nii", "no scan at all\n".repeat(40)), 3, "no NIfTI-1 header"),
    refused("a photograph (PNG)", |p| p.file("scan.nii", [b"\x89PNG\r\n\x1a\n".as_slice(), &[0x49; 400]].concat()), 3, "no NIfTI-1 header"),
    refused("zeros", |p| p.file("scan.nii", [0; 4096]), 3, "no NIfTI-1 header"),
    refused("ones", |p| p.file("scan.nii", [0xff; 4096]), 3, "no NIfTI-1 header"),
    refused("a header without voxels", |p| p.file("scan.nii", &scan(|_| ())[..352]), 3, "only 352"),
    refused("a header cut off", |p| p.file("scan.nii", &scan(|_| ())[..347]), 3, "347 bytes"),
    refused("cut off at every 1 %", |p| { let whole = scan(|_| ()); p.file("scan.nii", p.cut(&whole)) }, 3, "the file holds only").at_every_percent(),
    refused("NIfTI-2", |p| p.nifti(|raw| raw.sizeof_hdr = 540), 3, "NIfTI-2"),
    refused("the header of a pair of files", |p| p.nifti(|raw| raw.magic = *b"ni1\0"), 3, "pair of files"),
    refused("Analyze 7.5, without a magic word", |p| p.nifti(|raw| raw.magic = [0; 4]), 3, "NIfTI-1|pair of files"),
    refused("another length of the header", |p| p.nifti(|raw| raw.sizeof_hdr = 349), 3, "no NIfTI-1 header"),
    refused("no dimensions", |p| p.nifti(|raw| raw.dim[0] = 0), 3, "NIfTI-1|no volume"),
    refused("two dimensions", |p| p.nifti(|raw| raw.dim[0] = 2), 3, "no volume"),
    refused("eight dimensions", |p| p.nifti(|raw| raw.dim[0] = 8), 3, "NIfTI-1|no volume"),
    refused("-3 dimensions", |p| p.nifti(|raw| raw.dim[0] = -3), 3, "NIfTI-1|no volume"),
    refused("4-D, with two moments", |p| p.nifti(|raw| { raw.dim[0] = 4; raw.dim[4] = 2; raw.voxels.extend(raw.voxels.clone()); }), 3, "more than one volume"),
    refused("5-D, with vectors", |p| p.nifti(|raw| { raw.dim[0] = 5; raw.dim[5] = 3; }), 3, "more than one volume"),
    refused("a dimension of 0", |p| p.nifti(|raw| raw.dim[2] = 0), 3, "not positive"),
    refused("a negative dimension", |p| p.nifti(|raw| raw.dim[3] = -5), 3, "not positive"),
    refused("dimensions beyond the file", |p| p.nifti(|raw| raw.dim[3] = 32_767), 3, "only"),
    refused("dimensions short of the file", |p| p.nifti(|raw| raw.dim[3] -= 1), 3, "more follow"),
    refused("32,767 voxels a side, 64 TB", |p| p.nifti(|raw| raw.dim[1..4].fill(32_767)), 3, "not possible"),
    refused("dimensions in another order than the voxels' count", |p| p.nifti(|raw| raw.dim[1..4].fill(64)), 3, "only"),
    refused("RGB", |p| p.nifti(|raw| { raw.datatype = 128; raw.bitpix = 24; }), 3, "type 128"),
    refused("RGBA", |p| p.nifti(|raw| { raw.datatype = 2304; raw.bitpix = 32; }), 3, "type 2304"),
    refused("complex numbers", |p| p.nifti(|raw| { raw.datatype = 32; raw.bitpix = 64; }), 3, "type 32"),
    refused("floats of 128 bits", |p| p.nifti(|raw| { raw.datatype = 1536; raw.bitpix = 128; }), 3, "type 1536"),
    refused("one bit a voxel", |p| p.nifti(|raw| { raw.datatype = 1; raw.bitpix = 1; }), 3, "type 1 "),
    refused("no type", |p| p.nifti(|raw| raw.datatype = 0), 3, "type 0"),
    refused("a type that does not exist", |p| p.nifti(|raw| raw.datatype = -7), 3, "type -7"),
    refused("bits that are not the type's", |p| p.nifti(|raw| raw.bitpix = 8), 3, "8 bits a voxel"),
    refused("voxels within the header", |p| p.nifti(|raw| raw.vox_offset = 0.0), 3, "byte 0"),
    refused("voxels at a negative byte", |p| p.nifti(|raw| raw.vox_offset = -352.0), 3, "byte -352"),
    refused("voxels at byte NaN", |p| p.nifti(|raw| raw.vox_offset = f32::NAN), 3, "byte NaN"),
    refused("voxels at byte 352.5", |p| p.nifti(|raw| raw.vox_offset = 352.5), 3, "352.5"),
    refused("voxels behind the end", |p| p.nifti(|raw| raw.vox_offset = 1e9), 3, "only"),
    refused("voxels at byte 10^30", |p| p.nifti(|raw| raw.vox_offset = 1e30), 3, "1000000000000000"),
    refused("an intercept that is no number", |p| p.nifti(|raw| { raw.slope = 2.0; raw.intercept = f32::NAN; }), 3, "no number"),
    refused("an infinite intercept", |p| p.nifti(|raw| { raw.slope = 1.0; raw.intercept = f32::INFINITY; }), 3, "no number"),
    refused("no affine", |p| p.nifti(|raw| raw.sform_code = 0), 3, "no usable affine"),
    refused("an affine of zeros", |p| p.nifti(|raw| raw.srow = [[0.0; 4]; 3]), 3, "no usable affine"),
    refused("an affine with NaN", |p| p.nifti(|raw| raw.srow[1][1] = f32::NAN), 3, "no usable affine"),
    refused("an affine with an infinity", |p| p.nifti(|raw| raw.srow[2][3] = f32::INFINITY), 3, "no usable affine"),
    refused("an affine with two axes in one", |p| p.nifti(|raw| raw.srow[0] = raw.srow[1]), 3, "no usable affine"),
    refused("an affine that is oblique by 45 degrees", |p| p.nifti(|raw| raw.srow = [[0.0, 1.0, -1.0, 0.0], [0.0, -1.0, -1.0, 0.0], [-3.0, 0.0, 0.0, 0.0]]), 3, "degrees"),
    refused("a quaternion of NaN", |p| p.nifti(|raw| { raw.sform_code = 0; raw.qform_code = 1; raw.quatern = [f32::NAN; 3]; }), 3, "no usable affine"),
    refused("a quaternion far from a unit", |p| p.nifti(|raw| { raw.sform_code = 0; raw.qform_code = 1; raw.quatern = [9.0; 3]; }), 3, "affine"),
    refused("a spacing of 0", |p| p.nifti(|raw| { raw.sform_code = 0; raw.qform_code = 1; raw.pixdim[3] = 0.0; }), 3, "no usable affine|not plausible"),
    refused("a huge spacing", |p| p.nifti(|raw| spaced(raw, [1e6, 1e6, 1e6])), 3, "not plausible"),
    refused("a tiny spacing", |p| p.nifti(|raw| spaced(raw, [1e-4, 1e-4, 1e-4])), 3, "not plausible"),
    refused("a spacing of infinity", |p| p.nifti(|raw| { raw.sform_code = 0; raw.qform_code = 1; raw.pixdim[2] = f32::INFINITY; }), 3, "affine"),
    refused("spacing in metres", |p| p.nifti(|raw| raw.xyzt_units = 1), 3, "not plausible"),
    refused("affine and spacing of two scans", |p| p.nifti(|raw| raw.pixdim[3] *= 2.0), 3, "disagree"),
    taken("4-D with one moment", |p| p.nifti(|raw| { raw.dim[0] = 4; raw.dim[4] = 1; }), "Kidney volume").within(WORK_KIB),
    taken("big-endian", |p| p.nifti(|raw| { raw.big_endian = true; raw.voxels.chunks_exact_mut(2).for_each(<[u8]>::reverse); }), "Kidney volume").within(WORK_KIB),
    taken("an extension of other programs", |p| p.nifti(|raw| { raw.extension = [vec![1, 0, 0, 0], 64_i32.to_le_bytes().into(), vec![6; 60]].concat(); raw.vox_offset = 416.0; }), "Kidney volume").within(WORK_KIB),
    taken("an extension that says it is 2 GB long", |p| p.nifti(|raw| { raw.extension = [vec![1, 0, 0, 0], i32::MAX.to_le_bytes().into(), vec![6; 60]].concat(); raw.vox_offset = 416.0; }), "Kidney volume").within(WORK_KIB),
    taken("a mirrored affine", |p| p.nifti(|raw| { let mirrored = Order { axes: [0, 1, 2], reversed: [false, false, true] }; put_affine(raw, &mirrored.affine(SHAPE, crate::phantom::SPACING, crate::phantom::ORIGIN), Declared::Sform); }), "Kidney volume").within(WORK_KIB),
    taken("a negative spacing, of which the size counts", |p| p.nifti(|raw| { raw.sform_code = 0; raw.qform_code = 1; raw.pixdim[1..4].fill(-3.0); }), "3.000 x 3.000 x 3.000 mm").within(WORK_KIB),
    taken("slices 60 mm apart", |p| p.nifti(|raw| spaced(raw, [60.0, 0.75, 0.8125])), "is unusual for CT").within(WORK_KIB),
    refused("floats where the voxels were integers", |p| p.nifti(|raw| { raw.datatype = F32; raw.bitpix = 32; }), 3, "only"),
];

/// Gives the phantom another spacing, by slice, row and column.
fn spaced(raw: &mut crate::phantom::nifti::RawNifti, spacing: [f64; 3]) {
    let affine = Order::KITS.affine(SHAPE, spacing, crate::phantom::ORIGIN);
    put_affine(raw, &affine, Declared::Sform);
}
