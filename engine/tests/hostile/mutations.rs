//! Real programs in which any value is changed, signed again: each is refused with a sentence, or runs within its limits.

use std::cell::Cell;

use nephrobox_engine::executor::Arithmetic;
use nephrobox_engine::package::Model;
use proptest::prelude::*;
use proptest::test_runner::{TestError, TestRunner};
use serde_json::{Value, json};

use crate::forge::{Parts, RawTensor};
use crate::road::{self, assert_little_memory, go};

/// Decisions, from one number (`SplitMix64`).
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n.max(1) as u64) as usize
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

/// Whole numbers at which something begins or ends.
const WHOLE: [i64; 22] = [
    0,
    1,
    2,
    3,
    4,
    8,
    15,
    16,
    17,
    31,
    32,
    33,
    64,
    255,
    256,
    1 << 16,
    1 << 20,
    i32::MAX as i64,
    1 << 31,
    u32::MAX as i64,
    1 << 40,
    1 << 62,
];

/// Numbers of tensors that are none, or hardly.
const NUMBERS: [f32; 12] = [
    0.0,
    -0.0,
    -1.0,
    127.0,
    1e-30,
    1e-40,
    1e30,
    3e38,
    -3e38,
    f32::NAN,
    f32::INFINITY,
    f32::NEG_INFINITY,
];

/// Operations with the same fields.
const ALIKE: [&[&str]; 2] = [&["Relu", "Upsample2x", "Softmax"], &["Add", "Concat"]];

/// Changes one value somewhere in a tree.
fn change(tree: &mut Value, dice: &mut Dice) {
    match tree {
        Value::Array(items) if !items.is_empty() => {
            let [a, b] = [(); 2].map(|()| dice.below(items.len()));
            match dice.below(12) {
                0 => drop(items.remove(a)),
                1 => items.insert(a, items[b].clone()),
                2 => items.swap(a, b),
                3 => items.truncate(a),
                _ => change(&mut items[a], dice),
            }
        }
        Value::Object(fields) if !fields.is_empty() => {
            let names: Vec<String> = fields.keys().cloned().collect();
            let name = &names[dice.below(names.len())];
            let alike = ALIKE.iter().find(|names| names.contains(&name.as_str()));
            match alike {
                Some(others) if dice.below(3) == 0 => {
                    let value = fields.remove(name).unwrap();
                    fields.insert(dice.pick(others).to_owned(), value);
                }
                _ => change(&mut fields[name], dice),
            }
        }
        leaf => *leaf = other(leaf, dice),
    }
}

/// Another value in the place of one.
fn other(leaf: &Value, dice: &mut Dice) -> Value {
    match leaf {
        Value::Bool(so) => json!(!so),
        Value::Null => json!(dice.below(5)),
        Value::String(_) => match dice.below(6) {
            0 => json!(""),
            1 => json!("\u{1b}[2J"),
            2 => json!("x".repeat(300)),
            _ => json!(dice.pick(&["U8", "I16", "linear", "area"])),
        },
        Value::Number(number) => match (number.as_i64(), dice.below(6)) {
            (_, 0) => Value::Null,
            (Some(n), 1) => json!(n + 1),
            (Some(n), 2) => json!((n - 1).max(0)),
            (Some(n), 3) => json!(-n),
            (Some(_), _) => json!(dice.pick(&WHOLE)),
            (None, _) => json!(dice.pick(&[0.0, -1.0, 1.5, 1e300])),
        },
        Value::Array(_) | Value::Object(_) => json!([0]),
    }
}

/// Changes a tensor, or which there are.
fn change_tensors(tensors: &mut Vec<RawTensor>, dice: &mut Dice) {
    let (at, with) = (dice.below(tensors.len()), dice.below(tensors.len()));
    match dice.below(12) {
        0 => drop(tensors.remove(at)),
        1 => tensors.insert(at, tensors[with].clone()),
        2 => tensors.swap(at, with),
        kind => change_tensor(&mut tensors[at], kind, dice),
    }
}

