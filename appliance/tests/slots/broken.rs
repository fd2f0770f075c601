//! Packages that a trusted key has signed and that no box can run: refused when they are whole, and the model in use stays.

use nephrobox::slots::{Outcome, Refusal, Slots, SlotsError};
use nephrobox::storage::{Folder, Storage};
use nephrobox_engine::program::{Op, Precision, Program, TensorId, ValueId};
use nephrobox_shared::package::{Dtype, Manifest, TensorSource, signing, write};
use tempfile::TempDir;

use crate::packages::{
    MAKER, installed, key, manifest, open, package, send, settings, tester, version,
};

/// A package of any program over some tensors `[3, 1, 1, 1]` and one `[1]`, signed.
fn forged(manifest: &Manifest, ops: Vec<Op>, output: u32, scales: &[f32]) -> Vec<u8> {
    let program = Program {
        input_channels: 1,
        classes: 3,
        multiple: 1,
        output: ValueId(output),
        ops,
    };
    let grid = 0.004_f32.to_le_bytes();
    let kernel = TensorSource {
        name: "kernel",
        dtype: Dtype::I8,
        shape: &[3, 1, 1, 1],
        data: &[0, 100, 50],
        scales,
    };
    let grid = TensorSource {
        name: "grid",
        dtype: Dtype::F32,
        shape: &[1],
        data: &grid,
        scales: &[],
    };
    let program = program.to_bytes().expect("a program's bytes");
    let mut file = write(manifest, &program, &[kernel, grid]).expect("a package");
    signing::sign(&mut file, &key(MAKER)).expect("signed");
    file
}

fn quantise(input: u32, output: u32) -> Op {
    Op::Quantise {
        input: ValueId(input),
        output: ValueId(output),
        scale: TensorId(1),
        precision: Precision::U8,
    }
}

fn conv(input: u32, output: u32, padding: u32) -> Op {
    Op::Conv2d {
        input: ValueId(input),
        output: ValueId(output),
        weight: TensorId(0),
        bias: None,
        stride: 1,
        padding,
    }
}

/// As version 7, with a window, a reference, a size and a tensor that no box can bear.
fn broken() -> [(&'static str, Vec<u8>, &'static str); 5] {
    const SCALES: [f32; 3] = [0.01; 3];
    let one = manifest(7);
    let mut odd = manifest(7);
    (odd.input.preprocess.rows, odd.input.preprocess.cols) = (4096, 4096);
    let rectifiers = (2..5001).map(|value| Op::Relu {
        input: ValueId(value - 1),
        output: ValueId(value),
    });
    let long: Vec<Op> = std::iter::once(quantise(0, 1)).chain(rectifiers).collect();
    // Each convolution has 16 x 16 products for each of 16 million pixels, 300 times.
    let slow: Vec<Op> = std::iter::once(quantise(0, 1))
        .chain((2..302).map(|value| conv(1, value, 0)))
        .collect();
    [
        (
            "a padding as wide as the world",
            forged(&one, vec![quantise(0, 1), conv(1, 2, u32::MAX)], 2, &SCALES),
            "the model's program is unusable: operation 1 (conv2d) has kernel 1, stride 1, padding 4294967295;",
        ),
        (
            "a value that nothing makes",
            forged(&one, vec![quantise(9, 1), conv(1, 2, 0)], 2, &SCALES),
            "the model's program is unusable: operation 0 (quantise) reads v9, which nothing before it defines",
        ),
        (
            "five thousand operations",
            forged(&one, long, 2, &SCALES),
            "the model's program is unusable: the program has 5000 operations; 1 to 4096 are possible",
        ),
        (
            "a slice that takes minutes",
            forged(&odd, slow, 2, &SCALES),
            "the model cannot run: one slice would take 1288758624256 multiplications;",
        ),
        (
            "weights without scales",
            forged(&one, vec![quantise(0, 1), conv(1, 2, 0)], 2, &[]),
            "tensor kernel of shape [3, 1, 1, 1] has 0 numbers or scales where 3 belong",
        ),
    ]
}

#[test]
fn a_signed_and_broken_package_leaves_both_slots_as_they_were() {
    let disk = installed(&[6]);
    let slots = open(&disk);
    let before = disk.read("a.nbx", u64::MAX).expect("a file");
    for (name, file, sentence) in broken() {
        let refused = send(&slots, &file, None).expect_err(name);
        assert!(
            matches!(refused, SlotsError::Refused(Refusal::Model(_))),
            "{name}: {refused}"
        );
        assert!(
            refused.to_string().starts_with(sentence),
            "{name}: {refused}"
        );
        assert_eq!(
            disk.len("b.nbx").expect("a length"),
            None,
            "{name}: it is gone"
        );
        assert_eq!(
            disk.read("a.nbx", u64::MAX).expect("a file"),
            before,
            "{name}"
        );
        assert_eq!(version(&slots).expect("slots"), Some(6), "{name}");
    }
    drop(slots);
    assert_eq!(version(&open(&disk)).expect("slots"), Some(6));
}

/// A sum that doubles with each of forty additions: the model is sound, and the integer executor cannot compute it.
#[test]
fn what_the_executor_refuses_is_told_by_the_verdict_and_the_model_before_stays() {
    let doubling = (3..43).map(|value| Op::Add {
        a: ValueId(value - 1),
        b: ValueId(value - 1),
        output: ValueId(value),
    });
    let ops: Vec<Op> = [quantise(0, 1), conv(1, 2, 0)]
        .into_iter()
        .chain(doubling)
        .collect();
    let endless = forged(&manifest(7), ops, 42, &[0.01; 3]);
    let tester = tester();
    let home = TempDir::new().expect("a folder");
    let folder = Folder::open(home.path()).expect("a folder");
    let (slots, _) = Slots::open(folder, settings()).expect("a start");
    send(&slots, &package(6), None).expect("sent");
    let (verdict, _) = slots.try_out(&tester).expect("tried").expect("a verdict");
    assert!(verdict.is_good(), "{verdict}");

    send(&slots, &endless, None).expect("sent");
    let (verdict, model) = slots.try_out(&tester).expect("tried").expect("a verdict");
    assert!(model.is_none());
    let Outcome::Bad(why) = &verdict.outcome else {
        panic!("{verdict}");
    };
    assert!(
        why.ends_with("is not quantised in a way that the integer executor knows; quantise the model, or run it in floating point"),
        "{why}"
    );
    assert_eq!(version(&slots).expect("slots"), Some(6));
}
