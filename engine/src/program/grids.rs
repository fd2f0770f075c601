//! Where a program is rounded to integers, and the program with the rounding written into it.

use super::{
    Builder, Op, Precision, Program, RewriteError, Storage, Tensor, TensorError, TensorId, Tensors,
    ValueId,
};

/// A value that is rounded, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Site {
    /// The value, in the program without rounding.
    pub value: ValueId,
    /// Bytes for what convolutions and pooling read, 16 bits for what is added to sums. A value may be both: then the bytes are made of
    /// the 16 bits.
    pub precision: Precision,
}

/// The values that must be rounded so that all convolutions of a rewritten program can be computed in integers, in the
/// order in which they are computed.
///
/// * What a convolution reads is rounded to bytes, unless it is the largest of numbers that are.
/// * What is added to a sum of convolutions without being one itself is rounded to 16 bits: the residual stream keeps its precision.
/// * So is what something else reads beside a convolution, because it must be kept.
pub fn sites(program: &Program) -> Vec<Site> {
    let values = program.ops.len() + 1;
    let (mut maker, mut readers) = (vec![None; values], vec![Vec::new(); values]);
    for op in &program.ops {
        maker[op.output().index()] = Some(op);
        for input in op.inputs() {
            readers[input.index()].push(op);
        }
    }
    let reads_bytes = |op: &&Op| {
        matches!(
            op,
            Op::Conv2d { .. } | Op::UpConv2d { .. } | Op::MaxPool2d { .. }
        )
    };
    let is_sum = |op: &Op| matches!(op, Op::Conv2d { .. } | Op::UpConv2d { .. } | Op::Add { .. });
    let mut sites = Vec::new();
    for (number, readers) in readers.iter().enumerate() {
        let value = ValueId(number as u32);
        let readers: Vec<&Op> = readers
            .iter()
            .copied()
            .filter(|op| !matches!(op, Op::Softmax { .. }))
            .collect();
        let is_pooled = matches!(maker[number], Some(Op::MaxPool2d { .. }));
        if value == program.output || is_pooled {
            continue;
        }
        let open = maker[number].is_some_and(is_sum) && readers.len() == 1;
        let added = readers.iter().any(|op| matches!(op, Op::Add { .. }));
        let others = readers.iter().filter(|op| !reads_bytes(op)).count();
        if (added && !open) || (others > 0 && readers.len() > 1) {
            sites.push(Site {
                value,
                precision: Precision::I16,
            });
        }
        if readers.iter().any(reads_bytes) {
            sites.push(Site {
                value,
                precision: Precision::U8,
            });
        }
    }
    sites
}

/// A program that rounds at some sites, each with the distance of two neighbouring numbers of its grid, and whose kernels are stored as `i8`.
///
/// The sites are in the order of [`sites`], and the program is the one they are of. Convolutions whose results are among `wide` get weights of
/// 16 bits, as the sum of two convolutions: one with the weights rounded to a byte, one with what rounding left.
///
/// # Panics
///
/// If the program has not passed [`Program::check`].
pub fn quantised(
    program: &Program,
    tensors: &Tensors,
    grids: &[(Site, f32)],
    wide: &[ValueId],
) -> Result<(Program, Tensors), RewriteError> {
    let mut builder = Builder::new(program.input_channels, program.multiple);
    for tensor in tensors {
        let kernel = tensor.shape().len() == 4;
        builder.tensor(if kernel {
            tensor.stored_as(Storage::I8)?
        } else {
            tensor.clone()
        });
    }
    // By old number: the value as it is, or as it is rounded for sums, and as bytes.
    let mut values: Vec<[Option<ValueId>; 2]> = vec![[None; 2]; program.ops.len() + 1];
    let define = |builder: &mut Builder, old: ValueId, new: ValueId| -> Result<_, RewriteError> {
        let mut exact = new;
        let mut bytes = None;
        for (site, scale) in grids.iter().filter(|(site, _)| site.value == old) {
            let name = format!("{old}/{:?}", site.precision).to_lowercase();
            let scale = builder.tensor(Tensor::f32(name, vec![1], vec![*scale])?);
            let rounded = builder.quantise(exact, scale, site.precision);
            match site.precision {
                Precision::I16 => exact = rounded,
                Precision::U8 => bytes = Some(rounded),
            }
        }
        Ok([Some(exact), bytes])
    };
    let image = builder.input();
    values[0] = define(&mut builder, ValueId::INPUT, image)?;
    for op in &program.ops {
        let exact = |old: ValueId| {
            values[old.index()][0].expect("a checked program defines before it reads")
        };
        let bytes = |old: ValueId| values[old.index()][1].unwrap_or_else(|| exact(old));
        let new = match op {
            Op::Conv2d { input, weight, .. } | Op::UpConv2d { input, weight, .. } => {
                let input = bytes(*input);
                if wide.contains(&op.output()) {
                    // The small part first: its sum is rounded to the steps of the large one, where it hardly counts.
                    let fine = builder.tensor(rest(kernel(tensors, *weight))?);
                    let fine = convolution(&mut builder, op, input, fine, true);
                    let coarse = convolution(&mut builder, op, input, *weight, false);
                    builder.add(fine, coarse)
                } else {
                    convolution(&mut builder, op, input, *weight, true)
                }
            }
            Op::MaxPool2d {
                input,
                kernel,
                stride,
                padding,
                ..
            } => builder.max_pool2d(bytes(*input), *kernel, *stride, *padding),
            Op::Affine {
                input,
                scale,
                shift,
                relu,
                ..
            } => builder.affine(exact(*input), *scale, *shift, *relu),
            Op::Relu { input, .. } => builder.relu(exact(*input)),
            Op::Add { a, b, .. } => builder.add(exact(*a), exact(*b)),
            Op::Upsample2x { input, .. } => builder.upsample2x(exact(*input)),
            Op::Concat { a, b, .. } => builder.concat(exact(*a), exact(*b)),
            Op::Softmax { input, .. } => builder.softmax(exact(*input)),
            Op::Quantise {
                input,
                scale,
                precision,
                ..
            } => builder.quantise(exact(*input), *scale, *precision),
        };
        values[op.output().index()] = define(&mut builder, op.output(), new)?;
    }
    let logits = values[program.output.index()][0].expect("a checked program defines its logits");
    Ok(builder.finish(logits, program.classes)?)
}

/// The same convolution with another input and other weights, with its bias or without.
fn convolution(
    builder: &mut Builder,
    op: &Op,
    input: ValueId,
    weight: TensorId,
    biased: bool,
) -> ValueId {
    match *op {
        Op::Conv2d {
            bias,
            stride,
            padding,
            ..
        } => builder.conv2d(input, weight, bias.filter(|_| biased), stride, padding),
        Op::UpConv2d { bias, .. } => builder.up_conv2d(input, weight, bias.filter(|_| biased)),
        _ => unreachable!("called for convolutions"),
    }
}

fn kernel(tensors: &Tensors, id: TensorId) -> &Tensor {
    tensors.get(id).expect("the check found every tensor")
}

/// What rounding to a byte leaves of a kernel, rounded to a byte of its own.
///
/// # Errors
/// A kernel that has no finite numbers.
pub fn rest(kernel: &Tensor) -> Result<Tensor, TensorError> {
    let rounded = kernel.stored_as(Storage::I8)?.to_f32();
    let rest = kernel.to_f32().into_iter().zip(rounded).map(|(w, r)| w - r);
    let name = format!("{}/rest", kernel.name());
    Tensor::f32(name, kernel.shape().to_vec(), rest.collect())?.stored_as(Storage::I8)
}
