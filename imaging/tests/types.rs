//! Every number type, both byte orders, any scaling: the HU that come out are the ones that arithmetic in f64 gives.

mod support;

use nephrobox_imaging::{ImagingError, LabelReader, ScanReader};
use proptest::prelude::*;
use support::{F32, F64, I8, I16, I32, I64, Order, RawNifti, U8, U16, U32, U64};

const TYPES: [i16; 10] = [U8, I8, I16, U16, I32, U32, I64, U64, F32, F64];

/// All voxels in canonical order.
fn read(path: &std::path::Path) -> Result<Vec<i16>, ImagingError> {
    let mut reader = ScanReader::open(path)?;
    let len = reader.geometry().slice_len();
    let mut all = vec![0; len * reader.geometry().slices()];
    let mut slice = vec![0; len];
    while let Some(index) = reader.next_slice(&mut slice)? {
        all[index * len..][..len].copy_from_slice(&slice);
    }
    Ok(all)
}

fn order() -> impl Strategy<Value = Order> {
    (0..48usize).prop_map(|i| Order::all().nth(i).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Shows RQ-20.
    #[test]
    fn hu_are_the_scaled_values_rounded_and_saturated(
        shape in [1..9usize, 1..9usize, 1..9usize],
        order in order(),
        datatype in prop::sample::select(&TYPES[..]),
        big_endian: bool,
        gzip: bool,
        scaling in prop::option::of((prop::sample::select(vec![1.0f32, 0.5, -2.0, 0.1, 1000.0]), prop::sample::select(vec![0.0f32, -1024.0, 0.25, 8192.0]))),
        seed: u64,
        extension in 0..3usize,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut raw = RawNifti::new(order.file_shape(shape), datatype, []);
        raw.big_endian = big_endian;
        raw.extension = vec![0; 4 + 16 * extension];
        raw.vox_offset += 16.0 * extension as f32;
        (raw.slope, raw.intercept) = scaling.unwrap_or((0.0, 77.0));
        support::place(&mut raw, &order.affine(shape, [1.0; 3], [0.0; 3]), support::Declared::Sform);
        // Random bits of the type itself, except floats, which stay finite.
        let mut state = seed;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state >> 16
        };
        let values: Vec<f64> = (0..shape.iter().product()).map(|_| {
            let bits = random();
            match datatype {
                U8 => f64::from(bits as u8),
                I8 => f64::from(bits as i8),
                U16 => f64::from(bits as u16),
                I16 => f64::from(bits as i16),
                U32 | U64 => (bits as u32 >> (bits % 32)) as f64,
                I32 | I64 => (bits as i32 >> (bits % 32)) as f64,
                _ => f64::from((bits as i32 >> (bits % 32)) as f32 / 16.0),
            }
        }).collect();
        raw.set(values.iter().copied());
        let path = raw.save(folder.path().join(if gzip { "scan.nii.gz" } else { "scan.nii" }));

        let mut expected = vec![0; values.len()];
        for ([s, r, c], value) in order.indices(shape).zip(&values) {
            let scaled = scaling.map_or(*value, |(slope, intercept)| value * f64::from(slope) + f64::from(intercept));
            expected[(s * shape[1] + r) * shape[2] + c] = scaled.round_ties_even() as i16;
        }
        prop_assert_eq!(read(&path).unwrap(), expected);
    }

    #[test]
    fn labels_come_through_in_every_type(
        shape in [1..6usize, 1..6usize, 1..6usize],
        order in order(),
        datatype in prop::sample::select(&TYPES[..]),
        big_endian: bool,
        labels in prop::collection::vec(0..3u8, 125),
        bad in prop::option::of((any::<prop::sample::Index>(), prop::sample::select(vec![3.0, 4.0, 100.0, 127.0]))),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let voxels: usize = shape.iter().product();
        let mut values: Vec<f64> = labels[..voxels].iter().map(|&label| f64::from(label)).collect();
        let bad = bad.map(|(at, value)| (at.index(voxels), value));
        if let Some((at, value)) = bad {
            values[at] = value;
        }
        let mut raw = RawNifti::new(order.file_shape(shape), datatype, []);
        raw.big_endian = big_endian;
        support::place(&mut raw, &order.affine(shape, [1.0; 3], [0.0; 3]), support::Declared::Both);
        raw.set(values.iter().copied());
        let path = raw.save(folder.path().join("labels.nii"));
        let mut reader = LabelReader::open(&path).unwrap();
        let mut slice = vec![9; shape[1] * shape[2]];
        let indices: Vec<_> = order.indices(shape).collect();
        loop {
            match reader.next_slice(&mut slice) {
                Ok(None) => {
                    prop_assert!(bad.is_none());
                    break;
                }
                Ok(Some(index)) => {
                    for ([s, r, c], value) in indices.iter().zip(&values) {
                        prop_assert!(*s != index || f64::from(slice[r * shape[2] + c]) == *value);
                    }
                }
                Err(ImagingError::NotALabel { slice, value, .. }) => {
                    let (at, expected) = bad.expect("only a bad label is refused");
                    prop_assert_eq!((slice, value), (indices[at][0], expected));
                    break;
                }
                Err(error) => return Err(TestCaseError::fail(error.to_string())),
            }
        }
    }

    /// Whatever a header says, the answer is a volume or an error: no panic, and no memory beyond what the file could fill.
    /// Shows RQ-69.
    #[test]
    fn any_header_is_read_or_refused(
        changes in prop::collection::vec((0..348usize, any::<u8>()), 1..6),
        gzip: bool,
        cut in 0..500usize,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut bytes = RawNifti::new([4, 5, 6], U8, (0..120).map(|i| f64::from(i % 3))).bytes();
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        bytes.truncate(bytes.len().saturating_sub(cut.saturating_sub(400)));
        let bytes = if gzip { support::gzipped(&bytes) } else { bytes };
        let path = folder.path().join("volume.nii");
        std::fs::write(&path, bytes).unwrap();
        if let Err(error) = read(&path) {
            prop_assert!(error.to_string().contains("volume.nii"));
        }
    }

    #[test]
    fn any_damage_to_compressed_data_is_noticed_or_harmless(at in any::<prop::sample::Index>(), byte: u8, cut in prop::option::of(any::<prop::sample::Index>())) {
        let folder = tempfile::tempdir().unwrap();
        let values = (0..1000).map(|i| f64::from(i * 37 % 251));
        let mut bytes = support::gzipped(&RawNifti::new([10, 10, 10], I16, values).bytes());
        let at = at.index(bytes.len());
        let length = bytes.len();
        let path = folder.path().join("volume.nii.gz");
        std::fs::write(&path, &bytes).unwrap();
        let whole = read(&path).unwrap();
        bytes[at] = byte;
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        std::fs::write(&path, &bytes).unwrap();
        // Some bits touch no voxel: flags, time and system of gzip's header, codes of deflate that are never used.
        if let Ok(voxels) = read(&path) {
            prop_assert_eq!(bytes.len(), length, "cut off");
            prop_assert_eq!(voxels, whole);
        }
    }
}
