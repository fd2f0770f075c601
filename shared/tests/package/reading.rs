//! What is written is read back, from where the specification says.

use proptest::prelude::*;

use nephrobox_shared::package::{ALIGNMENT, Dtype, PackageView, TensorSource, write};

use crate::{PROGRAM, TRAILER_LEN, example, f32_bytes, manifest, rehash, table_start};

#[test]
fn what_is_written_is_read_back() {
    let file = example();
    let view = PackageView::open(&file).unwrap();
    assert_eq!(view.manifest().unwrap(), manifest());
    assert_eq!(view.program(), PROGRAM);
    assert_eq!(view.signature(), None);
    assert_eq!(
        view.hash(),
        blake3::hash(&file[..file.len() - TRAILER_LEN]).as_bytes()
    );

    let names: Vec<_> = view
        .tensors()
        .map(|t| (t.info.name, t.info.dtype, t.info.shape.axes().to_vec()))
        .collect();
    assert_eq!(
        names,
        [
            ("conv/kernel", Dtype::I8, vec![3, 1, 1, 2]),
            ("conv/bias", Dtype::F32, vec![3]),
            ("half", Dtype::F16, vec![2, 1]),
            ("raw", Dtype::I8, vec![1]),
        ]
    );
    let kernel = view.tensor(0).unwrap();
    assert_eq!(kernel.data, [1, 2, 3, 4, 5, 6]);
    assert_eq!(kernel.scales().collect::<Vec<_>>(), [0.1, 0.2, 0.3]);
    assert_eq!(view.tensor(1).unwrap().data, f32_bytes(&[0.5, -0.25, 3.0]));
    assert_eq!(view.tensor(3).unwrap().scales().len(), 0);
    assert!(view.tensor(4).is_none());
    for tensor in view.tensors() {
        let position = tensor.data.as_ptr() as usize - file.as_ptr() as usize;
        assert_eq!(position % ALIGNMENT, 0, "{}", tensor.info.name);
    }
    assert_eq!(file, example(), "the same parts give the same bytes");
}

/// A model without tensors, program or self-test is odd but well-formed.
#[test]
fn empty_sections_are_fine() {
    let file = write(&manifest(), &[], &[]).unwrap();
    let view = PackageView::open(&file).unwrap();
    assert!(view.is_empty() && view.program().is_empty());
}

/// `docs/formats/package.md` promises these offsets to readers in other languages.
#[test]
fn the_bytes_lie_where_the_specification_says() {
    let file = example();
    let u64_at = |at: usize| u64::from_le_bytes(file[at..at + 8].try_into().unwrap());
    assert_eq!(&file[..8], b"NBX1\x02\x00\x00\x00");
    assert_eq!(u64_at(8), file.len() as u64);
    assert_eq!(u64_at(24), PROGRAM.len() as u64);
    assert_eq!(file[48..52], 4_u32.to_le_bytes());
    let program = (64 + u64_at(16) as usize).next_multiple_of(64);
    assert_eq!(&file[program..program + PROGRAM.len()], PROGRAM);
    let table = (program + PROGRAM.len()).next_multiple_of(64);
    assert_eq!(table, table_start(&PackageView::open(&file).unwrap()));
    assert_eq!(
        u64_at(32),
        4 * 64 + "conv/kernelconv/biashalfraw".len() as u64
    );
    let data = (table + u64_at(32) as usize).next_multiple_of(64);
    assert_eq!(file[data..data + 6], [1, 2, 3, 4, 5, 6]);
    assert_eq!(file[data + 64..data + 68], 0.1_f32.to_le_bytes());
    assert_eq!(u64_at(table + 16), 64);
    assert_eq!(u64_at(table + 64), 128);
    assert_eq!(file[table + 34..table + 36], [2, 4]);
    assert_eq!(&file[table + 256..table + 267], b"conv/kernel");
    assert_eq!(
        file.len(),
        (data + u64_at(40) as usize).next_multiple_of(64) + TRAILER_LEN
    );
}

proptest! {
    /// Shows RQ-69.
    #[test]
    fn random_bytes_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..600), dress in any::<bool>()) {
        if dress && bytes.len() >= 64 {
            // Past magic, version and total length, so that the rest is looked at.
            let total = bytes.len() as u64;
            bytes[..8].copy_from_slice(b"NBX1\x02\x00\x00\x00");
            bytes[8..16].copy_from_slice(&total.to_le_bytes());
        }
        prop_assert!(PackageView::open(&bytes).is_err());
    }

    /// Crafted packages: bytes changed anywhere and hashed again. They are refused or read, never anything else, and
    /// what is read lies inside the file.
    #[test]
    fn crafted_packages_never_panic(changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut file = example();
        let end = file.len() - TRAILER_LEN;
        for (index, value) in changes {
            file[index.index(end)] = value;
        }
        rehash(&mut file);
        if let Ok(view) = PackageView::open(&file) {
            let _ = view.manifest();
            prop_assert_eq!(view.tensors().count(), view.len());
        }
    }

    #[test]
    fn any_tensors_come_back(shapes in proptest::collection::vec((proptest::collection::vec(1..5_u32, 1..5), 0..3_u8, any::<bool>()), 0..9)) {
        let parts: Vec<_> = shapes
            .iter()
            .map(|(shape, code, scaled)| {
                let dtype = Dtype::from_code(*code).unwrap();
                let len = shape.iter().product::<u32>() as usize * dtype.size();
                let data: Vec<u8> = (0..len).map(|i| (i * 31 + shape.len()) as u8).collect();
                let scales = if *scaled && dtype == Dtype::I8 { vec![0.25; shape[0] as usize] } else { vec![] };
                (dtype, shape, data, scales)
            })
            .collect();
        let sources: Vec<_> = parts
            .iter()
            .map(|(dtype, shape, data, scales)| TensorSource { name: "same name", dtype: *dtype, shape, data, scales })
            .collect();
        let file = write(&manifest(), PROGRAM, &sources).unwrap();
        let view = PackageView::open(&file).unwrap();
        prop_assert_eq!(view.len(), parts.len());
        for (tensor, (dtype, shape, data, scales)) in view.tensors().zip(&parts) {
            prop_assert_eq!((tensor.info.dtype, tensor.info.shape.axes(), tensor.data), (*dtype, &shape[..], &data[..]));
            prop_assert_eq!(&tensor.scales().collect::<Vec<_>>(), scales);
        }
    }
}
