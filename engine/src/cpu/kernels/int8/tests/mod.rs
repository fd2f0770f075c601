//! Every set of loops against sums added up one by one, with shapes and numbers that networks seldom have.

#![allow(unsafe_code)]

mod reference;

use std::collections::BTreeSet;

use super::lanes::Kernels;
use super::{Affine, Conv, Epilogue, GROUP, Mapped, Memory, Needs, Output, Term};
use crate::program::{Precision, argmax_pixel};
use reference::{Kind, Noise, Places, number, round, sum};

/// All loops this processor can run.
fn all_kernels() -> Vec<(&'static str, Kernels)> {
    let sets = super::KERNELS
        .available()
        .map(|set| (set.name(), super::kernels(set)));
    #[cfg(target_arch = "x86_64")]
    let sets = {
        let there = is_x86_feature_detected!("avx512vl") && is_x86_feature_detected!("avx512vnni");
        let kernels = super::avx_vnni::evex::KERNELS;
        sets.chain(there.then_some(("avx-vnni in the other encoding", kernels)))
    };
    sets.collect()
}

/// One convolution: channels, kernel, stride, and whether of a doubled value.
type Shape = (usize, usize, usize, bool);

struct Case {
    seed: u64,
    kind: Kind,
    channels: usize,
    size: [usize; 2],
    shapes: Vec<Shape>,
}

/// A memory that holds these bytes.
fn memory(bytes: &[u8]) -> Memory {
    let memory = Memory::zeros(bytes.len()).expect("memory");
    // SAFETY: it was made for as many bytes, and nobody else has it yet.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), memory.pointer(), bytes.len()) };
    memory
}

