//! Packages that must not be written.

use nephrobox_shared::package::{
    Dtype, Manifest, PackageError, TensorProblem, TensorSource, write,
};

use crate::{PROGRAM, manifest};

#[test]
fn manifests_that_no_model_can_have_are_not_written() {
    type Spoil = fn(&mut Manifest);
    let wrong: [(&str, Spoil); 7] = [
        ("the model's name", |m| m.name = " ".into()),
        ("the number of input channels", |m| m.input.channels = 4),
        ("the input scale", |m| m.input.scale = 100),
        ("the preprocessing", |m| m.input.preprocess.rows = 0),
        ("the class map", |m| m.classes.swap(1, 2)),
        ("the training data's licence notice", |m| {
            m.training.licence_notice.clear();
        }),
        ("a self-test slice", |m| m.self_test[0].rows = 3),
    ];
    for (what, spoil) in wrong {
        let mut manifest = manifest();
        spoil(&mut manifest);
        match write(&manifest, PROGRAM, &[]) {
            Err(PackageError::Manifest { field, .. }) => assert_eq!(field, what),
            other => panic!("{what}: {other:?}"),
        }
    }
}

#[test]
fn tensors_that_do_not_fit_are_not_written() {
    let fine = TensorSource {
        name: "t",
        dtype: Dtype::I8,
        shape: &[2],
        data: &[1, 2],
        scales: &[0.5, 0.5],
    };
    let wrong = [
        (TensorSource { name: "", ..fine }, TensorProblem::Name),
        (TensorSource { shape: &[], ..fine }, TensorProblem::Shape),
        (
            TensorSource {
                shape: &[2, 0],
                ..fine
            },
            TensorProblem::Shape,
        ),
        (
            TensorSource {
                shape: &[u32::MAX; 4],
                ..fine
            },
            TensorProblem::Shape,
        ),
        (
            TensorSource { data: &[1], ..fine },
            TensorProblem::Length {
                expected: 2,
                found: 1,
            },
        ),
        (
            TensorSource {
                scales: &[0.5],
                ..fine
            },
            TensorProblem::Scales,
        ),
        (
            TensorSource {
                scales: &[0.5, 0.0],
                ..fine
            },
            TensorProblem::Scales,
        ),
        (
            TensorSource {
                dtype: Dtype::F16,
                data: &[0; 4],
                ..fine
            },
            TensorProblem::Scales,
        ),
    ];
    for (tensor, expected) in wrong {
        let error = write(&manifest(), PROGRAM, &[fine, tensor]).unwrap_err();
        assert_eq!(
            error,
            PackageError::Tensor {
                index: 1,
                problem: expected
            }
        );
    }
}
