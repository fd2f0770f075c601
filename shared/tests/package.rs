//! The model package: what is written is read back, and nothing else is believed.

use nephrobox_shared::{
    metrics::{Evaluation, Scores},
    package::{
        ALIGNMENT, Calibration, Dtype, Input, KeyValue, Manifest, PackageError, PackageView,
        SelfTest, Share, Signature, Split, TensorProblem, TensorSource, TestScores, Training,
        attach_signature, write,
    },
    preprocess::Preprocess,
};
use proptest::prelude::*;

const TRAILER_LEN: usize = 128;

fn scores() -> Scores {
    let mut evaluation = Evaluation::new();
    evaluation
        .add(4, &[0, 1, 1, 2], &[0, 1, 2, 2], 1.0)
        .unwrap();
    evaluation.scores()
}

fn manifest() -> Manifest {
    Manifest {
        name: "example".into(),
        version: 7,
        encoder: "resnet18".into(),
        input: Input {
            preprocess: Preprocess::default(),
            channels: 1,
            scale: 1,
        },
        classes: Manifest::kits_classes(),
        training: Training {
            dataset_fingerprint: "00ff".into(),
            split: Split {
                name: "split.toml".into(),
                train: Share {
                    patients: 116,
                    slices: 9590,
                },
                validation: Share {
                    patients: 20,
                    slices: 1711,
                },
                test: Share {
                    patients: 74,
                    slices: 5494,
                },
            },
            seed: 1,
            hyperparameters: vec![KeyValue {
                key: "loss".into(),
                value: "focal-dice".into(),
            }],
            source_revision: "abc".into(),
            licence_notice: "CC BY-NC-SA 4.0".into(),
        },
        scores: TestScores {
            float: Some(scores()),
            int8: None,
        },
        calibration: Some(Calibration {
            method: "minmax".into(),
            slices: 12,
            dataset_fingerprint: "00ff".into(),
            parameters: vec![],
        }),
        self_test: vec![SelfTest {
            rows: 1,
            cols: 2,
            hu: vec![-1000, 40],
            labels: vec![0, 1],
        }],
    }
}

fn f32_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

const PROGRAM: &[u8] = b"the engine's business";

fn example() -> Vec<u8> {
    let bias = f32_bytes(&[0.5, -0.25, 3.0]);
    write(
        &manifest(),
        PROGRAM,
        &[
            TensorSource {
                name: "conv/kernel",
                dtype: Dtype::I8,
                shape: &[3, 1, 1, 2],
                data: &[1, 2, 3, 4, 5, 6],
                scales: &[0.1, 0.2, 0.3],
            },
            TensorSource {
                name: "conv/bias",
                dtype: Dtype::F32,
                shape: &[3],
                data: &bias,
                scales: &[],
            },
            TensorSource {
                name: "half",
                dtype: Dtype::F16,
                shape: &[2, 1],
                data: &[0, 60, 0, 188],
                scales: &[],
            },
            TensorSource {
                name: "raw",
                dtype: Dtype::I8,
                shape: &[1],
                data: &[255],
                scales: &[],
            },
        ],
    )
    .unwrap()
}

/// Makes the hash true again, as whoever crafts a package would.
fn rehash(file: &mut [u8]) {
    let end = file.len() - TRAILER_LEN;
    let hash = blake3::hash(&file[..end]);
    file[end..end + 32].copy_from_slice(hash.as_bytes());
}

/// Position of the tensor table, by the specification: sections follow one another at multiples of 64.
fn table_start(view: &PackageView<'_>) -> usize {
    let header = view.header();
    let program = (64 + header.manifest_len as usize).next_multiple_of(64);
    (program + header.program_len as usize).next_multiple_of(64)
}

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
    assert_eq!(&file[..8], b"NBX1\x01\x00\x00\x00");
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

/// Every byte matters: none can change in an unsigned package without being noticed.
#[test]
fn every_flipped_bit_is_refused() {
    let mut file = example();
    for position in 0..file.len() {
        for bit in 0..8 {
            file[position] ^= 1 << bit;
            let error = PackageView::open(&file).expect_err("a flipped bit");
            match position {
                0..4 => assert_eq!(error, PackageError::NotAPackage),
                // The minor version may be newer, so that flip is found by the hash.
                4..6 => assert!(matches!(
                    error,
                    PackageError::Newer { .. } | PackageError::UnknownVersion { .. }
                )),
                8..16 => assert!(matches!(error, PackageError::Length { .. })),
                _ => assert!(!error.to_string().is_empty()),
            }
            file[position] ^= 1 << bit;
        }
    }
    assert!(PackageView::open(&file).is_ok());
}

