//! The pieces of a graph's notation: names, constants, settings.

use std::collections::HashMap;

use super::InputShape;
use super::proto::{self, kind};

/// Names that are given once: each with the number that the next to want it is tried with.
#[derive(Default)]
pub(super) struct Names(HashMap<String, usize>);

impl Names {
    /// The wanted name, with a number behind it if it is taken; "unnamed" for an empty one, which means "left out".
    pub(super) fn take(&mut self, wanted: &str) -> String {
        let wanted = if wanted.is_empty() { "unnamed" } else { wanted };
        let Some(mut number) = self.0.get(wanted).copied() else {
            self.0.insert(wanted.into(), 2);
            return wanted.into();
        };
        loop {
            let name = format!("{wanted}#{number}");
            number += 1;
            if !self.0.contains_key(&name) {
                self.0.insert(wanted.into(), number);
                self.0.insert(name.clone(), 2);
                return name;
            }
        }
    }
}

/// A constant, row-major.
pub(super) fn initializer(name: String, dims: Vec<i64>, values: &[f32]) -> proto::Tensor {
    proto::Tensor {
        name,
        dims,
        data_type: proto::FLOAT,
        raw_data: values.iter().flat_map(|x| x.to_le_bytes()).collect(),
    }
}

/// An input or output of images, with the axes that are open by name.
pub(super) fn value(
    name: &str,
    doc_string: String,
    channels: u32,
    shape: InputShape,
) -> proto::ValueInfo {
    let length = |length: usize| proto::Dimension {
        dim_value: Some(length as i64),
        dim_param: None,
    };
    let axis = |name: &str, fixed: Option<usize>| match fixed {
        Some(fixed) => length(fixed),
        None => proto::Dimension {
            dim_value: None,
            dim_param: Some(name.into()),
        },
    };
    let dim = vec![
        axis("batch", shape.batch),
        length(channels as usize),
        axis("rows", shape.size.map(|[rows, _]| rows)),
        axis("cols", shape.size.map(|[_, cols]| cols)),
    ];
    proto::ValueInfo {
        name: name.into(),
        doc_string,
        r#type: Some(proto::Type {
            tensor_type: Some(proto::TensorType {
                elem_type: proto::FLOAT,
                shape: Some(proto::Shape { dim }),
            }),
        }),
    }
}

/// Kernel, strides and padding of a square window.
pub(super) fn window(kernel: u32, stride: u32, padding: u32) -> Vec<proto::Attribute> {
    vec![
        ints("kernel_shape", kernel, 2),
        ints("pads", padding, 4),
        ints("strides", stride, 2),
    ]
}

/// The same whole number several times as a setting.
fn ints(name: &str, number: u32, times: usize) -> proto::Attribute {
    proto::Attribute {
        name: name.into(),
        ints: vec![i64::from(number); times],
        r#type: kind::INTS,
        ..proto::Attribute::default()
    }
}

/// A whole number as a setting.
pub(super) fn int(name: &str, number: i64) -> proto::Attribute {
    proto::Attribute {
        name: name.into(),
        i: Some(number),
        r#type: kind::INT,
        ..proto::Attribute::default()
    }
}

/// A number as a setting.
pub(super) fn float(name: &str, number: f32) -> proto::Attribute {
    proto::Attribute {
        name: name.into(),
        f: Some(number),
        r#type: kind::FLOAT,
        ..proto::Attribute::default()
    }
}

/// A word as a setting.
pub(super) fn text(name: &str, word: &str) -> proto::Attribute {
    proto::Attribute {
        name: name.into(),
        s: Some(word.into()),
        r#type: kind::STRING,
        ..proto::Attribute::default()
    }
}
