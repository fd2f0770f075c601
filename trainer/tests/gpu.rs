//! The code that runs on GPUs (`CubeCL` kernels) against the CPU backend, on whatever adapter there is.
//!
//! Opt-in, since building it takes long: `cargo test -p nephrotrain --features webgpu --test gpu`.
//! A machine without a GPU needs a software Vulkan driver, such as Debian's `mesa-vulkan-drivers`.
//! The first run chooses kernels by timing them, which takes most of the time.

#![cfg(feature = "webgpu")]

use burn::tensor::{Device, Tensor, TensorData};
use nephrobox_engine::device;
use nephrotrain::adam::AdamConfig;
use nephrotrain::closed_form;
use nephrotrain::loss::{Loss, Reduction, one_hot};
use nephrotrain::network::architecture::{Family, Unit};
use nephrotrain::network::{Freeze, Graph, Parameters, UnetSpec, infer};
use nephrotrain::train::step::{Batch, Learner};

const SIDE: usize = 32;
const IMAGES: usize = 3;
const RATE: f64 = 1e-3;

/// The paper's network in small: every kind of layer, both strides, a skip.
fn graph() -> Graph {
    let spec = UnetSpec {
        family: Family::Reference,
        adapter: false,
        unit: Unit::Basic,
        repetitions: vec![1, 1],
        decoder_filters: vec![16, 8, 8],
        channels: 1,
        classes: 3,
    };
    spec.graph()
}

fn gpu() -> Device {
    device::select("webgpu").expect("this test needs a GPU or a software Vulkan driver")
}

fn pixels() -> Vec<f32> {
    closed_form::signed("gpu/images", IMAGES * SIDE * SIDE)
        .map(|v| v as f32)
        .collect()
}

fn images(device: &Device) -> Tensor<4> {
    Tensor::from_data(TensorData::new(pixels(), [IMAGES, 1, SIDE, SIDE]), device)
}

fn batch(device: &Device) -> Batch {
    let labels: Vec<u8> = pixels().iter().map(|v| ((v + 1.0) * 1.49) as u8).collect();
    let weights = TensorData::new(vec![0.2_f32, 1.0, 0.5], [IMAGES]);
    Batch {
        images: images(device),
        truth: one_hot(&labels, [IMAGES, SIDE, SIDE], device),
        weights: Tensor::from_data(weights, device),
    }
}

fn learner(device: &Device, more: &[Device]) -> Learner {
    let graph = graph();
    let parameters = Parameters::initialise(&graph, 7, device);
    let freeze = Freeze::none(&graph);
    let loss = Loss::DicePlusCrossEntropy {
        gamma: 0.5,
        smooth: 1e-5,
        reduction: Reduction::Image,
    };
    let adam = AdamConfig::default();
    Learner::new(graph, parameters, freeze, loss, adam, device).with_devices(more)
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().expect("f32 throughout")
}

fn largest(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |m, v| m.max(v.abs()))
}

/// Largest difference, relative to the largest value.
fn difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let differences: Vec<f32> = a.iter().zip(b).map(|(a, b)| a - b).collect();
    largest(&differences) / largest(a).max(f32::MIN_POSITIVE)
}

#[test]
fn inference_equals_the_cpu() {
    let run = |device: &Device| {
        let graph = graph();
        let parameters = Parameters::initialise(&graph, 7, device);
        values(infer(&graph, &parameters, &images(device), |_, _| {}))
    };
    let found = difference(&run(&Device::flex()), &run(&gpu()));
    println!("forward: {found:e} of the largest logit");
    assert!(found < 1e-4, "{found:e}");
}

/// One step of `b` against one of `a`: loss, logits, gradients, moving statistics, and what the step did.
fn step_alike(mut a: Learner, mut b: Learner) {
    let (of_a, of_b) = (a.pass(batch(a.device())), b.pass(batch(b.device())));
    let logits = difference(&values(of_a.logits), &values(of_b.logits));
    let loss = difference(&values(of_a.loss), &values(of_b.loss));
    println!("training pass: logits {logits:e}, loss {loss:e}");
    assert!(logits < 1e-3 && loss < 1e-4, "{logits:e} {loss:e}");
    let gradients: Vec<[Vec<f32>; 2]> = of_a
        .gradients
        .iter()
        .zip(&of_b.gradients)
        .filter_map(|(a, b)| Some([values(a.clone()?), values(b.clone()?)]))
        .collect();
    let scale = gradients
        .iter()
        .map(|[a, _]| largest(a))
        .fold(0.0, f32::max);
    let gradient = gradients
        .iter()
        .map(|[a, b]| difference(a, b) * largest(a) / scale)
        .fold(0.0, f32::max);
    println!("backward: {gradient:e} of the largest gradient");
    assert!(scale > 0.0 && gradient < 1e-3, "{gradient:e}");
    a.apply(of_a.gradients, RATE);
    b.apply(of_b.gradients, RATE);
    // Adam's first step is nearly the gradient's sign, so a gradient that is noise may go either way.
    let (mut sum, mut count) = (0.0_f64, 0_usize);
    for (i, entry) in a.parameters.entries().iter().enumerate() {
        for (x, y) in a.parameters.read(i).into_iter().zip(b.parameters.read(i)) {
            let apart = f64::from((x - y).abs());
            assert!(apart < 2.1 * RATE, "{}: {x} {y}", entry.variable.name());
            sum += apart;
            count += 1;
        }
    }
    let mean = sum / count as f64;
    println!("step: variables differ by {mean:e} in the mean, of a step of {RATE}");
    assert!(mean < 0.02 * RATE, "{mean:e}");
    let next = |learner: &mut Learner| {
        let batch = batch(learner.device());
        values(learner.pass(batch).loss)
    };
    let (a, b) = (next(&mut a), next(&mut b));
    let loss = difference(&a, &b);
    println!("after the step: loss {a:?} and {b:?}, {loss:e} apart");
    assert!(loss < 1e-3, "{loss:e}");
}

#[test]
fn a_training_step_equals_the_cpu() {
    step_alike(learner(&Device::flex(), &[]), learner(&gpu(), &[]));
}

/// Two devices that share no memory: every transfer of a step over several devices is a real one.
#[test]
fn a_step_shared_with_the_cpu_equals_the_cpu() {
    let shared = learner(&gpu(), &[Device::flex()]);
    step_alike(learner(&Device::flex(), &[]), shared);
}
