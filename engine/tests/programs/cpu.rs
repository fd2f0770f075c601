//! The f32 CPU executor against the naive interpreter, on every set of kernels this machine has.

use nephrobox_engine::cpu::f32::{KERNELS, Network, NetworkError, Observer, Settings};
use nephrobox_engine::cpu::{KernelError, KernelSet};
use nephrobox_engine::flips::over_flips;
use nephrobox_engine::model::{EngineError, LogitsModel as _, SliceModel};
use nephrobox_engine::program::{
    ArgmaxError, Builder, FitError, Op, Program, Tensor, TensorId, Tensors, ValueId,
};
use proptest::prelude::*;

use crate::naive::{self, Value};
use crate::random::{self, MULTIPLE, noise};
use crate::unet;

fn settings(kernels: KernelSet, threads: usize) -> Settings {
    Settings {
        kernels: Some(kernels),
        threads,
        neighbours: true,
        ..Settings::default()
    }
}

fn wanted(
    program: &Program,
    tensors: &Tensors,
    images: &[f32],
    [rows, cols]: [usize; 2],
) -> Vec<f32> {
    let channels = program.input_channels as usize;
    let each = images.chunks_exact(channels * rows * cols);
    let run = |image: &[f32]| {
        let data = image.to_vec();
        let image = Value {
            channels,
            rows,
            cols,
            data,
        };
        naive::run(program, tensors, image).data
    };
    each.flat_map(run).collect()
}

/// Largest difference, in units of the largest number, at least 1.
fn difference(found: &[f32], wanted: &[f32]) -> f32 {
    assert_eq!(found.len(), wanted.len());
    let largest = wanted.iter().fold(1.0_f32, |m, x| m.max(x.abs()));
    let differences = found.iter().zip(wanted).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, f32::max) / largest
}

