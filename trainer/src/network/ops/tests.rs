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
        let [n, from, out] = [1 + draw.index(3), 1 + draw.index(40), 1 + draw.index(40)];
        // Odd and even sizes, wide enough that some rows make several tiles.
        let size = [kernel + draw.index(20), kernel + draw.index(70)];
        let x = random(&format!("x{round}"), [n, from, size[0], size[1]], &device);
        let w = random(&format!("w{round}"), [out, from, kernel, kernel], &device);
        let key = format!("g{round}");
        let own = passes(x.clone(), w.clone(), &key, |x, w| {
            let last = Layout::ChannelsLast;
            last.leave(last.conv2d(last.enter(x), w, None, stride, padding))
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
            let layout = if fast {
                Layout::ChannelsLast
            } else {
                Layout::ChannelsFirst
            };
            let normed =
                layout.batch_norm(layout.enter(x.clone()), scale, beta.clone(), 1e-3, relu);
            let output = layout.leave(normed.output);
            let upstream = random::<4>(&format!("g{round}"), shape, &device);
            let tape = (output.clone() * upstream).sum().backward();
            let mut all = vec![
                to_vec(output.inner()),
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

/// Pooling, doubling, joining and the bias, each with its gradients, in both layouts.
#[test]
fn maps_agree_with_burns_own() {
    let device = Device::flex().autodiff();
    let mut draw = Stream::new("maps");
    for round in 0..10 {
        let [n, c, h, w] = [
            1 + draw.index(3),
            1 + draw.index(20),
            2 + draw.index(20),
            2 + draw.index(20),
        ];
        let run = |layout: Layout| {
            let x = random::<4>(&format!("x{round}"), [n, c, h, w], &device).require_grad();
            let small = random::<4>(&format!("s{round}"), [n, 3, h, w], &device).require_grad();
            let kernel = random::<4>(&format!("k{round}"), [2, c + 3, 1, 1], &device);
            let bias = random::<1>(&format!("b{round}"), [2], &device).require_grad();
            let y = layout.concat(layout.enter(x.clone()), layout.enter(small.clone()));
            let pooled = layout.max_pool(y);
            let wide = layout.upsample(pooled);
            let y = layout.leave(layout.conv2d(wide, kernel, Some(bias.clone()), 1, 0));
            let upstream = random::<4>(&format!("g{round}"), y.dims(), &device);
            let tape = (y.clone() * upstream).sum().backward();
            [
                to_vec(y.inner()),
                to_vec(x.grad(&tape).unwrap()),
                to_vec(small.grad(&tape).unwrap()),
                to_vec(bias.grad(&tape).unwrap()),
            ]
        };
        let (own, burn) = (run(Layout::ChannelsLast), run(Layout::ChannelsFirst));
        for (part, (own, burn)) in own.iter().zip(&burn).enumerate() {
            assert_close(&format!("{n} x {c} x {h} x {w}, part {part}"), own, burn);
        }
    }
}

/// A resumed run continues bit for bit on any number of threads only if no sum depends on it.
#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let device = Device::flex().autodiff();
    let last = Layout::ChannelsLast;
    // A narrow layer, a wide one and a strided one: the three ways in which work is shared out.
    for (from, out, size, kernel, stride) in
        [(5, 20, 70, 3, 1), (100, 90, 12, 3, 1), (9, 33, 30, 3, 2)]
    {
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| {
                let x = random("x", [3, from, size, size], &device);
                let w = random("w", [out, from, kernel, kernel], &device);
                passes(x, w, "g", |x, w| {
                    let y = last.conv2d(last.enter(x), w, None, stride, 1);
                    let beta = Tensor::zeros([out], &device);
                    last.leave(last.batch_norm(y, None, beta, 1e-3, true).output)
                })
            })
        };
        let one = run(1);
        for threads in [2, 5] {
            assert!(
                run(threads) == one,
                "{from} to {out}: {threads} threads differ from one"
            );
        }
    }
}
