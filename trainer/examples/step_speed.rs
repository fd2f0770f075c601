//! Times training steps: `step_speed ENCODER BATCH SIDE STEPS`.
use std::time::Instant;

use burn::tensor::{Device, Distribution, Tensor};
use nephrotrain::adam::AdamConfig;
use nephrotrain::loss::{Loss, Reduction, one_hot};
use nephrotrain::network::{Encoder, Freeze, Parameters, UnetSpec};
use nephrotrain::train::step::{Batch, Learner};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let encoder: Encoder = args[1].parse().unwrap();
    let (b, side, steps): (usize, usize, usize) = (
        args[2].parse().unwrap(),
        args[3].parse().unwrap(),
        args[4].parse().unwrap(),
    );
    let device = Device::flex();
    let graph = UnetSpec::paper(encoder, 1).graph();
    let parameters = Parameters::initialise(&graph, 1, &device);
    let freeze = Freeze::none(&graph);
    let loss = Loss::FocalDice {
        gamma: 0.5,
        smooth: 1e-5,
        reduction: Reduction::Image,
    };
    let mut learner = Learner::new(
        graph,
        parameters,
        freeze,
        loss,
        AdamConfig::default(),
        &device,
    );
    let ad = learner.device().clone();
    let labels: Vec<u8> = (0..b * side * side).map(|i| ((i / 37) % 3) as u8).collect();
    for _ in 0..steps {
        let batch = Batch {
            images: Tensor::random([b, 1, side, side], Distribution::Uniform(0.0, 1.0), &ad),
            truth: one_hot(&labels, [b, side, side], &ad),
            weights: Tensor::ones([b], &ad),
        };
        let t = Instant::now();
        let out = learner.pass(batch);
        let t1 = t.elapsed();
        learner.apply(out.gradients, 1e-4);
        let v: f32 = out.loss.into_scalar();
        println!(
            "loss {v:.6} pass {t1:?} step {:?} per image {:?}",
            t.elapsed(),
            t.elapsed() / b as u32
        );
    }
}
