//! Named disasters: one file each, one clear sentence each. The sentences are tested whole where wording matters to whoever reads
//! them, otherwise the typed error is.

mod support;

use std::path::{Path, PathBuf};

use nephrobox_imaging::{
    Geometry, GeometryError, ImagingError, LabelReader, ScanReader, Spacing, write_labels,
};
use support::{F32, F64, I16, Order, RawNifti, U8, U16, content, gzipped};
use tempfile::TempDir;

/// 6 slices, 5 rows, 4 columns as KiTS19 files them: voxel `i` belongs to slice `i % 6`.
fn healthy(datatype: i16) -> RawNifti {
    RawNifti::new([6, 5, 4], datatype, (0..120).map(|i| f64::from(i % 3)))
}

struct Case {
    folder: TempDir,
}

impl Case {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn bytes(&self, name: &str, bytes: &[u8]) -> PathBuf {
        std::fs::write(self.path(name), bytes).unwrap();
        self.path(name)
    }

    fn scan(&self, raw: &RawNifti) -> Result<(), ImagingError> {
        read(&raw.save(self.path("scan.nii")))
    }
}

/// Opens and reads everything.
fn read(path: &Path) -> Result<(), ImagingError> {
    let mut reader = ScanReader::open(path)?;
    let mut slice = vec![0; reader.geometry().slice_len()];
    while reader.next_slice(&mut slice)?.is_some() {}
    Ok(())
}

/// The message without the path in front.
fn sentence(error: &ImagingError) -> String {
    error.to_string().split_once(": ").unwrap().1.to_owned()
}

macro_rules! refused {
    ($result:expr, $pattern:pat $(if $guard:expr)?) => {{
        let error = $result.unwrap_err();
        assert!(matches!(&error, $pattern $(if $guard)?), "{error:?}");
        error
    }};
}

#[test]
fn no_such_file() {
    refused!(
        read(&Case::new().path("none.nii.gz")),
        ImagingError::Io { action: "open", .. }
    );
}

#[test]
fn a_folder() {
    refused!(
        read(Case::new().folder.path()),
        ImagingError::NotNifti { .. }
    );
}

#[test]
fn an_empty_file() {
    let case = Case::new();
    let error = refused!(
        read(&case.bytes("scan.nii", b"")),
        ImagingError::NotNifti { .. }
    );
    assert_eq!(
        sentence(&error),
        "this holds 0 bytes, less than the 348 of a header; give a NIfTI-1 volume in one file (.nii or .nii.gz)"
    );
}

#[test]
fn a_pointer_file_instead_of_the_volume() {
    let text = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n".repeat(9);
    refused!(
        read(&Case::new().bytes("scan.nii.gz", text.as_bytes())),
        ImagingError::NotNifti { .. }
    );
}

#[test]
fn half_of_a_pair_of_files() {
    let mut raw = healthy(I16);
    raw.magic = *b"ni1\0";
    let error = refused!(Case::new().scan(&raw), ImagingError::NotNifti { .. });
    assert!(sentence(&error).starts_with("this is the header of a pair of files (.hdr and .img)"));
}

#[test]
fn another_version_of_nifti() {
    let mut raw = healthy(I16);
    raw.sizeof_hdr = 540;
    assert!(
        sentence(&refused!(
            Case::new().scan(&raw),
            ImagingError::NotNifti { .. }
        ))
        .starts_with("this is NIfTI-2")
    );
}

#[test]
fn a_wrong_header_length() {
    let mut raw = healthy(I16);
    raw.sizeof_hdr = 347;
    refused!(Case::new().scan(&raw), ImagingError::NotNifti { .. });
    // A count of dimensions above 7 is how a file of the other byte order is known; here the length then contradicts it.
    let mut raw = healthy(I16);
    raw.dim[0] = 8;
    refused!(Case::new().scan(&raw), ImagingError::NotNifti { .. });
}

#[test]
fn dimensions_that_are_no_volume() {
    for dim in [
        [0, 6, 5, 4, 1, 1, 1, 1],
        [2, 30, 4, 1, 1, 1, 1, 1],
        [3, -6, 5, 4, 1, 1, 1, 1],
        [3, 6, 0, 4, 1, 1, 1, 1],
        [4, 6, 5, 2, 2, 1, 1, 1],
    ] {
        let mut raw = healthy(I16);
        raw.dim = dim;
        refused!(Case::new().scan(&raw), ImagingError::Dimensions { dim: found, .. } if *found == dim);
    }
}

