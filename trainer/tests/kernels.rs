//! The paper's smallest and deepest network in integers: every set of kernels on this machine gives the same bytes.

use burn::tensor::Device;
use nephrobox_engine::cpu::f32::{self, Observer};
use nephrobox_engine::cpu::int8::{KERNELS, Network, Options};
use nephrobox_engine::flips::over_flips;
use nephrobox_engine::model::{LogitsModel as _, SliceModel};
use nephrobox_engine::program::{Op, Program, Rewrites, Tensors, quantised, rewrite, sites};
use nephrotrain::network::{Encoder, Parameters, UnetSpec, lower};

/// The least that all encoders take twice over.
const SIDE: usize = 64;

/// A gradient with bright and dark discs, in 0 ..= 1.
fn slice(seed: usize) -> Vec<f32> {
    let disc = |x: usize, y: usize, n: usize| {
        let centre = [(seed * 23 + n * 19) % SIDE, (seed * 11 + n * 29) % SIDE];
        x.abs_diff(centre[0]).pow(2) + y.abs_diff(centre[1]).pow(2) < 80
    };
    let pixels = (0..SIDE * SIDE).map(|i| (i % SIDE, i / SIDE));
    pixels
        .map(|(x, y)| match (disc(x, y, 0), disc(x, y, 1)) {
            (true, _) => 0.9,
            (false, true) => 0.1,
            _ => 0.2 + 0.5 * (x + y) as f32 / (2 * SIDE) as f32,
        })
        .collect()
}

/// The network as the trainer makes it, with random weights, its statistics those of training's first step, quantised with the largest
/// number of one slice at every rounding.
fn integers(encoder: Encoder) -> (Program, Tensors) {
    let graph = UnetSpec::paper(encoder, 3).graph();
    let parameters = Parameters::initialise(&graph, 7, &Device::flex());
    let (program, tensors) = lower(&graph, &parameters).unwrap();
    let rewrites = Rewrites {
        phases: true,
        repeated: true,
    };
    let (program, tensors) = rewrite(&program, tensors, rewrites).unwrap();
    let sites = sites(&program);
    let mut largest = vec![0.0_f32; program.ops.len() + 1];
    Observer::new(
        &program,
        tensors.clone(),
        [SIDE; 2],
        f32::Settings::default(),
    )
    .unwrap()
    .observe(&slice(1), 1, &|_| true, &mut |value, numbers| {
        largest[value.index()] = numbers.iter().fold(1e-6, |m, x| m.max(x.abs()));
    })
    .unwrap();
    let grids: Vec<_> = sites
        .into_iter()
        .map(|site| {
            (
                site,
                largest[site.value.index()] / site.precision.range()[1],
            )
        })
        .collect();
    let first = program
        .ops
        .iter()
        .find(|op| matches!(op, Op::Conv2d { .. }));
    let wide: Vec<_> = first.map(Op::output).into_iter().collect();
    quantised(&program, &tensors, &grids, &wide).unwrap()
}

#[test]
fn label_maps_of_the_shallowest_and_the_deepest_network_are_the_same_with_all_kernels() {
    for encoder in [Encoder::ResNet18, Encoder::ResNet101] {
        let (program, tensors) = integers(encoder);
        let mut known: Option<(Vec<u8>, Vec<f32>)> = None;
        // The portable kernels first: they are what the others are held against.
        let sets: Vec<_> = KERNELS.available().collect();
        for &kernels in sets.iter().rev() {
            for threads in [2, 1] {
                let options = Options {
                    size: [SIDE; 2],
                    input_scale: 1.0,
                    threads,
                    kernels,
                };
                let mut network = Network::new(&program, tensors.clone(), options).unwrap();
                assert_eq!(network.kernels(), kernels);
                let (mut labels, mut logits) = (Vec::new(), Vec::new());
                for seed in [1, 2] {
                    let mut found = vec![9; SIDE * SIDE];
                    network.segment(&slice(seed), 1, &mut found).unwrap();
                    labels.extend(found);
                    logits.extend(network.logits(&slice(seed), 1).unwrap());
                }
                let (wanted, exact) = known.get_or_insert_with(|| (labels.clone(), logits.clone()));
                assert!(
                    labels == *wanted,
                    "{encoder}: labels of {kernels}, {threads} threads"
                );
                assert!(
                    logits == *exact,
                    "{encoder}: logits of {kernels}, {threads} threads"
                );
            }
        }
        let (labels, _) = known.unwrap();
        let mut classes = [0; 3];
        for &label in &labels {
            classes[usize::from(label)] += 1;
        }
        assert!(
            classes.iter().filter(|&&count| count > 50).count() > 1,
            "{encoder}: one class everywhere proves little, {classes:?}"
        );
        println!("{encoder}: {sets:?} give the same label maps, {classes:?} pixels of each class");
    }
}

/// Mirror images are the business of nobody's kernels: integers are looked at from four sides like any other executor.
#[test]
fn labels_of_integers_over_flips_mirror_with_the_image() {
    let (program, tensors) = integers(Encoder::ResNet18);
    let options = Options {
        size: [SIDE; 2],
        input_scale: 1.0,
        threads: 1,
        kernels: KERNELS.choose().unwrap(),
    };
    let mut plain = Network::new(&program, tensors.clone(), options).unwrap();
    let mut flipping = over_flips(Network::new(&program, tensors, options).unwrap());
    let labels = |model: &mut dyn SliceModel, image: &[f32]| {
        let mut labels = vec![9; SIDE * SIDE];
        model.segment(image, 1, &mut labels).unwrap();
        labels
    };
    let (image, mut turned) = (slice(3), slice(3));
    // Upside down and left to right is back to front.
    turned.reverse();
    let mut there = labels(&mut flipping, &turned);
    there.reverse();
    assert!(there == labels(&mut flipping, &image));
    assert!(
        there != labels(&mut plain, &image),
        "the plain network is not symmetric"
    );
}