#[test]
fn every_truncation_is_refused_and_so_is_a_tail() {
    let mut file = example();
    for len in 0..file.len() {
        let error = PackageView::open(&file[..len]).expect_err("a truncated package");
        match len {
            0..4 => assert_eq!(error, PackageError::NotAPackage),
            _ => assert!(
                matches!(error, PackageError::Length { found, .. } if found == len as u64),
                "{error}"
            ),
        }
    }
    let whole = file.len() as u64;
    file.push(0);
    let error = PackageView::open(&file).unwrap_err();
    assert_eq!(
        error,
        PackageError::Length {
            expected: whole,
            found: whole + 1
        }
    );
    assert!(error.to_string().contains("copy it again"));
}

/// Sizes that overflow, or that sum to something else, even under a true hash.
#[test]
fn lying_sizes_are_refused_before_they_are_used() {
    let file = example();
    for field in [16, 24, 32, 40] {
        for lie in [
            0,
            1 << 20,
            u64::from(u32::MAX),
            u64::MAX / 2,
            u64::MAX - 63,
            u64::MAX,
        ] {
            let mut file = file.clone();
            file[field..field + 8].copy_from_slice(&lie.to_le_bytes());
            rehash(&mut file);
            assert_eq!(
                PackageView::open(&file).unwrap_err(),
                PackageError::Sections,
                "{lie} at {field}"
            );
        }
    }
    for lie in [5, 1 << 16, u32::MAX] {
        let mut file = file.clone();
        file[48..52].copy_from_slice(&lie.to_le_bytes());
        rehash(&mut file);
        assert!(PackageView::open(&file).is_err(), "{lie} tensors");
    }
    // One tensor fewer leaves bytes that belong to none.
    let mut fewer = file;
    fewer[48] = 3;
    rehash(&mut fewer);
    assert!(PackageView::open(&fewer).is_err());
}

/// Each field of a table entry under a true hash: what it must be, and the sentence's subject when it is not.
#[test]
fn lying_tensor_entries_are_refused_by_name() {
    let original = example();
    let table = table_start(&PackageView::open(&original).unwrap());
    let disasters: [(&str, usize, &[u8], TensorProblem); 15] = [
        (
            "an offset that is not aligned",
            0,
            &[1],
            TensorProblem::Range,
        ),
        (
            "an offset outside the section",
            64,
            &[0, 0, 1],
            TensorProblem::Range,
        ),
        (
            "an offset that overflows",
            64,
            &[0xC0, 255, 255, 255, 255, 255, 255, 255],
            TensorProblem::Range,
        ),
        (
            "an offset into the tensor before",
            64,
            &[0; 8],
            TensorProblem::Range,
        ),
        (
            "another length",
            8,
            &[7],
            TensorProblem::Length {
                expected: 6,
                found: 7,
            },
        ),
        (
            "scales outside the section",
            16,
            &[0, 0, 1],
            TensorProblem::Range,
        ),
        ("scales within the numbers", 16, &[0], TensorProblem::Range),
        (
            "fewer scales than channels",
            24,
            &[2],
            TensorProblem::Scales,
        ),
        (
            "no scales but a place for them",
            24,
            &[0],
            TensorProblem::Scales,
        ),
        (
            "scales of an f32 tensor",
            64 + 24,
            &[3],
            TensorProblem::Scales,
        ),
        (
            "a name outside the table",
            28,
            &[255, 255, 255, 255],
            TensorProblem::Name,
        ),
        ("an empty name", 32, &[0, 0], TensorProblem::Name),
        (
            "an unknown number format",
            34,
            &[3],
            TensorProblem::Dtype(3),
        ),
        ("five axes", 35, &[5], TensorProblem::Shape),
        ("an axis of length 0", 36, &[0], TensorProblem::Shape),
    ];
    for (what, position, bytes, expected) in disasters {
        let mut file = original.clone();
        file[table + position..][..bytes.len()].copy_from_slice(bytes);
        rehash(&mut file);
        match PackageView::open(&file) {
            Err(PackageError::Tensor { index, problem }) => {
                assert_eq!((index, problem), (position / 64, expected), "{what}");
            }
            other => panic!("{what}: {other:?}"),
        }
    }
    // A scale of 0 or NaN would silence a channel or poison it.
    let data = (table + 256 + 27_usize).next_multiple_of(64);
    for scale in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        let mut file = original.clone();
        file[data + 64..data + 68].copy_from_slice(&scale.to_le_bytes());
        rehash(&mut file);
        assert_eq!(
            PackageView::open(&file).unwrap_err(),
            PackageError::Tensor {
                index: 0,
                problem: TensorProblem::Scales
            }
        );
    }
}

/// A box that is older than the model says so, and says what to do.
#[test]
fn a_newer_major_version_is_refused_with_a_way_out() {
    let mut file = example();
    file[4] = 2;
    rehash(&mut file);
    let error = PackageView::open(&file).unwrap_err();
    assert_eq!(error, PackageError::Newer { major: 2, minor: 0 });
    assert!(
        error
            .to_string()
            .contains("update this program, or export the model again")
    );
}