#[test]
fn further_dimensions_of_length_one_are_fine() {
    let mut raw = healthy(I16);
    raw.dim = [5, 6, 5, 4, 1, 1, 0, 0];
    Case::new().scan(&raw).unwrap();
}

#[test]
fn colours_and_complex_numbers() {
    for (datatype, bitpix) in [(128, 24), (32, 64), (1, 1), (1536, 128), (7, 8)] {
        let mut raw = healthy(I16);
        (raw.datatype, raw.bitpix) = (datatype, bitpix);
        refused!(Case::new().scan(&raw), ImagingError::UnsupportedType { datatype: found, .. } if *found == datatype);
    }
}

#[test]
fn bits_that_are_not_the_types() {
    let mut raw = healthy(I16);
    raw.bitpix = 8;
    refused!(
        Case::new().scan(&raw),
        ImagingError::BitsDisagree {
            datatype: 4,
            bitpix: 8,
            expected: 16,
            ..
        }
    );
}

#[test]
fn voxels_that_begin_inside_the_header() {
    for offset in [0.0, 348.0, 352.5, -1.0, f32::NAN, f32::INFINITY, 1e20] {
        let mut raw = healthy(I16);
        raw.vox_offset = offset;
        refused!(Case::new().scan(&raw), ImagingError::VoxelOffset { .. });
    }
}

#[test]
fn an_intercept_that_is_no_number() {
    let mut raw = healthy(I16);
    (raw.slope, raw.intercept) = (2.0, f32::NAN);
    refused!(
        Case::new().scan(&raw),
        ImagingError::Scaling { slope: 2.0, .. }
    );
    // Without a slope nothing is scaled and the intercept means nothing; nibabel writes NaN for both.
    for slope in [0.0, f32::NAN, f32::INFINITY] {
        raw.slope = slope;
        Case::new().scan(&raw).unwrap();
    }
}

#[test]
fn neither_transform_declared() {
    let mut raw = healthy(I16);
    raw.sform_code = 0;
    let error = Case::new().scan(&raw).unwrap_err();
    assert_eq!(
        sentence(&error),
        "no usable affine: sform_code is 0 and qform_code is 0, so the patient's sides are unknown; \
         convert the volume again from its DICOM series"
    );
}

