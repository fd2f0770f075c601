//! A lowered program and the network it came from give the same logits.

use burn::tensor::{Device, Tensor, TensorData};
use nephrobox_engine::burn::Executor;
use nephrotrain::closed_form;
use nephrotrain::network::{Encoder, Parameters, UnetSpec, infer, lower};

/// Largest difference, as a share of the range of the logits.
fn difference(encoder: Encoder, channels: usize, [rows, cols]: [usize; 2], seed: u64) -> f64 {
    let device = Device::flex();
    let graph = UnetSpec::paper(encoder, channels).graph();
    let parameters = Parameters::random(&graph, seed, &device);
    let pixels: Vec<f32> = closed_form::unit(&format!("{seed}/image"), channels * rows * cols)
        .map(|u| u as f32)
        .collect();
    let images = Tensor::from_data(
        TensorData::new(pixels.clone(), [1, channels, rows, cols]),
        &device,
    );
    let logits = infer(&graph, &parameters, &images, |_, _| {});
    let network: Vec<f32> = logits.into_data().try_into_vec().unwrap();

    let (program, tensors) = lower(&graph, &parameters).unwrap();
    assert_eq!(program.multiple, 32, "{encoder}");
    let mut executor =
        Executor::from_program(&program, &tensors, [rows, cols], 1.0, &device).unwrap();
    let lowered = executor.raw_logits(&pixels, 1, rows, cols).unwrap();

    let range = network.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
    let worst = network
        .iter()
        .zip(&lowered)
        .fold(0.0_f32, |m, (a, b)| m.max((a - b).abs()));
    assert_eq!(network.len(), lowered.len());
    assert!(
        range > 1e-3 && range.is_finite(),
        "{encoder}: the logits say nothing, their range is {range}"
    );
    f64::from(worst / range)
}

#[test]
fn program_and_network_agree_for_every_encoder() {
    for encoder in Encoder::ALL {
        let small = matches!(encoder, Encoder::ResNet18 | Encoder::ResNet34);
        for seed in 0..if small { 3 } else { 1 } {
            let channels = if seed % 2 == 0 { 1 } else { 3 };
            let size = if seed == 2 { [64, 32] } else { [32, 64] };
            let worst = difference(encoder, channels, size, seed);
            assert!(
                worst < 1e-5,
                "{encoder}, seed {seed}: off by {worst:e} of the range"
            );
        }
    }
}

#[test]
fn a_network_with_a_nan_cannot_be_lowered() {
    let device = Device::flex();
    let graph = UnetSpec::paper(Encoder::ResNet18, 1).graph();
    let mut parameters = Parameters::initialise(&graph, 1, &device);
    parameters
        .set("final_conv/bias", vec![0.0, f32::NAN, 0.0])
        .unwrap();
    assert!(lower(&graph, &parameters).is_err());
}