/// A newer minor version may append to the manifest and use reserved fields; an old reader reads what it knows.
#[test]
fn a_newer_minor_version_is_read_as_far_as_it_is_known() {
    let mut file = example();
    let (manifest_len, gap) = {
        let view = PackageView::open(&file).unwrap();
        let len = view.manifest_bytes().len();
        (len, len.next_multiple_of(64) - len)
    };
    assert!(
        gap > 0,
        "the example's manifest must leave room for this test"
    );
    // One more byte of manifest, in a field that does not exist yet.
    file[16..24].copy_from_slice(&(manifest_len as u64 + 1).to_le_bytes());
    rehash(&mut file);
    let same_minor = PackageView::open(&file).unwrap().manifest();
    assert_eq!(same_minor, Err(PackageError::ManifestEncoding));
    file[6] = 1;
    file[63] = 9;
    rehash(&mut file);
    assert_eq!(
        PackageView::open(&file).unwrap().manifest().unwrap(),
        manifest()
    );
    file[6] = 0;
    rehash(&mut file);
    assert_eq!(
        PackageView::open(&file).unwrap_err(),
        PackageError::NotZero { offset: 63 }
    );
}

#[test]
fn a_signature_is_carried_and_its_field_checked() {
    let mut file = example();
    let unsigned = file.clone();
    let signature = Signature {
        key_id: [3; 16],
        bytes: [5; 64],
    };
    attach_signature(&mut file, signature).unwrap();
    let view = PackageView::open(&file).unwrap();
    assert_eq!(view.signature(), Some(&signature));
    assert_eq!(
        view.hash(),
        PackageView::open(&unsigned).unwrap().hash(),
        "signing does not change the identity"
    );

    let trailer = file.len() - TRAILER_LEN;
    let mut stripped = file.clone();
    stripped[trailer + 32] = 0;
    assert_eq!(
        PackageView::open(&stripped).unwrap_err(),
        PackageError::Signature
    );
    let mut unknown = file.clone();
    unknown[trailer + 32] = 2;
    assert_eq!(
        PackageView::open(&unknown).unwrap_err(),
        PackageError::SignatureKind { kind: 2 }
    );
    let nothing = Signature {
        key_id: [0; 16],
        bytes: [0; 64],
    };
    assert_eq!(
        attach_signature(&mut file, nothing),
        Err(PackageError::Signature)
    );
    file[100] ^= 1;
    assert_eq!(
        attach_signature(&mut file, signature),
        Err(PackageError::Hash)
    );
}

#[test]
fn manifests_that_no_model_can_have_are_not_written() {
    type Spoil = fn(&mut Manifest);
    let wrong: [(&str, Spoil); 7] = [
        ("the model's name", |m| m.name = " ".into()),
        ("the number of input channels", |m| m.input.channels = 2),
        ("the input scale", |m| m.input.scale = 100),
        ("the preprocessing", |m| m.input.preprocess.rows = 0),
        ("the class map", |m| m.classes.swap(1, 2)),
        ("the training data's licence notice", |m| {
            m.training.licence_notice.clear();
        }),
        ("a self-test slice", |m| m.self_test[0].rows = 3),
    ];
    for (what, spoil) in wrong {
        let mut manifest = manifest();
        spoil(&mut manifest);
        match write(&manifest, PROGRAM, &[]) {
            Err(PackageError::Manifest { field, .. }) => assert_eq!(field, what),
            other => panic!("{what}: {other:?}"),
        }
    }
}

#[test]
fn tensors_that_do_not_fit_are_not_written() {
    let fine = TensorSource {
        name: "t",
        dtype: Dtype::I8,
        shape: &[2],
        data: &[1, 2],
        scales: &[0.5, 0.5],
    };
    let wrong = [
        (TensorSource { name: "", ..fine }, TensorProblem::Name),
        (TensorSource { shape: &[], ..fine }, TensorProblem::Shape),
        (
            TensorSource {
                shape: &[2, 0],
                ..fine
            },
            TensorProblem::Shape,
        ),
        (
            TensorSource {
                shape: &[u32::MAX; 4],
                ..fine
            },
            TensorProblem::Shape,
        ),
        (
            TensorSource { data: &[1], ..fine },
            TensorProblem::Length {
                expected: 2,
                found: 1,
            },
        ),
        (
            TensorSource {
                scales: &[0.5],
                ..fine
            },
            TensorProblem::Scales,
        ),
        (
            TensorSource {
                scales: &[0.5, 0.0],
                ..fine
            },
            TensorProblem::Scales,
        ),
        (
            TensorSource {
                dtype: Dtype::F16,
                data: &[0; 4],
                ..fine
            },
            TensorProblem::Scales,
        ),
    ];
    for (tensor, expected) in wrong {
        let error = write(&manifest(), PROGRAM, &[fine, tensor]).unwrap_err();
        assert_eq!(
            error,
            PackageError::Tensor {
                index: 1,
                problem: expected
            }
        );
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..600), dress in any::<bool>()) {
        if dress && bytes.len() >= 64 {
            // Past magic, version and total length, so that the rest is looked at.
            let total = bytes.len() as u64;
            bytes[..8].copy_from_slice(b"NBX1\x01\x00\x00\x00");
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
