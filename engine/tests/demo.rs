//! The bundled model: quantised, through its gate, and the same to the byte with every kernel set and on any number of threads.

use std::path::Path;

use nephrobox_engine::cpu::KernelSet;
use nephrobox_engine::cpu::int8::{KERNELS, Network, Options, is_quantised};
use nephrobox_engine::package::Model;
use nephrobox_engine::self_test;

fn demo() -> Model {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/demo-resnet18.nbx");
    Model::load(path).unwrap().model
}

fn network(model: &Model, kernels: KernelSet, threads: usize) -> Network {
    let input = model.manifest().input;
    let options = Options {
        size: [input.preprocess.rows, input.preprocess.cols],
        input_scale: f32::from(input.scale),
        threads,
        kernels,
    };
    Network::new(model.program(), model.tensors().clone(), options).unwrap()
}

/// Shows RQ-39.
#[test]
fn every_kernel_set_passes_the_packages_own_test() {
    let model = demo();
    assert!(is_quantised(model.program()));
    for kernels in KERNELS.available() {
        for threads in [1, 2] {
            let mut network = network(&model, kernels, threads);
            let slices = self_test::run(model.manifest(), &mut network).unwrap();
            assert_eq!(slices, 2, "{kernels}");
        }
    }
}

#[test]
fn a_twin_gives_what_its_original_gives() {
    let model = demo();
    let original = network(&model, KERNELS.choose().unwrap(), 2);
    let mut twin = original.twin().unwrap();
    drop(original);
    assert_eq!(self_test::run(model.manifest(), &mut twin), Ok(2));
}

/// The package says how it was calibrated, and its integers score what the float network scores, to a tenth of a point.
/// Shows RQ-43.
#[test]
fn it_came_through_the_gate() {
    let model = demo();
    let manifest = model.manifest();
    let record = manifest.calibration.as_ref().unwrap();
    assert!(record.slices > 0 && record.parameters.iter().all(|p| p.key != "allowed drop"));
    let (float, int8) = (
        manifest.scores.float.as_ref().unwrap(),
        manifest.scores.int8.as_ref().unwrap(),
    );
    for class in nephrobox_shared::class::Class::ALL {
        let [float, int8] = [float, int8].map(|scores| scores.paper.get(class).dice.unwrap());
        assert!(
            int8 > float - 0.001,
            "{class:?}: {int8} in integers, {float} in float"
        );
    }
}

/// A fault must be told: one label changed in the package.
#[test]
fn another_label_map_is_a_failed_self_test() {
    let model = demo();
    let mut manifest = model.manifest().clone();
    let label = &mut manifest.self_test[1].labels[0];
    *label = 1 - *label;
    let mut network = network(&model, KERNELS.choose().unwrap(), 1);
    let failed = self_test::run(&manifest, &mut network).unwrap_err();
    assert_eq!(
        failed,
        self_test::SelfTestError::Differs {
            slice: 2,
            pixels: 1
        }
    );
}