/// Builds a case, runs it with all kernels, and says what was met on the way.
fn check(case: &Case, reached: &mut BTreeSet<String>) {
    let mut noise = Noise(case.seed);
    let (kind, channels) = (case.kind, case.channels);
    let doubled = case.shapes.iter().any(|s| s.3);
    let small = case.size;
    let size = small.map(|n| if doubled { 2 * n } else { n });
    let mut places = Places(0);
    let mut taps = 0;
    let mut terms = Vec::new();
    for &(depth, kernel, stride, this_doubled) in &case.shapes {
        // One more than half of an even kernel needs a second pixel to end at.
        let padding = if this_doubled {
            1
        } else if size.contains(&1) {
            (kernel - 1) / 2
        } else {
            noise.pick(&[kernel / 2, (kernel - 1) / 2])
        };
        let rest = noise.pick(&[0, stride - 1]);
        let from = size.map(|n| (n - 1) * stride + kernel + rest - 2 * padding);
        let from = if this_doubled { small } else { from };
        let input = places.layout(from, depth, padding + noise.pick(&[0, 1, 2]), Precision::U8);
        let kernels = if this_doubled { 4 } else { 1 };
        let count = kernels * channels * depth * kernel * kernel;
        taps += depth * kernel * kernel;
        let scales = (0..kernels * channels)
            .map(|_| 0.001 * (1.5 + noise.float()))
            .collect();
        let weights = (0..count).map(|_| kind.weight(&mut noise)).collect();
        reached.insert(format!("kernel {kernel}"));
        reached.insert(format!("stride {stride}"));
        terms.push(Term {
            input,
            kernel,
            stride,
            padding,
            doubled: this_doubled,
            weights,
            scales,
        });
    }
    let residual = noise.pick(&[None, Some(Precision::U8), Some(Precision::I16)]);
    let residual = residual.map(|p| places.written(size, channels, p));
    let outputs: &[usize] = if channels <= GROUP {
        &[0, 1, 2, 3, 4]
    } else {
        &[0, 1, 2, 3]
    };
    let output = noise.pick(outputs);
    let precision = [Precision::U8, Precision::I16][output % 2];
    let labels = output == 4;
    let written = [2, 3]
        .contains(&output)
        .then(|| places.written(size, channels, precision));
    let map = (!labels && (written.is_none() || noise.pick(&[false, true])))
        .then(|| places.written(size, channels, Precision::U8));
    let pixels = size[0] * size[1];
    let end = places.0 + pixels;

    // Half of the results are beyond the limits.
    let [low, high] = if labels { Precision::I16 } else { precision }.range();
    let aim = 2.0 * f64::from(high);
    let gain: Vec<f64> = (0..channels)
        .map(|_| aim / (kind.size(taps) * 0.0015) * (1.0 + 0.5 * noise.float()))
        .collect();
    let offset = noise.floats(channels, aim / 4.0);
    let by = noise.floats(channels, aim / 65_536.0);
    let affine = [256.0 / aim, 100.0].map(|size| -> Vec<f32> {
        noise
            .floats(channels, size)
            .into_iter()
            .map(|x| x as f32)
            .collect()
    });
    let relu = noise.pick(&[false, true]);
    let last_scales = terms.last().unwrap();
    let factor: Vec<f32> = last_scales
        .scales
        .iter()
        .enumerate()
        .map(|(i, s)| (s * gain[i % channels]) as f32)
        .collect();
    let factor = |row: usize, col: usize, o: usize| {
        factor[if last_scales.doubled {
            (row % 2 * 2 + col % 2) * channels
        } else {
            0
        } + o]
    };

    // Garbage wherever it must not matter: behind the channels that count, and in what will be written.
    let mut before: Vec<u8> = (0..end).map(|_| noise.next() as u8).collect();
    for term in &terms {
        let layout = &term.input;
        before[layout.start..layout.end()].fill(0);
        for pixel in 0..layout.rows * layout.cols {
            let at = layout.at(pixel / layout.cols, pixel % layout.cols);
            for (c, byte) in before[at..at + layout.step].iter_mut().enumerate() {
                *byte = if c < layout.channels {
                    kind.byte(&mut noise)
                } else {
                    255
                };
            }
        }
    }

    let mut wanted = before.clone();
    let mut logits = vec![0.0_f32; pixels * GROUP];
    for pixel in 0..pixels {
        let (row, col) = (pixel / size[1], pixel % size[1]);
        for o in 0..channels {
            let sum = sum(&terms, &before, channels, doubled, [row, col], o);
            let mut x = sum as f32 * factor(row, col, o) + offset[o] as f32;
            if let Some(layout) = &residual {
                x += number(&before, layout, row, col, o) as f32 * by[o] as f32;
                reached.insert(format!("residual {:?}", layout.precision));
            }
            if labels {
                logits[pixel * GROUP + o] = x;
                continue;
            }
            let q = round(x, [if relu { 0.0 } else { low }, high]);
            if x < low || x > high {
                reached.insert(format!("beyond {precision:?}"));
            }
            if let Some(layout) = &written {
                let at = layout.at(row, col) + o * layout.size();
                wanted[at..at + layout.size()]
                    .copy_from_slice(&(q as i32).to_le_bytes()[..layout.size()]);
            }
            if let Some(layout) = &map {
                wanted[layout.at(row, col) + o] =
                    round(q * affine[0][o] + affine[1][o], [0.0, 255.0]) as u8;
            }
        }
        for layout in [&written, &map].into_iter().flatten() {
            let at = layout.at(row, col);
            wanted[at + channels * layout.size()..at + layout.pixel()].fill(0);
        }
        if labels {
            wanted[places.0 + pixel] = argmax_pixel(&logits[pixel * GROUP..][..channels]);
        }
    }

    reached.insert(format!("{kind:?}"));
    reached.insert(format!("output {output}, map {}", map.is_some()));
    reached.insert(format!("{} terms, doubled {doubled}", terms.len()));
    let epilogue = Epilogue {
        channels,
        gain,
        offset,
        residual: residual.map(|layout| (layout, by)),
        relu,
        output: match written {
            Some(layout) => Output::Layout(layout),
            None if labels => Output::Labels(places.0),
            None => Output::Nowhere(precision),
        },
        map: map.map(|layout| (affine[0].clone(), affine[1].clone(), layout)),
    };
    // Whatever a core's cache holds, sums are the same.
    let panel = noise.pick(&[1 << 10, 20 << 10, 144 << 10, 288 << 10]);
    reached.insert(format!("panel {panel}"));
    let windows: Vec<_> = terms.iter().map(Term::window).collect();
    let needs = Needs::with_panel(&windows, size, channels, panel);
    let conv = Conv::with_panel(terms, epilogue, panel).expect("no sum is too large");
    // What is told before anything is packed holds.
    assert_eq!(4 * conv.scratch() as u64, needs.scratch);
    assert!(conv.weight_bytes() as u64 <= needs.packed);
    if conv.scratch() > 24 * GROUP {
        reached.insert("several visits".to_owned());
    }
    for (name, kernels) in all_kernels() {
        for threads in [1, 3] {
            let mut found = memory(&before);
            let mut found_logits = Memory::zeros(4 * pixels * GROUP).expect("memory");
            for index in 0..threads {
                let scratch = Memory::zeros(4 * conv.scratch()).expect("memory");
                let of = [index, threads];
                conv.run(
                    &kernels,
                    &found,
                    &scratch,
                    labels.then_some(&found_logits),
                    of,
                );
            }
            let about = || {
                format!(
                    "{name}, {threads} threads, case {} of {kind:?}, {:?} to {channels}",
                    case.seed, case.shapes
                )
            };
            assert!(found.bytes(0, end) == wanted, "{}", about());
            let wanted_logits: Vec<u8> = logits.iter().flat_map(|x| x.to_le_bytes()).collect();
            let found_logits = found_logits.bytes(0, wanted_logits.len());
            assert!(found_logits == wanted_logits, "logits, {}", about());
        }
    }
}

