//! Tensors that do not fit, or hold numbers that no network has.

use super::{Disaster, refused};
use crate::forge::{Parts, RawTensor};
use crate::road;

/// The small package with other tensors.
fn with_tensor(number: usize, change: impl FnOnce(&mut RawTensor)) -> Parts {
    let mut parts = Parts::of(&road::small());
    change(&mut parts.tensors[number]);
    parts
}

pub(super) fn wrong() -> Vec<Disaster> {
    let kernel = Parts::of(&road::small())
        .tensors
        .iter()
        .position(|t| t.dtype == 2)
        .unwrap();
    let grid = Parts::of(&road::small())
        .tensors
        .iter()
        .position(|t| t.rank == 1 && t.axes[0] == 1)
        .unwrap();
    let to = |number: f32| with_tensor(grid, |t| t.data = number.to_le_bytes().to_vec());
    let scaled = |number: f32| with_tensor(kernel, |t| t.scales[0] = number);
    vec![
        refused(
            "a kernel of fewer bytes than its shape",
            with_tensor(kernel, |t| t.data.truncate(7)),
            "tensor 0 of the package is unusable: its shape asks for 45 bytes and it has 7",
        ),
        refused(
            "a kernel of four thousand million channels",
            with_tensor(kernel, |t| t.axes[1] = u32::MAX),
            "tensor 0 of the package is unusable: its shape asks for 193273528275 bytes and it has 45",
        ),
        refused(
            "a number format that there is not",
            with_tensor(kernel, |t| t.dtype = 7),
            "tensor 0 of the package is unusable: its number format 7 is unknown",
        ),
        refused(
            "a kernel with too few scales",
            with_tensor(kernel, |t| t.scales.truncate(1)),
            "tensor 0 of the package is unusable: its scales are not one finite positive number for each output channel",
        ),
        refused(
            "a kernel without scales",
            with_tensor(kernel, |t| t.scales.clear()),
            "tensor t1 of shape [5, 1, 3, 3] has 0 numbers or scales where 5 belong; export the model again",
        ),
        refused(
            "a scale of 0",
            scaled(0.0),
            "tensor 0 of the package is unusable: its scales are not one finite positive number for each output channel",
        ),
        refused(
            "a negative scale",
            scaled(-0.5),
            "tensor 0 of the package is unusable: its scales are not one finite positive number for each output channel",
        ),
        refused(
            "a scale that is no number",
            scaled(f32::NAN),
            "tensor 0 of the package is unusable: its scales are not one finite positive number for each output channel",
        ),
        refused(
            "a scale below the smallest normal number",
            scaled(1e-40),
            "tensor t1 holds a number that is infinite, not a number, or out of its storage's range; export the model again",
        ),
        refused(
            "a scale whose largest weight is infinite",
            scaled(3e38),
            "tensor t1 holds a number that is infinite, not a number, or out of its storage's range; export the model again",
        ),
        refused(
            "a weight of -128",
            with_tensor(kernel, |t| t.data[3] = 0x80),
            "tensor t1 holds a number that is infinite, not a number, or out of its storage's range; export the model again",
        ),
        refused(
            "a grid of steps of 0",
            to(0.0),
            "the model's program is unusable: operation 0 (quantise) rounds to a grid of steps of 0e0; a normal number above 0 is needed whose grid is finite; export the model again",
        ),
        refused(
            "a grid that runs backwards",
            to(-0.1),
            "the model's program is unusable: operation 0 (quantise) rounds to a grid of steps of -1e-1; a normal number above 0 is needed whose grid is finite; export the model again",
        ),
        refused(
            "a grid finer than normal numbers",
            to(1e-42),
            "the model's program is unusable: operation 0 (quantise) rounds to a grid of steps of 1e-42; a normal number above 0 is needed whose grid is finite; export the model again",
        ),
        refused(
            "a grid that ends beyond all numbers",
            to(1e37),
            "the model's program is unusable: operation 0 (quantise) rounds to a grid of steps of 1e37; a normal number above 0 is needed whose grid is finite; export the model again",
        ),
        refused(
            "a bias that is no number",
            with_tensor(grid, |t| t.data = f32::NAN.to_le_bytes().to_vec()),
            "holds a number that is infinite, not a number, or out of its storage's range; export the model again",
        ),
    ]
}
