//! What the check accepts, what it refuses and with which words, and that no bytes make it panic.

use burn::tensor::Device;
use nephrobox_engine::burn::Executor;
use nephrobox_engine::program::{
    Builder, Op, Program, ProgramError, Tensor, TensorId, Tensors, ValueId,
};
use proptest::prelude::*;

use crate::random::{self, MULTIPLE};

fn ones(shape: &[usize]) -> Tensor {
    Tensor::f32(
        format!("{shape:?}"),
        shape.to_vec(),
        vec![1.0; shape.iter().product()],
    )
    .unwrap()
}

/// A small U: down by two, up again, joined with the image, three logits.
fn small_u() -> (Program, Tensors) {
    let mut b = Builder::new(1, 2);
    let down = b.tensor(ones(&[4, 1, 3, 3]));
    let head = b.tensor(ones(&[3, 5, 3, 3]));
    let bias = b.tensor(ones(&[3]));
    let half = b.conv2d(b.input(), down, None, 2, 1);
    let half = b.relu(half);
    let full = b.upsample2x(half);
    let joined = b.concat(full, b.input());
    let logits = b.conv2d(joined, head, Some(bias), 1, 1);
    b.softmax(logits);
    b.finish(logits, 3).unwrap()
}

/// Changes the small U and returns why it is then refused.
fn refusal(change: impl FnOnce(&mut Program)) -> ProgramError {
    let (mut program, tensors) = small_u();
    change(&mut program);
    program.check(&tensors).unwrap_err()
}

#[test]
fn a_plan_knows_shapes_lifetimes_and_memory() {
    let (program, tensors) = small_u();
    let plan = program.check(&tensors).unwrap();
    let half = plan.shape(ValueId(1));
    assert_eq!(
        (half.channels, half.extent.at(1), half.extent.at(8)),
        (4, 1, 8)
    );
    assert_eq!(plan.shape(program.output).extent.at(8), 16);

    let frees: Vec<Vec<u32>> = (0..6)
        .map(|op| plan.frees(op).iter().map(|v| v.0).collect())
        .collect();
    // The image lives until the concatenation, the logits to the end.
    assert_eq!(
        frees,
        [vec![], vec![1], vec![2], vec![0, 3], vec![4], vec![6]]
    );

    assert!(plan.accepts(2, 6) && !plan.accepts(3, 6) && !plan.accepts(0, 2));
    // Largest while the concatenation runs: image (1 channel), upsampled (4), result (5).
    assert_eq!(plan.peak_value_bytes(16, 32), 16 * 32 * 10 * 4);
    assert_eq!(plan.weight_bytes(), (36 + 135 + 3) * 4);
}

/// The small U's first operation: input, weight and stride.
fn conv(program: &mut Program) -> (&mut ValueId, &mut TensorId, &mut u32) {
    match &mut program.ops[0] {
        Op::Conv2d {
            input,
            weight,
            stride,
            ..
        } => (input, weight, stride),
        _ => panic!("the small U starts with a convolution"),
    }
}

#[test]
fn each_flaw_has_its_own_sentence() {
    let flaws: [(ProgramError, &str); 12] = [
        (
            refusal(|p| p.ops.clear()),
            "the program has 0 operations; 1 to 4096 are possible",
        ),
        (
            refusal(|p| p.multiple = 0),
            "the program's input multiple is 0; it must be in 1 to 1024",
        ),
        (
            refusal(|p| p.ops.swap(0, 1)),
            "operation 0 (relu) reads v1, which nothing before it defines",
        ),
        (
            refusal(|p| p.ops[1] = p.ops[0].clone()),
            "operation 1 (conv2d) defines v1, which is defined already or numbered too high",
        ),
        (
            refusal(|p| {
                p.ops[1] = Op::Relu {
                    input: ValueId(1),
                    output: ValueId(u32::MAX),
                }
            }),
            "operation 1 (relu) defines v4294967295, which is defined already or numbered too high",
        ),
        (
            refusal(|p| conv(p).1.0 = 77),
            "operation 0 (conv2d) reads tensor t77, which does not exist",
        ),
        (
            refusal(|p| conv(p).1.0 = 1),
            "operation 0 (conv2d) cannot use tensor t1 of shape [3, 5, 3, 3]; [any, 1, kernel, kernel] would fit",
        ),
        (
            refusal(|p| *conv(p).2 = 0),
            "operation 0 (conv2d) has kernel 3, stride 0, padding 1; a kernel up to 31, a stride of 1 to 16 and a padding of at most half the kernel are possible",
        ),
        (
            refusal(|p| *conv(p).2 = 4),
            "operation 0 (conv2d) on 2n pixels has no result for every input size that is a multiple of 2",
        ),
        (
            refusal(|p| {
                p.ops[2] = Op::Relu {
                    input: ValueId(2),
                    output: ValueId(3),
                }
            }),
            "operation 3 (concat) joins values of [4, 1n, 1n] and [1, 2n, 2n]",
        ),
        (
            refusal(|p| p.output = ValueId(4)),
            "operation 5 is a softmax, which may only come last and on the logits",
        ),
        (
            refusal(|p| p.classes = 4),
            "the logits v5 are [3, 2n, 2n] where [4, 2n, 2n] belong",
        ),
    ];
    for (flaw, sentence) in flaws {
        assert_eq!(flaw.to_string(), sentence);
    }
}