#[test]
fn all_kernels_add_up_to_the_byte() {
    let mut noise = Noise(20);
    let mut reached = BTreeSet::new();
    let kinds = [Kind::Noise, Kind::Most, Kind::Least, Kind::Extremes];
    for seed in 0..120 {
        let with_doubled = seed % 5 == 4;
        let count = noise.pick(&[1, 1, 2, 3]);
        let shapes = (0..count).map(|i| {
            let kernel = noise.pick(&[1, 2, 3, 4, 5, 6, 7]);
            let depth = noise.pick(if kernel > 3 {
                &[1, 2, 3, 17]
            } else {
                &[1, 2, 5, 16, 20, 33, 80]
            });
            if with_doubled && i == 0 {
                (depth, 2, 1, true)
            } else {
                (depth, kernel, noise.pick(&[1, 2, 3]), false)
            }
        });
        let shapes: Vec<Shape> = shapes.collect();
        let case = Case {
            seed,
            kind: kinds[seed as usize % 4],
            channels: noise.pick(&[1, 3, 16, 17, 40, 64, 70]),
            size: [noise.pick(&[1, 2, 3]), noise.pick(&[1, 2, 3, 5, 9, 17])],
            shapes,
        };
        check(&case, &mut reached);
    }
    // Weights of a block beyond what is visited at once: several rows, one row at a time, parts of a row, and two terms.
    for (i, (channels, shapes)) in [
        (20, vec![(700, 4, 1, false)]),
        (64, vec![(900, 3, 1, false)]),
        (70, vec![(4640, 1, 2, false), (5000, 1, 1, false)]),
        (
            33,
            vec![(1000, 2, 1, true), (300, 3, 1, false), (1, 7, 2, false)],
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let before = reached.clone();
        reached.remove("several visits");
        let case = Case {
            seed: 1000 + i as u64,
            kind: kinds[i],
            channels,
            size: [2, 5],
            shapes,
        };
        check(&case, &mut reached);
        assert!(reached.contains("several visits"), "case {i}");
        reached.extend(before);
    }
    for kernel in 1..=7 {
        assert!(reached.contains(&format!("kernel {kernel}")), "{reached:?}");
    }
    for wanted in [
        "panel 1024",
        "panel 20480",
        "panel 147456",
        "panel 294912",
        "stride 1",
        "stride 2",
        "stride 3",
        "residual U8",
        "residual I16",
        "beyond U8",
        "beyond I16",
        "Noise",
        "Most",
        "Least",
        "Extremes",
        "several visits",
        "output 0, map true",
        "output 1, map true",
        "output 2, map true",
        "output 2, map false",
        "output 3, map true",
        "output 3, map false",
        "output 4, map false",
        "1 terms, doubled false",
        "2 terms, doubled false",
        "3 terms, doubled false",
        "1 terms, doubled true",
        "2 terms, doubled true",
        "3 terms, doubled true",
    ] {
        assert!(
            reached.contains(wanted),
            "{wanted} is not among {reached:?}"
        );
    }
}

/// All numbers there are, among them those in the middle of two bytes.
#[test]
fn all_kernels_map_all_numbers() {
    for precision in [Precision::U8, Precision::I16] {
        let mut places = Places(0);
        let size = [64, if precision == Precision::U8 { 1 } else { 64 }];
        let input = places.written(size, GROUP, precision);
        let output = places.written(size, GROUP, Precision::U8);
        let mut bytes = vec![7; places.0];
        for number in 0..size[0] * size[1] * GROUP {
            let at = input.at(number / GROUP / size[1], number / GROUP % size[1])
                + number % GROUP * input.size();
            bytes[at..at + input.size()].copy_from_slice(&number.to_le_bytes()[..input.size()]);
        }
        for (factor, offset) in [
            (1.0, 0.0),
            (0.5, 0.0),
            (-0.25, 100.0),
            (0.003, 90.3),
            (700.0, -1e6),
        ] {
            let mut wanted = bytes.clone();
            for pixel in 0..size[0] * size[1] {
                let (row, col) = (pixel / size[1], pixel % size[1]);
                for c in 0..GROUP {
                    let x = number(&bytes, &input, row, col, c) as f32 * factor + offset;
                    wanted[output.at(row, col) + c] = round(x, [0.0, 255.0]) as u8;
                }
            }
            let affine = Affine::new(&[factor; GROUP], &[offset; GROUP], &output);
            let step = Mapped {
                input,
                output,
                affine,
            };
            for (name, kernels) in all_kernels() {
                let mut found = memory(&bytes);
                step.run(&kernels, &found, 0..size[0]);
                assert!(
                    found.bytes(0, bytes.len()) == wanted,
                    "{name}, {precision:?} times {factor} plus {offset}"
                );
            }
        }
    }
}
