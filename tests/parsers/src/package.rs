//! Model packages: bytes that anyone could have written, and bytes that somebody with a trusted key could have signed.

use std::sync::LazyLock;

use nephrobox_engine::cpu::{f32, int8};
use nephrobox_engine::executor::{Settings, start_with};
use nephrobox_engine::model::SliceModel;
use nephrobox_engine::package::Model;
use nephrobox_engine::program::{Op, Plan, Program, Storage, Tensor, Tensors};
use nephrobox_engine::self_test;
use nephrobox_shared::package::permit::Permit;
use nephrobox_shared::package::signing::{sign, verify};
use nephrobox_shared::package::{PackageView, SecretKey, TRAILER_LEN};

/// The side of the images that programs are run on, in tiles.
const TILES: usize = 2;
/// Multiplications that a program may cost to be run here, and bytes of its values.
const COST: u64 = 1 << 22;

static KEY: LazyLock<SecretKey> = LazyLock::new(|| SecretKey::from_seed(&[7; 32]));

/// A package as it is, and with the hash put right and signed, so that whatever stands in it is met.
pub fn package(bytes: &[u8]) {
    let _ = Permit::open(bytes, &[KEY.public()]);
    let _ = PackageView::open(bytes).map(|view| verify(&view, &[KEY.public()]).is_ok());
    let mut bytes = bytes.to_vec();
    let Some(trailer) = bytes.len().checked_sub(TRAILER_LEN) else {
        return;
    };
    let hash = blake3::hash(&bytes[..trailer]);
    bytes[trailer..].fill(0);
    bytes[trailer..trailer + 32].copy_from_slice(hash.as_bytes());
    if sign(&mut bytes, &KEY).is_err() {
        return;
    }
    let view = PackageView::open(&bytes).expect("it has been signed");
    verify(&view, &[KEY.public()]).expect("by this key");
    let Ok(loaded) = Model::from_vec(bytes) else {
        return;
    };
    run(loaded.model);
}

/// Runs a model's self-test, or a slice of noise, on what the box would choose.
fn run(model: Model) {
    let preprocess = model.manifest().input.preprocess;
    let size = [preprocess.rows, preprocess.cols];
    if cost(model.program(), model.tensors(), model.plan(), size) > COST {
        return;
    }
    let manifest = model.manifest().clone();
    let settings = Settings {
        device: "cpu".into(),
        threads: Some(1),
        ..Settings::default()
    };
    let Ok(mut running) = start_with(model, &settings, &mut |_| ()) else {
        return;
    };
    let arithmetic = running.engine.arithmetic;
    let first = &mut running.models[0];
    let _ = self_test::run_in(arithmetic, &manifest, &mut **first);
    label(&mut **first);
}

/// A program with tensors of any shapes, run on both executors. The first two bytes are the length of the program; then each tensor has its number
/// of axes, the axes, and how its numbers are made.
pub fn program(bytes: &[u8]) {
    let Some((length, rest)) = bytes.split_first_chunk::<2>() else {
        return;
    };
    let Some((program, rest)) = rest.split_at_checked(u16::from_le_bytes(*length).into()) else {
        return;
    };
    let Ok(program) = Program::from_bytes(program) else {
        return;
    };
    let again = program.to_bytes().expect("what was read can be written");
    assert_eq!(Program::from_bytes(&again).as_ref(), Ok(&program));
    let tensors = tensors(rest);
    let Ok(plan) = program.check(&tensors) else {
        return;
    };
    let side = (program.multiple as usize).saturating_mul(TILES);
    if !plan.accepts(side, side) || cost(&program, &tensors, &plan, [side; 2]) > COST {
        return;
    }
    let options = int8::Options {
        size: [side; 2],
        input_scale: 1.0,
        threads: 1,
        kernels: int8::KERNELS.choose().expect("kernels for this machine"),
    };
    if let Ok(mut network) = int8::Network::new(&program, tensors.clone(), options) {
        label(&mut network);
    }
    let settings = f32::Settings {
        threads: 1,
        ..f32::Settings::default()
    };
    if let Ok(mut network) = f32::Network::new(&program, tensors, [side; 2], settings) {
        label(&mut network);
    }
}

fn tensors(mut bytes: &[u8]) -> Tensors {
    let mut tensors = Tensors::default();
    while let Some((&axes, rest)) = bytes.split_first() {
        let Some((shape, rest)) = rest.split_at_checked(usize::from(axes % 5)) else {
            break;
        };
        let Some((&kind, rest)) = rest.split_first() else {
            break;
        };
        bytes = rest;
        let shape: Vec<usize> = shape.iter().map(|&axis| axis.into()).collect();
        let count = shape.iter().product::<usize>().min(1 << 16);
        let mut values = noise(count);
        for value in &mut values {
            match kind & 7 {
                0 => *value -= 0.5,
                1 => *value *= 1e30,
                2 => *value = 0.0,
                3 => *value *= f32::MIN_POSITIVE,
                4 => *value = -*value,
                5 => *value = 0.02,
                _ => {}
            }
        }
        let Ok(tensor) = Tensor::f32(format!("{}", tensors.len()), shape, values) else {
            continue;
        };
        let storage = [Storage::F32, Storage::F16, Storage::I8][usize::from(kind >> 3) % 3];
        tensors.push(tensor.stored_as(storage).unwrap_or(tensor));
    }
    tensors
}

/// Multiplications of convolutions and bytes of values, whichever is more.
fn cost(program: &Program, tensors: &Tensors, plan: &Plan, [rows, cols]: [usize; 2]) -> u64 {
    let work = program.ops.iter().map(|op| {
        let output = op.output();
        let pixels = plan.pixels(output, rows) as u64 * plan.pixels(output, cols) as u64;
        let (Op::Conv2d { weight, .. } | Op::UpConv2d { weight, .. }) = op else {
            return pixels.saturating_mul(plan.shape(output).channels as u64);
        };
        let weights = tensors.get(*weight).map_or(0, Tensor::elements) as u64;
        pixels.saturating_mul(weights)
    });
    let values = plan.peak_value_bytes(rows, cols);
    work.fold(values, u64::saturating_add)
}

fn label(model: &mut (impl SliceModel + ?Sized)) {
    let [rows, cols, planes] = [model.rows(), model.cols(), model.planes()];
    let image = noise(rows * cols * planes);
    let mut labels = vec![0; rows * cols];
    if model.segment(&image, 1, &mut labels).is_ok() {
        assert!(
            labels.iter().all(|&label| label < 3),
            "a class that is none"
        );
    }
}

fn noise(count: usize) -> Vec<f32> {
    (0..count)
        .map(|i| (i * 7919 % 1009) as f32 / 1009.0)
        .collect()
}