fn change_tensor(tensor: &mut RawTensor, kind: usize, dice: &mut Dice) {
    let bytes = tensor.data.len();
    match kind {
        3 => tensor.dtype = dice.below(4) as u8,
        // Another storage that is right for as many bytes.
        4 => {
            let size = [4, 2, 1][usize::from(tensor.dtype)];
            tensor.dtype = dice.below(3) as u8;
            let elements = bytes / size * [4, 2, 1][usize::from(tensor.dtype)];
            tensor.data.resize(elements, 1);
            tensor.scales.clear();
            if tensor.dtype == 2 {
                tensor.scales.resize(tensor.axes[0] as usize, 0.01);
            }
        }
        5 => tensor.axes.swap(dice.below(4), dice.below(4)),
        6 => tensor.axes[dice.below(4)] = dice.pick(&WHOLE) as u32,
        7 => tensor.rank = dice.below(6) as u8,
        8 => tensor.data.truncate(dice.below(bytes)),
        9 => tensor.name.clear(),
        10 if !tensor.scales.is_empty() => {
            let at = dice.below(tensor.scales.len());
            tensor.scales[at] = dice.pick(&NUMBERS);
        }
        _ if tensor.dtype == 0 => {
            let at = 4 * dice.below(bytes / 4);
            let number = dice.pick(&NUMBERS).to_le_bytes();
            tensor.data[at..at + 4].copy_from_slice(&number);
        }
        _ => tensor.data[dice.below(bytes)] = dice.pick(&[0, 0x7f, 0x80, 0xff]),
    }
}

/// A package like another but for one or two changes; `None` if what they make has no bytes.
fn mutant(base: &Parts, model: &Model, seed: u64) -> Option<Parts> {
    let mut dice = Dice(seed);
    let mut parts = base.clone();
    let mut program = serde_json::to_value(model.program()).unwrap();
    let mut manifest = serde_json::to_value(model.manifest()).unwrap();
    for _ in 0..=dice.below(2) {
        match dice.below(8) {
            0..4 => change(&mut program, &mut dice),
            4..6 => change(&mut manifest, &mut dice),
            _ => change_tensors(&mut parts.tensors, &mut dice),
        }
    }
    let program: nephrobox_engine::program::Program = serde_json::from_value(program).ok()?;
    let manifest: nephrobox_shared::package::Manifest = serde_json::from_value(manifest).ok()?;
    parts.program = program.to_bytes().unwrap();
    parts.manifest = postcard::to_stdvec(&manifest).unwrap();
    Some(parts)
}

/// Sends mutants of a model down the road, and returns how many were refused and how many ran.
fn refused_and_ran(model: &Model, with: &[Arithmetic], cases: u32) -> [u32; 2] {
    let base = Parts::of(model);
    let found = Cell::new([0; 2]);
    let mut runner = TestRunner::new(ProptestConfig {
        cases,
        max_shrink_iters: 0,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let ended = runner.run(&any::<u64>(), |seed| {
        let parts = mutant(&base, model, seed);
        prop_assume!(parts.is_some());
        let [refused, ran] = found.get();
        let end = go(&parts.unwrap().signed(), with);
        if let Err(why) = &end {
            prop_assert!((20..400).contains(&why.len()), "{why}");
            prop_assert!(!why.contains(char::is_control), "{why:?}");
        }
        found.set(match end {
            Err(_) => [refused + 1, ran],
            Ok(_) => [refused, ran + 1],
        });
        Ok(())
    });
    match ended {
        Err(TestError::Fail(why, seed)) => panic!("the mutant of seed {seed}: {why}"),
        ended => ended.unwrap(),
    }
    found.get()
}

#[test]
fn changed_small_programs_are_refused_or_run_within_their_limits() {
    let both = [Arithmetic::Int8, Arithmetic::F32];
    for model in [road::small(), road::float()] {
        let [refused, ran] = refused_and_ran(&model, &both, 400);
        // Neither a gate that is always shut nor one that stands open.
        assert!(refused > 100 && ran > 40, "{refused} refused, {ran} ran");
    }
    assert_little_memory();
}

#[test]
fn changes_of_the_bundled_model_are_refused_or_run_within_their_limits() {
    // Other mutants each time, of which few run: that the model itself does is shown in `road`.
    let [refused, ran] = refused_and_ran(&road::bundled(), &[Arithmetic::Int8], 40);
    assert!(refused > 4, "{refused} refused, {ran} ran");
    assert_little_memory();
}
