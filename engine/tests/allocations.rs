//! A slice allocates nothing once a network is ready.

use std::path::Path;

use assert_no_alloc::{AllocDisabler, assert_no_alloc};
use nephrobox_engine::cpu::f32;
use nephrobox_engine::cpu::int8::{KERNELS, Network, Options};
use nephrobox_engine::model::SliceModel;
use nephrobox_engine::package::Model;

/// Ends the test program where something allocates that must not.
#[global_allocator]
static ALLOCATOR: AllocDisabler = AllocDisabler;

fn slice_without_allocation(model: &mut dyn SliceModel) {
    let pixels = model.rows() * model.cols();
    let image: Vec<f32> = (0..pixels).map(|i| (i % 251) as f32 / 250.0).collect();
    let mut labels = vec![9; pixels];
    assert_no_alloc(|| model.segment(&image, 1, &mut labels)).unwrap();
    assert!(labels.iter().all(|&label| label < 3));
}

fn demo() -> Model {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/demo-resnet18.nbx");
    Model::load(path).unwrap().model
}

#[test]
fn integers_allocate_nothing() {
    let model = demo();
    let input = model.manifest().input;
    for kernels in KERNELS.available() {
        let options = Options {
            size: [input.preprocess.rows, input.preprocess.cols],
            input_scale: input.scale.into(),
            threads: 1,
            kernels,
        };
        let mut network = Network::new(model.program(), model.tensors().clone(), options).unwrap();
        slice_without_allocation(&mut network);
    }
}

#[test]
fn floats_allocate_nothing() {
    let mut network = f32::Network::from_model(demo(), f32::Settings::default()).unwrap();
    slice_without_allocation(&mut network);
}