fn geometry_error(raw: &RawNifti) -> GeometryError {
    match Case::new().scan(raw) {
        Err(ImagingError::Geometry { source, .. }) => source,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_affine_of_zeros_or_nan_or_flat() {
    let all = |value| [[value; 4]; 3];
    let zero_column = [[0.0, 0.0, -1.0, 0.0], [0.0, -1.0, 0.0, 0.0], [0.0; 4]];
    let same_column_twice = [
        [0.0, 0.0, 0.0, 0.0],
        [0.0, -1.0, -1.0, 0.0],
        [-1.0, 0.0, 0.0, 0.0],
    ];
    for srow in [
        all(0.0),
        all(f32::NAN),
        all(f32::INFINITY),
        zero_column,
        same_column_twice,
    ] {
        let mut raw = healthy(I16);
        raw.srow = srow;
        assert!(
            matches!(
                geometry_error(&raw),
                GeometryError::Singular { form: "sform", .. }
            ),
            "{srow:?}"
        );
    }
    let mut raw = healthy(I16);
    (raw.sform_code, raw.qform_code) = (0, 1);
    raw.quatern = [0.9, 0.9, 0.9];
    assert!(matches!(
        geometry_error(&raw),
        GeometryError::Singular { form: "qform", .. }
    ));
}

#[test]
fn zeros_under_a_declared_sform_leave_the_qform() {
    let case = Case::new();
    let mut raw = healthy(I16);
    support::place(
        &mut raw,
        &Order::KITS.affine([6, 5, 4], [1.0; 3], [0.0; 3]),
        support::Declared::Both,
    );
    raw.srow = [[0.0; 4]; 3];
    let reader = ScanReader::open(raw.save(case.path("scan.nii"))).unwrap();
    assert_eq!(reader.geometry().codes(), "IPL");
}

/// The KiTS19 affine turned about the patient's long axis, front to side.
fn turned(degrees: f32) -> RawNifti {
    let (sin, cos) = degrees.to_radians().sin_cos();
    let mut raw = healthy(I16);
    raw.srow = [
        [0.0, sin, -cos, 0.0],
        [0.0, -cos, -sin, 0.0],
        [-1.0, 0.0, 0.0, 0.0],
    ];
    raw
}

#[test]
fn a_mild_tilt_is_reported_a_strong_one_refused() {
    let case = Case::new();
    for degrees in [0.0, 1.0, 12.5, 29.9] {
        let reader = ScanReader::open(turned(degrees).save(case.path("scan.nii"))).unwrap();
        assert!((reader.geometry().tilt_degrees() - f64::from(degrees)).abs() < 1e-3);
        assert_eq!(reader.geometry().codes(), "IPL");
    }
    for degrees in [30.1, 45.0] {
        assert!(matches!(
            geometry_error(&turned(degrees)),
            GeometryError::Oblique { .. }
        ));
    }
}

/// A tilted gantry shears the stack: the next slice lies 20 degrees off the perpendicular. Volumes need the distance of the planes.
#[test]
fn a_sheared_stack_keeps_its_slice_distance() {
    let case = Case::new();
    let mut raw = healthy(I16);
    let shear = 20f32.to_radians().tan() * 3.0;
    raw.srow = [
        [0.0, 0.0, -1.0, 0.0],
        [shear, -1.0, 0.0, 0.0],
        [-3.0, 0.0, 0.0, 0.0],
    ];
    for slice_pixdim in [3.0, 3.0 / 20f32.to_radians().cos()] {
        raw.pixdim[1] = slice_pixdim;
        let reader = ScanReader::open(raw.save(case.path("scan.nii"))).unwrap();
        assert!((reader.geometry().spacing().slice_mm - 3.0).abs() < 1e-6);
        assert!((reader.geometry().tilt_degrees() - 20.0).abs() < 1e-3);
    }
}

#[test]
fn transforms_that_name_different_sides_are_flagged() {
    let case = Case::new();
    let mut raw = healthy(I16);
    support::place(
        &mut raw,
        &Order::KITS.affine([6, 5, 4], [1.0; 3], [0.0; 3]),
        support::Declared::Both,
    );
    raw.srow[0][2] = 1.0;
    let reader = ScanReader::open(raw.save(case.path("scan.nii"))).unwrap();
    assert_eq!(reader.geometry().codes(), "IPR", "the sform decides");
    assert!(reader.geometry().forms_disagree());
}

#[test]
fn voxel_sizes_that_contradict_each_other() {
    let mut raw = healthy(I16);
    raw.pixdim[2] = 0.8;
    assert!(matches!(
        geometry_error(&raw),
        GeometryError::SizesDisagree {
            pixdim_mm: [1.0, _, 1.0],
            ..
        }
    ));
    // Not filled in is no contradiction.
    raw.pixdim = [0.0; 8];
    Case::new().scan(&raw).unwrap();
}

#[test]
fn a_spacing_no_scanner_has() {
    let mut raw = healthy(I16);
    raw.xyzt_units = 1; // metres
    assert_eq!(
        geometry_error(&raw),
        GeometryError::Implausible {
            spacing_mm: [1000.0; 3]
        }
    );
}

#[test]
fn micrometres_are_converted() {
    let case = Case::new();
    let mut raw = healthy(I16);
    raw.xyzt_units = 3;
    raw.srow = raw.srow.map(|row| row.map(|value| value * 800.0));
    raw.pixdim = [800.0; 8];
    let reader = ScanReader::open(raw.save(case.path("scan.nii"))).unwrap();
    assert!((reader.geometry().spacing().row_mm - 0.8).abs() < 1e-9);
}

#[test]
fn a_file_shorter_than_its_header_says() {
    let mut raw = healthy(I16);
    raw.voxels.pop();
    let error = refused!(
        Case::new().scan(&raw),
        ImagingError::TooShort {
            expected: 592,
            found: 591,
            at_most: false,
            ..
        }
    );
    assert_eq!(
        sentence(&error),
        "the header promises 592 bytes, but the file holds only 591; it was cut off or its header lies, copy it again"
    );
    let case = Case::new();
    let compressed = case.bytes("scan.nii.gz", &gzipped(&raw.bytes()));
    refused!(
        read(&compressed),
        ImagingError::TooShort {
            expected: 592,
            found: 591,
            ..
        }
    );
}

#[test]
fn a_file_longer_than_its_header_says() {
    let mut raw = healthy(I16);
    raw.voxels.push(0);
    let case = Case::new();
    refused!(case.scan(&raw), ImagingError::TooLong { expected: 592, .. });
    refused!(
        read(&case.bytes("scan.nii.gz", &gzipped(&raw.bytes()))),
        ImagingError::TooLong { expected: 592, .. }
    );
}

#[test]
fn a_type_that_is_not_the_voxels() {
    let mut raw = healthy(I16);
    (raw.datatype, raw.bitpix) = (F32, 32);
    refused!(Case::new().scan(&raw), ImagingError::TooShort { .. });
    (raw.datatype, raw.bitpix) = (U8, 8);
    refused!(Case::new().scan(&raw), ImagingError::TooLong { .. });
}

/// 30000^3 doubles are 216 TB. Neither kind of file may make the reader ask for them.
#[test]
fn a_header_that_promises_terabytes() {
    let case = Case::new();
    let mut raw = healthy(F64);
    raw.dim = [3, 30_000, 30_000, 30_000, 1, 1, 1, 1];
    assert!(matches!(geometry_error(&raw), GeometryError::Shape { .. }));
    // Just below the limit on voxels: the file's size gives it away.
    raw.dim = [3, 1600, 1600, 1600, 1, 1, 1, 1];
    refused!(
        case.scan(&raw),
        ImagingError::TooShort { at_most: false, .. }
    );
    refused!(
        read(&case.bytes("scan.nii.gz", &gzipped(&raw.bytes()))),
        ImagingError::TooShort { at_most: true, .. }
    );
}

#[test]
fn gzip_data_cut_off() {
    let case = Case::new();
    let whole = gzipped(&healthy(I16).bytes());
    read(&case.bytes("whole.nii.gz", &whole)).unwrap();
    for keep in 2..whole.len() {
        let error = read(&case.bytes("scan.nii.gz", &whole[..keep])).unwrap_err();
        assert!(
            matches!(
                error,
                ImagingError::DamagedGzip { .. } | ImagingError::TooShort { at_most: true, .. }
            ),
            "{keep} of {} bytes: {error}",
            whole.len()
        );
        assert!(
            keep < 30 || error.to_string().contains("the gzip data is cut off"),
            "{keep}: {error}"
        );
    }
}

#[test]
fn a_wrong_checksum() {
    let case = Case::new();
    let mut bytes = gzipped(&healthy(I16).bytes());
    let at = bytes.len() - 8;
    bytes[at] ^= 1;
    let error = refused!(
        read(&case.bytes("scan.nii.gz", &bytes)),
        ImagingError::DamagedGzip { .. }
    );
    assert!(error.to_string().contains("damaged"));
}

#[test]
fn bytes_after_the_gzip_data() {
    let case = Case::new();
    let bytes = gzipped(&healthy(I16).bytes());
    refused!(
        read(&case.bytes("scan.nii.gz", &[&bytes[..], b"more"].concat())),
        ImagingError::TrailingBytes { .. }
    );
    refused!(
        read(&case.bytes("scan.nii.gz", &[&bytes[..], b"\0\0more"].concat())),
        ImagingError::TrailingBytes { .. }
    );
    // Padding to whole blocks is common and means nothing, as for gzip itself.
    read(&case.bytes("scan.nii.gz", &[&bytes[..], &[0; 700]].concat())).unwrap();
}

/// Parallel compressors write a chain of members; to gzip that is one file.
#[test]
fn gzip_members_in_a_row_are_one_volume() {
    let case = Case::new();
    let bytes = healthy(I16).bytes();
    let chain: Vec<u8> = bytes.chunks(100).flat_map(gzipped).collect();
    read(&case.bytes("scan.nii.gz", &chain)).unwrap();
    refused!(
        read(&case.bytes("scan.nii.gz", &[chain, gzipped(b"x")].concat())),
        ImagingError::TooLong { .. }
    );
}

#[test]
fn compression_is_told_by_content_not_by_name() {
    let case = Case::new();
    read(&case.bytes("scan.nii", &gzipped(&healthy(I16).bytes()))).unwrap();
    read(&case.bytes("scan.nii.gz", &healthy(I16).bytes())).unwrap();
}

/// Slice 4 of the canonical volume, in files that stream and in files that do not.
#[test]
fn nan_and_infinite_voxels() {
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        for datatype in [F32, F64] {
            for order in Order::all() {
                let shape = [6, 5, 4];
                let values = order
                    .indices(shape)
                    .map(|index| if index == [4, 2, 1] { value } else { 0.0 });
                let mut raw = RawNifti::new(order.file_shape(shape), datatype, values);
                support::place(
                    &mut raw,
                    &order.affine(shape, [1.0; 3], [0.0; 3]),
                    support::Declared::Sform,
                );
                refused!(
                    Case::new().scan(&raw),
                    ImagingError::NotFinite { slice: 4, .. }
                );
            }
        }
    }
    let mut raw = healthy(F32);
    raw.set((0..120).map(|i| if i == 8 { f64::NAN } else { 0.0 }));
    assert_eq!(
        sentence(&Case::new().scan(&raw).unwrap_err()),
        "slice 2 holds a voxel of value NaN; replace such voxels, for example by -1024 HU (air), before sending the scan"
    );
}

#[test]
fn labels_of_another_dataset() {
    let case = Case::new();
    for (datatype, value) in [
        (U8, 3.0),
        (U16, 256.0),
        (U16, 257.0),
        (I16, -1.0),
        (F32, 0.5),
        (F64, 1.0001),
    ] {
        let mut raw = healthy(datatype);
        raw.set((0..120).map(|i| if i == 11 { value } else { f64::from(i % 3) }));
        let mut reader = LabelReader::open(raw.save(case.path("labels.nii"))).unwrap();
        let expected = if datatype == F32 {
            f64::from(value as f32)
        } else {
            value
        };
        let error = refused!(
            reader.next_slice(&mut [0; 20]),
            ImagingError::NotALabel { slice: 5, .. }
        );
        assert!(
            sentence(&error).starts_with(&format!(
                "slice 5 holds label {expected}; labels are 0 (background)"
            )),
            "{error}"
        );
    }
}

#[test]
fn an_image_and_labels_on_different_grids() {
    let case = Case::new();
    let scan = ScanReader::open(healthy(I16).save(case.path("scan.nii"))).unwrap();
    let change = |change: fn(&mut RawNifti)| {
        let mut raw = healthy(U8);
        change(&mut raw);
        let labels = LabelReader::open(raw.save(case.path("labels.nii"))).unwrap();
        scan.check_labels(&labels)
    };
    change(|_| ()).unwrap();
    change(|raw| raw.srow[1][3] = 0.05).unwrap();
    let shifted = refused!(
        change(|raw| raw.srow[1][3] = 0.5),
        ImagingError::GridsDiffer { .. }
    );
    assert!(
        shifted.to_string().ends_with(
            "labels.nii: the grids disagree: one is 6 x 5 x 4 (slices x rows x columns) at 1.0000 x 1.0000 x 1.0000 mm, stored IPL, \
             first voxel at (0.00, 0.00, 0.00) mm, the other 6 x 5 x 4 (slices x rows x columns) at 1.0000 x 1.0000 x 1.0000 mm, \
             stored IPL, first voxel at (0.00, 0.50, 0.00) mm; use labels that were drawn on this very image"
        ),
        "{shifted}"
    );
    let mirrored: fn(&mut RawNifti) = |raw| raw.srow[0][2] = 1.0;
    let thicker: fn(&mut RawNifti) = |raw| (raw.srow[2][0], raw.pixdim[1]) = (-1.1, 1.1);
    let longer: fn(&mut RawNifti) = |raw| {
        raw.dim[1] = 7;
        raw.set((0..140).map(|_| 0.0));
    };
    for other in [mirrored, thicker, longer] {
        refused!(change(other), ImagingError::GridsDiffer { .. });
    }
}

#[test]
fn a_buffer_of_the_wrong_size() {
    let case = Case::new();
    let mut reader = ScanReader::open(healthy(I16).save(case.path("scan.nii"))).unwrap();
    refused!(
        reader.next_slice(&mut [0; 19]),
        ImagingError::BufferSize {
            expected: 20,
            found: 19,
            ..
        }
    );
    refused!(
        reader.read_slice(0, &mut [0; 21]),
        ImagingError::BufferSize {
            expected: 20,
            found: 21,
            ..
        }
    );
    refused!(
        reader.read_slice(6, &mut [0; 20]),
        ImagingError::NoSuchSlice {
            index: 6,
            slices: 6,
            ..
        }
    );
}

#[test]
fn an_error_stays_until_the_file_changes() {
    let case = Case::new();
    for order in [
        Order::KITS,
        Order {
            axes: [2, 1, 0],
            reversed: [false; 3],
        },
    ] {
        let shape = [6, 5, 4];
        let mut raw = RawNifti::new(
            order.file_shape(shape),
            F32,
            order
                .indices(shape)
                .map(|i| if i == [3, 0, 0] { f64::NAN } else { 1.0 }),
        );
        support::place(
            &mut raw,
            &order.affine(shape, [1.0; 3], [0.0; 3]),
            support::Declared::Sform,
        );
        let mut reader = ScanReader::open(raw.save(case.path("scan.nii.gz"))).unwrap();
        let mut slice = [0; 20];
        while reader.next_slice(&mut slice).is_ok() {}
        for _ in 0..3 {
            refused!(
                reader.next_slice(&mut slice),
                ImagingError::NotFinite { slice: 3, .. }
            );
        }
    }
}

fn kits() -> Geometry {
    Geometry::kits([6, 5, 4], Spacing::new(3.0, 0.8, 0.8).unwrap()).unwrap()
}

#[test]
fn impossible_grids() {
    let spacing = Spacing::new(3.0, 0.8, 0.8).unwrap();
    for shape in [[0, 5, 4], [6, 40_000, 4], [30_000, 30_000, 30_000]] {
        assert_eq!(
            Geometry::kits(shape, spacing),
            Err(GeometryError::Shape { shape })
        );
    }
    let spacing = Spacing::new(3.0, 0.8, 300.0).unwrap();
    assert!(matches!(
        Geometry::kits([6, 5, 4], spacing),
        Err(GeometryError::Implausible { .. })
    ));
}

#[test]
fn a_failed_write_leaves_nothing_and_spoils_nothing() {
    let case = Case::new();
    let path = case.path("labels.nii.gz");
    let bad = |slice: usize, out: &mut [u8]| out[0] = if slice == 5 { 3 } else { 0 };
    refused!(
        write_labels(&path, &kits(), &mut { bad }),
        ImagingError::NotALabel {
            slice: 5,
            value: 3.0,
            ..
        }
    );
    assert_eq!(std::fs::read_dir(case.folder.path()).unwrap().count(), 0);
    write_labels(&path, &kits(), &mut |_, out| out.fill(1)).unwrap();
    let before = content(&path);
    refused!(
        write_labels(&path, &kits(), &mut { bad }),
        ImagingError::NotALabel { .. }
    );
    assert_eq!(content(&path), before);
    assert_eq!(std::fs::read_dir(case.folder.path()).unwrap().count(), 1);
}

#[test]
fn names_and_folders_that_cannot_be_written() {
    let case = Case::new();
    refused!(
        write_labels(&case.path("labels.png"), &kits(), &mut |_, _| ()),
        ImagingError::OutputName { .. }
    );
    refused!(
        write_labels(&case.path("none/labels.nii.gz"), &kits(), &mut |_, _| ()),
        ImagingError::Io {
            action: "write",
            ..
        }
    );
}

#[test]
fn equal_labels_give_equal_files() {
    let case = Case::new();
    let (one, two) = (case.path("one.nii.gz"), case.path("two.nii.gz"));
    for path in [&one, &two] {
        write_labels(path, &kits(), &mut |slice, out| out.fill(slice as u8 % 3)).unwrap();
    }
    assert_eq!(std::fs::read(one).unwrap(), std::fs::read(two).unwrap());
}
