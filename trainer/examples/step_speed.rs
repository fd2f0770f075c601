//! Times training steps: `step_speed ENCODER BATCH SIDE STEPS`. The peer is `tools/peers/train_torch.py`,
//! which prints the same line.
//!
//! `cpu` is the processor time of all threads: on a machine that others use too, that is what to compare.
//! It and the peak memory are read from Linux' `/proc` and left out elsewhere.

use std::time::Instant;

use anyhow::{Context, Result};
use burn::tensor::{Device, Distribution, Tensor};
use nephrotrain::adam::AdamConfig;
use nephrotrain::loss::{Loss, Reduction, one_hot};
use nephrotrain::network::{Encoder, Freeze, Parameters, UnetSpec, train_pass};
use nephrotrain::train::step::{Batch, Learner};

// As the program itself: memory of steps stays with the process.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [encoder, numbers @ ..] = &args[..] else {
        anyhow::bail!(
            "usage: step_speed ENCODER BATCH SIDE STEPS, for example: step_speed resnet18 8 256 5"
        );
    };
    let encoder: Encoder = encoder.parse().map_err(anyhow::Error::msg)?;
    let numbers: Vec<usize> = numbers
        .iter()
        .map(|n| n.parse())
        .collect::<Result<_, _>>()
        .context("BATCH, SIDE and STEPS are numbers")?;
    let &[batch, side, steps] = &numbers[..] else {
        anyhow::bail!("usage: step_speed ENCODER BATCH SIDE STEPS");
    };
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
    let tracked = learner.device().clone();
    let labels: Vec<u8> = (0..batch * side * side)
        .map(|i| ((i / 37) % 3) as u8)
        .collect();
    for _ in 0..steps {
        let images = Tensor::random(
            [batch, 1, side, side],
            Distribution::Uniform(0.0, 1.0),
            &tracked,
        );
        let truth = one_hot(&labels, [batch, side, side], &tracked);
        // A pass without loss and gradients, only to split the time; it is not part of the step.
        let start = Instant::now();
        let freeze = Freeze::none(learner.graph());
        drop(train_pass(
            learner.graph(),
            &learner.parameters,
            &freeze,
            &images,
            &tracked,
        ));
        let forward = start.elapsed().as_secs_f64();
        let (start, busy) = (Instant::now(), cpu_seconds());
        let out = learner.pass(Batch {
            images,
            truth,
            weights: Tensor::ones([batch], &tracked),
        });
        let pass = start.elapsed().as_secs_f64();
        learner.apply(out.gradients, 1e-4);
        let value: f32 = out.loss.into_scalar();
        let step = start.elapsed().as_secs_f64();
        print!(
            "loss {value:.6} forward {forward:.3} backward {:.3} optimiser {:.3} step {step:.3}",
            (pass - forward).max(0.0),
            step - pass
        );
        match cpu_seconds().zip(busy) {
            Some((end, start)) => println!(" cpu {:.3}", end - start),
            None => println!(),
        }
    }
    if let Some(peak) = peak_mib() {
        println!("peak memory {peak:.0} MiB");
    }
    Ok(())
}

/// Processor time of all threads so far.
fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // Behind the name in brackets: state is field 3, user and system time are fields 14 and 15.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let ticks: f64 = fields.next()?.parse::<f64>().ok()? + fields.next()?.parse::<f64>().ok()?;
    Some(ticks / 100.0)
}

/// Peak resident memory.
fn peak_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM"))?;
    Some(line.split_whitespace().nth(1)?.parse::<f64>().ok()? / 1024.0)
}