fn rounds(program: &Program) -> bool {
    program
        .ops
        .iter()
        .any(|op| matches!(op, Op::Quantise { .. }))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    /// Every operation, in any combination, on images that are not square.
    #[test]
    fn networks_compute_what_the_program_says(
        (program, tensors) in random::programs(), tiles in (1_usize..4, 1_usize..4), batch in 1_usize..3,
        threads in 1_usize..4, seed: u64,
    ) {
        let size = [tiles.0 * MULTIPLE, tiles.1 * MULTIPLE];
        let images = noise(seed, batch * program.input_channels as usize * size[0] * size[1]);
        let wanted = wanted(&program, &tensors, &images, size);
        for kernels in KERNELS.available() {
            let settings = settings(kernels, threads);
            let mut plain = Observer::new(&program, tensors.clone(), size, settings).unwrap();
            // A sum next to the middle of two steps of a grid may round to the other one.
            let allowed = if rounds(&program) { 0.3 } else { 1e-5 };
            let found = plain.raw_logits(&images, batch).unwrap();
            prop_assert!(difference(&found, &wanted) <= allowed, "{kernels:?}, plain");
            let mut fused = Network::new(&program, tensors.clone(), size, settings).unwrap();
            let found = fused.raw_logits(&images, batch).unwrap();
            prop_assert!(difference(&found, &wanted) <= allowed, "{kernels:?}, fused");
            // Nothing of one image is left for the next.
            prop_assert_eq!(found, fused.raw_logits(&images, batch).unwrap());
        }
    }

    /// A slice is repeated over the channels and scaled: the same as doing so by hand.
    #[test]
    fn slices_are_repeated_and_scaled((program, tensors) in random::programs(), seed: u64) {
        prop_assume!(!rounds(&program));
        let size = [MULTIPLE; 2];
        let slice = noise(seed, MULTIPLE * MULTIPLE);
        let by_hand: Vec<f32> = slice.iter().map(|x| x * 255.0).collect();
        let by_hand = by_hand.repeat(program.input_channels as usize);
        let wanted = wanted(&program, &tensors, &by_hand, size);
        let settings = Settings { input_scale: 255.0, ..Settings::default() };
        let mut network = Network::new(&program, tensors.clone(), size, settings).unwrap();
        prop_assert_eq!(network.planes(), 1);
        prop_assert!(difference(&network.logits(&slice, 1).unwrap(), &wanted) <= 2e-5);
    }

    /// Whatever bytes decode to: what the check accepts, networks and observers run.
    #[test]
    fn damaged_programs_never_panic(
        (program, tensors) in random::programs(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        neighbours: bool,
    ) {
        let mut bytes = program.to_bytes().unwrap();
        for (at, byte) in damage {
            *at.get_mut(&mut bytes) = byte;
        }
        if let Ok(damaged) = Program::from_bytes(&bytes)
            && damaged.check(&tensors).is_ok()
            && damaged.multiple as usize <= 4 * MULTIPLE
        {
            let side = damaged.multiple as usize;
            let settings = Settings { neighbours, threads: 2, ..Settings::default() };
            let planes = if neighbours { damaged.input_channels as usize } else { 1 };
            let image = vec![0.5; planes * side * side];
            let mut network = Network::new(&damaged, tensors.clone(), [side; 2], settings).unwrap();
            let found = network.logits(&image, 1).unwrap();
            prop_assert_eq!(found.len(), damaged.classes as usize * side * side);
            let mut observer = Observer::new(&damaged, tensors.clone(), [side; 2], settings).unwrap();
            prop_assert_eq!(observer.logits(&image, 1).unwrap().len(), found.len());
        }
    }

    /// Each value is shown once for each image, and is what a program that stops there computes.
    #[test]
    fn observers_show_every_value((program, tensors) in random::programs(), seed: u64) {
        let size = [MULTIPLE, 2 * MULTIPLE];
        let each = program.input_channels as usize * size[0] * size[1];
        let images = noise(seed, 2 * each);
        let neighbours = Settings { neighbours: true, ..Settings::default() };
        let mut observer = Observer::new(&program, tensors.clone(), size, neighbours).unwrap();
        let mut shown: Vec<(ValueId, Vec<f32>)> = Vec::new();
        observer.observe(&images, 2, &|_| true, &mut |value, x| shown.push((value, x.to_vec()))).unwrap();
        let values: Vec<ValueId> = shown.iter().map(|(value, _)| *value).collect();
        let softmax = program.ops.iter().filter(|op| matches!(op, Op::Softmax { .. })).count();
        let once: Vec<ValueId> = (0..=program.ops.len() - softmax).map(|v| ValueId(v as u32)).collect();
        prop_assert_eq!(values, [once.clone(), once].concat());
        prop_assert_eq!(&shown[0].1, &images[..each]);
        let logits = shown.iter().filter(|(value, _)| *value == program.output);
        let logits: Vec<f32> = logits.flat_map(|(_, x)| x.clone()).collect();
        prop_assert_eq!(logits, observer.raw_logits(&images, 2).unwrap());
    }
}

/// A convolution of random numbers, and what follows it in residual and U-shaped networks.
fn layer(
    [from, to]: [usize; 2],
    kernel: usize,
    stride: u32,
    doubled: bool,
    seed: u64,
) -> (Program, Tensors) {
    let mut b = Builder::new(from as u32, 8);
    let mut tensor = |shape: &[usize]| {
        let count = shape.iter().product();
        let scale = 1.0 / (shape[1..].iter().product::<usize>() as f32).sqrt();
        let values = noise(seed ^ count as u64, count);
        let values = values.into_iter().map(|x| x * scale).collect();
        b.tensor(Tensor::f32("random", shape.to_vec(), values).unwrap())
    };
    let (weight, bias) = (tensor(&[to, from, kernel, kernel]), tensor(&[to]));
    let (other, skip) = (tensor(&[to, to, 3, 3]), tensor(&[to, from, 1, 1]));
    let (scale, shift) = (tensor(&[to]), tensor(&[to]));
    let head = tensor(&[3, to, 1, 1]);
    let x = if doubled {
        b.upsample2x(b.input())
    } else {
        b.input()
    };
    let first = b.conv2d(x, weight, Some(bias), stride, kernel as u32 / 2);
    let active = b.relu(first);
    let second = b.conv2d(active, other, None, 1, 1);
    let sum = if doubled || stride > 1 {
        b.add(second, active)
    } else {
        let shortcut = b.conv2d(b.input(), skip, None, 1, 0);
        b.add(second, shortcut)
    };
    let beside = b.affine(sum, scale, shift, true);
    let sum = b.add(sum, beside);
    let mut logits = b.conv2d(sum, head, None, 1, 0);
    if doubled {
        logits = b.max_pool2d(logits, 2, 2, 0);
    }
    if stride > 1 {
        logits = b.upsample2x(logits);
    }
    if doubled || stride > 1 {
        // The shortcut has no reader here; a sum of nothing keeps its tensor in use.
        let unused = b.conv2d(b.input(), skip, None, 1, 0);
        b.relu(unused);
    }
    b.finish(logits, 3).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Channels around the widths of registers and panels, sizes around those of tiles, both algorithms of convolution.
    #[test]
    fn kernels_agree_on_any_shape(
        channels in (1_usize..150, 1_usize..150), tiles in (1_usize..5, 1_usize..5),
        kernel in prop::sample::select(vec![(1, 1), (3, 1), (3, 2), (7, 2), (5, 1)]), doubled: bool, threads in 1_usize..4, seed: u64,
    ) {
        let doubled = doubled && kernel.1 == 1;
        let (program, tensors) = layer([channels.0, channels.1], kernel.0, kernel.1, doubled, seed);
        let size = [8 * tiles.0, 8 * tiles.1];
        let images = noise(seed, channels.0 * size[0] * size[1]);
        let run = |kernels| Network::new(&program, tensors.clone(), size, settings(kernels, threads)).unwrap()
            .raw_logits(&images, 1).unwrap();
        let portable = run(KernelSet::Portable);
        for kernels in KERNELS.available() {
            prop_assert!(difference(&run(kernels), &portable) <= 1e-5, "{kernels:?}");
        }
        let mut plain = Observer::new(&program, tensors.clone(), size, settings(KernelSet::Portable, 1)).unwrap();
        prop_assert!(difference(&plain.raw_logits(&images, 1).unwrap(), &portable) <= 2e-5, "fused");
    }
}

/// All patterns that are fused, one after another, on a slice of odd tiles.
#[test]
fn a_unet_is_what_its_program_says() {
    let (program, tensors) = unet::bottlenecks();
    let size = [72, 40];
    let slice = noise(1, size[0] * size[1]);
    let wanted = wanted(&program, &tensors, &slice.repeat(3), size);
    for kernels in KERNELS.available() {
        for threads in [1, 3] {
            let settings = Settings {
                kernels: Some(kernels),
                threads,
                ..Settings::default()
            };
            let mut network = Network::new(&program, tensors.clone(), size, settings).unwrap();
            let found = network.logits(&slice, 1).unwrap();
            assert!(difference(&found, &wanted) < 1e-5, "{kernels:?}");
        }
    }
}

/// Within a ten thousandth of the logits' range of the reference executor, and the same labels but where two logits are as close.
#[cfg(feature = "burn")]
#[test]
fn a_unet_is_what_burn_computes() {
    use burn::tensor::Device;
    use nephrobox_engine::burn::Executor;

    let (program, tensors) = unet::bottlenecks();
    let size = [96, 64];
    let pixels = size[0] * size[1];
    for neighbours in [false, true] {
        let planes = if neighbours { 3 } else { 1 };
        let images: Vec<f32> = noise(2, 2 * planes * pixels)
            .into_iter()
            .map(|x| x / 2.0 + 0.5)
            .collect();
        let mut reference =
            Executor::from_program(&program, &tensors, size, 255.0, &Device::flex()).unwrap();
        reference = reference.reading_neighbours(neighbours);
        let settings = Settings {
            input_scale: 255.0,
            neighbours,
            ..Settings::default()
        };
        let mut network = Network::new(&program, tensors.clone(), size, settings).unwrap();
        let wanted = reference.logits(&images, 2, size[0], size[1]).unwrap();
        let found = network.logits(&images, 2).unwrap();
        let range = wanted.iter().fold([f32::MAX, f32::MIN], |[low, high], &x| {
            [low.min(x), high.max(x)]
        });
        let differences = found.iter().zip(&wanted).map(|(a, b)| (a - b).abs());
        let largest = differences.fold(0.0, f32::max) / (range[1] - range[0]);
        assert!(largest < 1e-4, "{largest} of the range");
        let differ = |reference: &mut dyn SliceModel, network: &mut dyn SliceModel| {
            let [mut wanted, mut found] = [vec![9; 2 * pixels], vec![9; 2 * pixels]];
            reference.segment(&images, 2, &mut wanted).unwrap();
            network.segment(&images, 2, &mut found).unwrap();
            let differ = wanted.iter().zip(&found).filter(|(a, b)| a != b).count();
            assert!(differ <= 2, "{differ} labels differ");
        };
        differ(&mut reference, &mut network);
        differ(&mut over_flips(reference), &mut over_flips(network));
    }
}

#[test]
fn rounding_to_a_grid_is_exact_halves_and_all() {
    let mut b = Builder::new(1, 4);
    let scale = b.tensor(Tensor::f32("scale", vec![1], vec![0.3]).unwrap());
    let weight = b.tensor(Tensor::f32("weight", vec![1, 1, 1, 1], vec![1.0]).unwrap());
    let bytes = b.quantise(b.input(), scale, nephrobox_engine::program::Precision::U8);
    let logits = b.conv2d(bytes, weight, None, 1, 0);
    let (program, tensors) = b.finish(logits, 1).unwrap();
    let mut image: Vec<f32> = (0..64).map(|i| (i as f32 / 2.0 - 4.0) * 0.3).collect();
    image[60..].copy_from_slice(&[1e9, -1e9, 76.5, 76.4]);
    let wanted = wanted(&program, &tensors, &image, [8, 8]);
    for kernels in KERNELS.available() {
        let mut network =
            Network::new(&program, tensors.clone(), [8, 8], settings(kernels, 1)).unwrap();
        assert_eq!(network.logits(&image, 1).unwrap(), wanted, "{kernels:?}");
    }
}

/// Logits are the pixel `p`, `1/2` and `1 - p`.
fn three_ways() -> (Program, Tensors) {
    let mut b = Builder::new(1, 4);
    let weight = b.tensor(Tensor::f32("weight", vec![3, 1, 1, 1], vec![1.0, 0.0, -1.0]).unwrap());
    let bias = b.tensor(Tensor::f32("bias", vec![3], vec![0.0, 0.5, 1.0]).unwrap());
    let logits = b.conv2d(b.input(), weight, Some(bias), 1, 0);
    b.softmax(logits);
    b.finish(logits, 3).unwrap()
}

#[test]
fn labels_are_the_largest_logit_and_ties_go_to_the_lowest_class() {
    let (program, tensors) = three_ways();
    let mut network = Network::new(&program, tensors.clone(), [4, 4], Settings::default()).unwrap();
    let mut images = vec![0.75; 16];
    images[5] = 0.25;
    images[6] = 0.5; // all three logits are 1/2
    let mut labels = vec![9; 16];
    network.segment(&images, 1, &mut labels).unwrap();
    let mut wanted = vec![0; 16];
    wanted[5] = 2;
    assert_eq!(labels, wanted);
    // Pixel by pixel there is nothing to mirror.
    let mut labels = vec![9; 16];
    let mut network = over_flips(network);
    network.segment(&images, 1, &mut labels).unwrap();
    assert_eq!(labels, wanted);
}

/// A kernel that looks to the left only sees the edges of a bright square on both sides once flips are averaged.
#[test]
fn averaging_flips_makes_labels_symmetric() {
    let mut b = Builder::new(1, 4);
    let mut taps = vec![0.0; 18];
    taps[9 + 3] = 8.0; // class 1 is the pixel to the left
    let weight = b.tensor(Tensor::f32("weight", vec![2, 1, 3, 3], taps).unwrap());
    let bias = b.tensor(Tensor::f32("bias", vec![2], vec![0.5, 0.0]).unwrap());
    let logits = b.conv2d(b.input(), weight, Some(bias), 1, 1);
    let (program, tensors) = b.finish(logits, 2).unwrap();
    let mut image = vec![0.0; 16];
    image[5] = 1.0;
    let mut labels = vec![9; 16];
    let mut network = Network::new(&program, tensors.clone(), [4, 4], Settings::default()).unwrap();
    network.segment(&image, 1, &mut labels).unwrap();
    let ones = |labels: &[u8]| -> Vec<usize> { (0..16).filter(|&i| labels[i] == 1).collect() };
    assert_eq!(ones(&labels), [6]);
    let mut network = over_flips(network);
    network.segment(&image, 1, &mut labels).unwrap();
    // Beside the bright pixel two of four probabilities are near 1 and two are 0.38.
    assert_eq!(ones(&labels), [4, 6]);
}

/// In any place of any network: rectifiers and pools do not heal what is broken.
#[test]
fn a_broken_pixel_does_not_become_background() {
    let (program, tensors) = three_ways();
    let (unit, unit_tensors) = layer([1, 20], 3, 1, false, 1);
    for kernels in KERNELS.available() {
        for (program, tensors) in [(&program, &tensors), (&unit, &unit_tensors)] {
            let settings = Settings {
                kernels: Some(kernels),
                ..Settings::default()
            };
            for broken in [0, 17, 63] {
                let mut network = Network::new(program, tensors.clone(), [8, 8], settings).unwrap();
                let mut image = vec![0.75; 64];
                image[broken] = f32::NAN;
                let refused = network.segment(&image, 1, &mut [0; 64]);
                assert_eq!(refused, Err(EngineError::Logits(ArgmaxError::NotANumber)));
                // And the next image is whole again.
                assert_eq!(network.segment(&[0.75; 64], 1, &mut [0; 64]), Ok(()));
            }
        }
    }
}

#[test]
fn sizes_and_lengths_that_do_not_fit_are_refused_before_work_starts() {
    let (program, tensors) = three_ways();
    let settings = Settings::default();
    let odd = Network::new(&program, tensors.clone(), [4, 6], settings);
    let size = FitError::Size {
        rows: 4,
        cols: 6,
        multiple: 4,
    };
    assert!(matches!(odd, Err(NetworkError::Fit(e)) if e == size));
    for side in [1 << 30, usize::MAX / 4 * 4] {
        let huge = Network::new(&program, tensors.clone(), [side, side], settings);
        assert!(matches!(
            huge,
            Err(NetworkError::Fit(FitError::Size { .. }))
        ));
    }
    let large = Network::new(&program, tensors.clone(), [1 << 16; 2], settings);
    assert!(matches!(
        large,
        Err(NetworkError::Fit(FitError::Values { .. }))
    ));
    let unsound = Program {
        output: ValueId(9),
        ..program.clone()
    };
    let unsound = Network::new(&unsound, tensors.clone(), [4, 4], settings);
    assert!(matches!(unsound, Err(NetworkError::Program(_))));

    let mut network = Network::new(&program, tensors.clone(), [4, 4], settings).unwrap();
    assert!(matches!(
        network.logits(&[0.0; 15], 1),
        Err(EngineError::Length {
            expected: 16,
            found: 15,
            ..
        })
    ));
    for (images, batch, labels) in [
        (&[0.0; 0][..], 0, 0),
        (&[0.0; 16], 1, 15),
        (&[0.0; 16], usize::MAX, 16),
        (&[0.0; 16], 2, 32),
    ] {
        let refused = network.segment(images, batch, &mut vec![0; labels]);
        assert!(matches!(refused, Err(EngineError::Length { .. })));
        let refused = network.logits(images, batch.max(2));
        assert!(matches!(refused, Err(EngineError::Length { .. })));
    }
}

#[test]
fn kernels_of_another_processor_are_refused_by_name() {
    let foreign = if cfg!(target_arch = "aarch64") {
        KernelSet::Avx2
    } else {
        KernelSet::Neon
    };
    let (program, tensors) = three_ways();
    let refused = Network::new(&program, tensors, [4, 4], settings(foreign, 1));
    assert_eq!(
        refused.err(),
        Some(NetworkError::Kernels(KernelError::Absent(foreign)))
    );
}

/// A set that only integers have kernels for stands for the f32 kernels of the same processors, and those are what is told.
#[test]
fn the_kernels_that_run_are_the_ones_that_are_told() {
    let (program, tensors) = three_ways();
    for set in KernelSet::ALL.into_iter().filter(|set| set.is_available()) {
        let network = Network::new(&program, tensors.clone(), [4, 4], settings(set, 1)).unwrap();
        assert_eq!(Ok(network.kernels()), KERNELS.within(set));
        assert!(KERNELS.available().any(|own| own == network.kernels()));
    }
}

#[test]
fn tensors_are_read_in_every_storage() {
    use nephrobox_engine::program::Storage;
    let (program, tensors) = layer([4, 20], 3, 1, true, 3);
    let stored: Tensors = tensors
        .iter()
        .map(|t| t.stored_as(Storage::F16).unwrap())
        .collect();
    let widened: Tensors = stored
        .iter()
        .map(|t| t.stored_as(Storage::F32).unwrap())
        .collect();
    assert!(stored.get(TensorId(0)).unwrap().storage() == Storage::F16);
    let image = noise(5, 4 * 64);
    let run = |tensors: &Tensors| {
        let mut network = Observer::new(
            &program,
            tensors.clone(),
            [8, 8],
            settings(KernelSet::Portable, 1),
        )
        .unwrap();
        network.raw_logits(&image, 1).unwrap()
    };
    assert_eq!(run(&stored), run(&widened));
}
