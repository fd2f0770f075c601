//! The CPU backend's own passes against Burn's, on random shapes.

use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor, TensorData, module};

use super::*;
use crate::closed_form::{Stream, signed};
use crate::network::parameters::to_vec;

fn random<const D: usize>(key: &str, shape: [usize; D], device: &Device) -> Tensor<D> {
    let values: Vec<f32> = signed(key, shape.iter().product())
        .map(|v| v as f32)
        .collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

fn assert_close(what: &str, found: &[f32], expected: &[f32]) {
    let scale = expected.iter().fold(1e-3_f32, |m, v| m.max(v.abs()));
    let worst = found
        .iter()
        .zip(expected)
        .fold(0.0_f32, |m, (a, b)| m.max((a - b).abs()));
    assert_eq!(found.len(), expected.len(), "{what}");
    assert!(worst <= 2e-5 * scale, "{what}: off by {worst:e} of {scale}");
}

/// Output and both gradients for a random upstream gradient.
fn passes(
    x: Tensor<4>,
    w: Tensor<4>,
    key: &str,
    conv: impl FnOnce(Tensor<4>, Tensor<4>) -> Tensor<4>,
) -> [Vec<f32>; 3] {
    let (x, w) = (x.require_grad(), w.require_grad());
    let y = conv(x.clone(), w.clone());
    let upstream = random(key, y.dims(), &y.device());
    let tape = (y.clone() * upstream).sum().backward();
    [
        to_vec(y.inner()),
        to_vec(x.grad(&tape).unwrap()),
        to_vec(w.grad(&tape).unwrap()),
    ]
}

#[test]
fn convolutions_agree_with_burns_own() {
    let device = Device::flex().autodiff();
    let mut draw = Stream::new("convolutions");
    for round in 0..40 {
        let kernel = [1, 3, 3, 7][draw.index(4)];
        let stride = 1 + draw.index(2);
        let padding = draw.index(kernel / 2 + 2).min(kernel / 2);
        let [n, from, out] = [1 + draw.index(3), 1 + draw.index(9), 1 + draw.index(9)];
        // Odd and even sizes, wide enough that some rows make several tiles.
        let size = [kernel + draw.index(20), kernel + draw.index(70)];
        let x = random(&format!("x{round}"), [n, from, size[0], size[1]], &device);
        let w = random(&format!("w{round}"), [out, from, kernel, kernel], &device);
        let key = format!("g{round}");
        let own = passes(x.clone(), w.clone(), &key, |x, w| {
            conv2d(x, w, None, stride, padding)
        });
        let burn = passes(x, w, &key, |x, w| {
            module::conv2d(
                x,
                w,
                None,
                ConvOptions::new([stride; 2], [padding; 2], [1; 2], 1),
            )
        });
        for (what, (own, burn)) in ["output", "input", "weight"]
            .iter()
            .zip(own.iter().zip(&burn))
        {
            let case = format!(
                "{what}, {n} x {from} x {size:?} to {out}, kernel {kernel}/{stride}, padding {padding}"
            );
            assert_close(&case, own, burn);
        }
    }
}

#[test]
fn batch_norms_agree_with_the_composed_ones() {
    let device = Device::flex().autodiff();
    let mut draw = Stream::new("batch norms");
    for round in 0..20 {
        let shape = [
            1 + draw.index(3),
            1 + draw.index(6),
            2 + draw.index(40),
            2 + draw.index(40),
        ];
        let (relu, with_gamma) = (draw.chance(0.5), draw.chance(0.5));
        let run = |fast: bool| {
            let x = (random::<4>(&format!("x{round}"), shape, &device) * 3.0 + 5.0)
                .detach()
                .require_grad();
            let gamma = (random::<1>(&format!("gamma{round}"), [shape[1]], &device) + 1.5)
                .detach()
                .require_grad();
            let beta = random::<1>(&format!("beta{round}"), [shape[1]], &device).require_grad();
            let scale = with_gamma.then(|| gamma.clone());
            let normed = if fast {
                batch_norm(x.clone(), scale, beta.clone(), 1e-3, relu)
            } else {
                composed_batch_norm(x.clone(), scale, beta.clone(), 1e-3, relu)
            };
            let upstream = random::<4>(&format!("g{round}"), shape, &device);
            let tape = (normed.output.clone() * upstream).sum().backward();
            let mut all = vec![
                to_vec(normed.output.inner()),
                to_vec(normed.mean),
                to_vec(normed.variance),
            ];
            all.push(to_vec(x.grad(&tape).unwrap()));
            all.push(to_vec(beta.grad(&tape).unwrap()));
            all.extend(gamma.grad(&tape).map(to_vec));
            all
        };
        let (own, burn) = (run(true), run(false));
        assert_eq!(own.len(), burn.len());
        for (index, (own, burn)) in own.iter().zip(&burn).enumerate() {
            // A value at the rectifier's edge may fall on either side; inputs here are far from ties.
            assert_close(&format!("{shape:?}, relu {relu}, part {index}"), own, burn);
        }
    }
}
