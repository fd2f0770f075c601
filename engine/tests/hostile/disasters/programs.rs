//! Programs that are not sound, or too large.

use nephrobox_engine::program::{Op, ValueId};

use super::raw::{Raw, first_conv, large, programmed};
use super::{Disaster, refused};
use crate::forge::Parts;
use crate::road;

pub(super) fn wrong() -> Vec<Disaster> {
    vec![
        refused(
            "no operation at all",
            programmed(|p| p.ops.clear()),
            "the program has 0 operations; 1 to 4096 are possible",
        ),
        refused(
            "five thousand rectifiers",
            {
                let mut raw = Raw::new();
                let x = (0..5000).fold(ValueId::INPUT, |x, _| raw.relu(x));
                raw.head(x, 1)
            },
            "the program has 5001 operations; 1 to 4096 are possible",
        ),
        refused(
            "tiles of 2,048 pixels",
            programmed(|p| p.multiple = 2048),
            "the program's input multiple is 2048; it must be in 1 to 1024",
        ),
        refused(
            "more classes than labels",
            programmed(|p| p.classes = 1000),
            "the program's number of classes is 1000; it must be in 1 to 64",
        ),
        refused(
            "a value that nothing makes",
            programmed(|p| p.ops.swap(0, 1)),
            "which nothing before it defines",
        ),
        refused(
            "a value that makes itself",
            {
                let mut raw = Raw::new();
                raw.relu(ValueId(1));
                raw.head(ValueId(1), 1)
            },
            "operation 0 (relu) reads v1, which nothing before it defines",
        ),
        refused(
            "a value made twice",
            programmed(|p| p.ops.insert(1, p.ops[0].clone())),
            "operation 1 (quantise) defines v1, which is defined already or numbered too high",
        ),
        refused(
            "logits that are not there",
            programmed(|p| {
                p.ops.pop();
                p.output = ValueId(u32::MAX);
            }),
            "the logits v4294967295 are not defined where [3, 4n, 4n] belong",
        ),
        refused(
            "the image as logits",
            programmed(|p| {
                p.ops.pop();
                (p.output, p.classes) = (ValueId::INPUT, 1);
            }),
            "the logits v0 are the image itself where [1, 4n, 4n] belong",
        ),
        refused(
            "a tensor that is not there",
            first_conv(|weight, _, _| weight.0 = 4_000_000),
            "operation 1 (conv2d) reads tensor t4000000, which does not exist",
        ),
        refused(
            "a tensor of another shape",
            first_conv(|weight, _, _| weight.0 = 1),
            "operation 1 (conv2d) cannot use tensor t1 of shape",
        ),
        refused(
            "a stride of 0",
            first_conv(|_, stride, _| *stride = 0),
            "operation 1 (conv2d) has kernel 3, stride 0, padding 1;",
        ),
        refused(
            "a stride that leaves pixels over",
            first_conv(|_, stride, _| *stride = 3),
            "operation 1 (conv2d) on 4n pixels has no result for every input size that is a multiple of 4",
        ),
        refused(
            "a padding of four thousand million pixels",
            first_conv(|_, _, padding| *padding = u32::MAX),
            "operation 1 (conv2d) has kernel 3, stride 1, padding 4294967295;",
        ),
        refused(
            "a kernel of 33 pixels",
            {
                let mut raw = Raw::new();
                let weight = raw.tensor(&[3, 1, 33, 33], 0.0);
                let logits = raw.conv(ValueId::INPUT, weight, 16);
                raw.logits(logits)
            },
            "operation 0 (conv2d) has kernel 33, stride 1, padding 16;",
        ),
        refused(
            "probabilities in the middle",
            programmed(|p| {
                if let Op::Quantise { input, output, .. } = p.ops[0] {
                    p.ops[0] = Op::Softmax { input, output };
                }
            }),
            "operation 0 is a softmax, which may only come last and on the logits",
        ),
        refused(
            "a tensor for nothing",
            {
                let mut parts = Parts::of(&road::small());
                parts.tensors.push(parts.tensors[0].clone());
                parts
            },
            "is read by no operation; export the model again",
        ),
        refused(
            "a hundred values of 65,536 channels",
            {
                let mut raw = Raw::new();
                let weight = raw.tensor(&[65_536, 1, 1, 1], 0.0);
                let x = raw.conv(ValueId::INPUT, weight, 0);
                let x = (0..100).fold(x, |x, _| raw.relu(x));
                raw.head(x, 65_536)
            },
            "the program's values have 6619140 channels together; at most 4194304 are possible",
        ),
        refused(
            "one megabyte of weights, used two thousand times",
            {
                let mut raw = Raw::new();
                let widen = raw.tensor(&[512, 1, 1, 1], 0.1);
                let weight = raw.bytes(&[512, 512, 1, 1], 1, 0.01);
                let x = raw.conv(ValueId::INPUT, widen, 0);
                let x = (0..2000).fold(x, |x, _| raw.conv(x, weight, 0));
                raw.head(x, 512)
            },
            "the program's operations read 524290048 numbers of tensors; at most 134217728 are possible",
        ),
        refused(
            "values of 64 GiB",
            {
                let mut raw = Raw::new();
                let weight = raw.tensor(&[1024, 1, 1, 1], 0.0);
                let x = raw.conv(ValueId::INPUT, weight, 0);
                large(raw.head(x, 1024), 4096)
            },
            "the model cannot run: the values of one slice would take 68920803328 bytes; at most 4294967296 are allowed; export the model again",
        ),
        refused(
            "a slice that takes a day",
            {
                let mut raw = Raw::new();
                let [widen, weight] =
                    [[16, 1, 1, 1], [16, 16, 31, 31]].map(|s| raw.tensor(&s, 0.0));
                let x = raw.conv(ValueId::INPUT, widen, 0);
                let x = (0..100).fold(x, |x, _| raw.conv(x, weight, 15));
                large(raw.head(x, 16), 4096)
            },
            "the model cannot run: one slice would take 412754947080192 multiplications; at most 1099511627776 are allowed; export the model again",
        ),
    ]
}
