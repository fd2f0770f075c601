//! Packages: what goes in comes out, weights in fewer bytes still compute, and damage never gets as far as a network.

use burn::tensor::Device;
use nephrobox_engine::burn::Executor;
use nephrobox_engine::package::{Hash, Model, ModelError, Problem};
use nephrobox_engine::program::{
    Builder, FitError, Program, ProgramError, Storage, Tensor, Tensors,
};
use nephrobox_shared::package::{Manifest, PackageError, write};
use proptest::prelude::*;

use crate::manifest::manifest;
use crate::random::{self, MULTIPLE, noise};

const SIDE: usize = 2 * MULTIPLE;

/// Models of random programs with 1 or 3 input channels.
fn models() -> impl Strategy<Value = Model> {
    random::programs().prop_filter_map(
        "a package has 1 or 3 input channels",
        |(program, tensors)| {
            let channels = program.input_channels;
            (channels != 2).then(|| Model::new(manifest(channels, SIDE), program, tensors).unwrap())
        },
    )
}

/// A head over one convolution, always the same.
fn small() -> (Program, Tensors) {
    let mut b = Builder::new(1, MULTIPLE as u32);
    let weight = b.tensor(Tensor::f32("head.weight", vec![3, 1, 3, 3], noise(5, 27)).unwrap());
    let bias = b.tensor(Tensor::f32("head.bias", vec![3], noise(6, 3)).unwrap());
    let logits = b.conv2d(b.input(), weight, Some(bias), 1, 1);
    b.finish(logits, 3).unwrap()
}

fn model() -> Model {
    let (program, tensors) = small();
    Model::new(manifest(1, SIDE), program, tensors).unwrap()
}

fn logits(model: &Model) -> Vec<f32> {
    let image: Vec<f32> = noise(1, SIDE * SIDE).iter().map(|x| x.abs()).collect();
    Executor::new(model, &Device::flex())
        .unwrap()
        .logits(&image, 1, SIDE, SIDE)
        .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn a_model_survives_its_package(model in models()) {
        for storage in [Storage::F32, Storage::F16, Storage::I8] {
            let stored = model.stored_as(storage).unwrap();
            let loaded = Model::from_bytes(&stored.to_bytes().unwrap()).unwrap();
            prop_assert_eq!(&loaded.model, &stored);
            prop_assert_eq!(loaded.signature, None);
            prop_assert_eq!(loaded.model.storage(), storage);
            // Only kernels change their storage.
            let kept = loaded.model.tensors().iter().filter(|t| t.shape().len() == 1);
            prop_assert!(kept.into_iter().all(|t| t.storage() == Storage::F32));
        }
        prop_assert_eq!(model.stored_as(Storage::F32).unwrap(), model);
    }

    /// One wrong byte anywhere is found.
    #[test]
    fn no_damage_goes_unnoticed(at: prop::sample::Index, change in 1_u8..=255) {
        let mut bytes = model().to_bytes().unwrap();
        *at.get_mut(&mut bytes) ^= change;
        prop_assert!(Model::from_bytes(&bytes).is_err());
    }

    /// A package whose hash is right but whose program was made by somebody else, or by nobody.
    #[test]
    fn a_foreign_program_is_refused_or_sound(damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let (program, _) = small();
        let mut bytes = program.to_bytes().unwrap();
        for (at, byte) in damage {
            *at.get_mut(&mut bytes) = byte;
        }
        if let Ok(loaded) = Model::from_bytes(&repack(&bytes)) {
            prop_assert_eq!(logits(&loaded.model).len(), 3 * SIDE * SIDE);
        }
    }
}

/// The small model's package around other program bytes, with a valid hash.
fn repack(program: &[u8]) -> Vec<u8> {
    use nephrobox_shared::package::{Dtype, TensorSource};
    let (_, tensors) = small();
    let data: Vec<Vec<u8>> = tensors
        .iter()
        .map(|t| t.to_f32().into_iter().flat_map(f32::to_le_bytes).collect())
        .collect();
    let shapes = [vec![3, 1, 3, 3], vec![3]];
    let sources: Vec<_> = tensors
        .iter()
        .zip(&data)
        .zip(&shapes)
        .map(|((t, data), shape)| TensorSource {
            name: t.name(),
            dtype: Dtype::F32,
            shape,
            data,
            scales: &[],
        })
        .collect();
    write(&manifest(1, SIDE), program, &sources).unwrap()
}