#[test]
fn a_tensor_nobody_reads_is_refused() {
    let (program, mut tensors) = small_u();
    tensors.push(ones(&[1]));
    assert_eq!(
        program.check(&tensors),
        Err(ProgramError::UnusedTensor(TensorId(3)))
    );
}

#[test]
fn a_sum_of_different_values_is_refused() {
    let mut b = Builder::new(1, 2);
    let weight = b.tensor(ones(&[3, 1, 1, 1]));
    let three = b.conv2d(b.input(), weight, None, 1, 0);
    let logits = b.add(three, b.input());
    let refused = b.finish(logits, 3).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "operation 1 (add) joins values of [3, 2n, 2n] and [1, 2n, 2n]"
    );
}

#[test]
fn endless_doubling_and_concatenating_end_in_errors_not_overflow() {
    let mut b = Builder::new(1, 2);
    let grown = (0..80).fold(b.input(), |x, _| b.upsample2x(x));
    assert!(matches!(
        b.finish(grown, 1),
        Err(ProgramError::Extent { .. })
    ));

    let mut b = Builder::new(1, 2);
    let wide = (0..80).fold(b.input(), |x, _| b.concat(x, x));
    assert!(matches!(
        b.finish(wide, 1),
        Err(ProgramError::Channels {
            op: 16,
            channels: 131_072,
            ..
        })
    ));
}

#[test]
fn a_kernel_larger_than_the_smallest_image_is_refused() {
    let mut b = Builder::new(1, 2);
    let weight = b.tensor(ones(&[3, 1, 5, 5]));
    let logits = b.conv2d(b.input(), weight, None, 1, 0);
    assert!(matches!(
        b.finish(logits, 3),
        Err(ProgramError::Extent { .. })
    ));
}

#[test]
fn bytes_after_the_program_are_refused() {
    let mut bytes = small_u().0.to_bytes().unwrap();
    bytes.push(0);
    assert_eq!(
        Program::from_bytes(&bytes),
        Err(ProgramError::TrailingBytes(1))
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn a_program_survives_its_bytes((program, _) in random::programs()) {
        let bytes = program.to_bytes().unwrap();
        prop_assert_eq!(Program::from_bytes(&bytes).unwrap(), program);
    }

    /// Whatever bytes decode to, the check answers; and what it accepts, the executor runs.
    #[test]
    fn damaged_programs_never_panic(
        (program, tensors) in random::programs(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = program.to_bytes().unwrap();
        for (at, byte) in damage {
            *at.get_mut(&mut bytes) = byte;
        }
        if let Ok(damaged) = Program::from_bytes(&bytes)
            && let Ok(plan) = damaged.check(&tensors)
        {
            let side = damaged.multiple as usize;
            // Damage to `multiple` may ask for large images; they are sound, only slow to compute here.
            if side <= 4 * MULTIPLE {
                prop_assert!(plan.peak_value_bytes(side, side) < 1 << 24);
                let mut executor = Executor::from_program(&damaged, &tensors, [side, side], 1.0, &Device::flex()).unwrap();
                let logits = executor.logits(&vec![0.5; side * side], 1, side, side).unwrap();
                prop_assert_eq!(logits.len(), damaged.classes as usize * side * side);
            }
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(program) = Program::from_bytes(&bytes) {
            let _ = program.check(&Tensors::default());
        }
    }
}