#[test]
fn fewer_bytes_compute_nearly_the_same() {
    let model = model();
    let exact = logits(&model);
    let largest = exact.iter().fold(0.0_f32, |m, x| m.max(x.abs()));
    for (storage, tolerance) in [
        (Storage::F32, 0.0),
        (Storage::F16, 1e-3),
        (Storage::I8, 1e-2),
    ] {
        let bytes = model.stored_as(storage).unwrap().to_bytes().unwrap();
        let found = logits(&Model::from_bytes(&bytes).unwrap().model);
        let worst = exact
            .iter()
            .zip(found)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        assert!(
            worst <= tolerance * largest,
            "{storage:?}: {worst} of {largest}"
        );
        assert!(
            storage == Storage::F32 || worst > 0.0,
            "{storage:?} stored the exact numbers"
        );
    }
}

#[test]
fn a_saved_model_loads_with_the_hash_that_saving_returned() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("small.nbx");
    let model = model();
    let hash = model.save(&path, Storage::I8).unwrap();
    let loaded = Model::load(&path).unwrap();
    assert_eq!(loaded.hash, hash);
    assert_eq!(loaded.model, model.stored_as(Storage::I8).unwrap());
    // The same model gives the same bytes, another storage another package.
    assert_eq!(model.save(&path, Storage::I8).unwrap(), hash);
    assert_ne!(model.save(&path, Storage::F16).unwrap(), hash);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    assert!(Hash([0xa5; 32]).to_string().starts_with("a5a5") && hash.to_string().len() == 64);
}

#[test]
fn what_cannot_be_read_or_written_is_said_with_the_path() {
    let dir = tempfile::tempdir().unwrap();
    let nowhere = dir.path().join("no such folder").join("small.nbx");
    let unsaved = model().save(&nowhere, Storage::F32).unwrap_err();
    assert!(
        unsaved
            .to_string()
            .starts_with(&format!("{}: ", nowhere.display())),
        "{unsaved}"
    );
    assert!(matches!(
        Model::load(&nowhere).unwrap_err().problem,
        Problem::Io(std::io::ErrorKind::NotFound, _)
    ));

    let text = dir.path().join("notes.nbx");
    std::fs::write(&text, "no model").unwrap();
    let refused = Model::load(&text).unwrap_err().problem;
    assert_eq!(
        refused,
        Problem::Model(ModelError::Package(PackageError::NotAPackage))
    );

    let huge = dir.path().join("huge.nbx");
    std::fs::File::create(&huge)
        .unwrap()
        .set_len((1 << 30) + 1)
        .unwrap();
    assert_eq!(Model::load(&huge).unwrap_err().problem, Problem::TooLong);
}

#[test]
fn manifest_and_program_must_speak_of_one_network() {
    let refusal = |change: &dyn Fn(&mut Manifest)| {
        let (program, tensors) = small();
        let mut manifest = manifest(1, SIDE);
        change(&mut manifest);
        Model::new(manifest, program, tensors).unwrap_err()
    };
    let channels = refusal(&|m| m.input.channels = 3);
    assert_eq!(
        channels,
        ModelError::Differ {
            what: "input channels",
            manifest: 3,
            program: 1
        }
    );
    let size = refusal(&|m| m.input.preprocess.cols += 1);
    assert_eq!(
        size,
        ModelError::Fit(FitError::Size {
            rows: SIDE,
            cols: SIDE + 1,
            multiple: MULTIPLE
        })
    );
    assert!(matches!(
        refusal(&|m| m.name.clear()),
        ModelError::Package(PackageError::Manifest { .. })
    ));
}

#[test]
fn a_program_that_lacks_a_tensor_is_refused_before_anything_runs() {
    let (mut program, tensors) = small();
    program.ops.pop();
    let refused = Model::new(manifest(1, SIDE), program, tensors);
    assert_eq!(refused, Err(ModelError::Program(ProgramError::Length(0))));
}
