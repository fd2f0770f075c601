//! Small packages, who signs them, and a self-test that ends as the test wants.

use std::collections::BTreeMap;
use std::time::Duration;

use nephrobox::slots::{
    Announced, Begin, Letter, SelfTester, Settings, Slots, SlotsError, Trial, TrialError,
};
use nephrobox::storage::Storage;
use nephrobox::storage::faulty::{Fault, Faulty};
use nephrobox_engine::executor::{self, Event};
use nephrobox_engine::package::{Loaded, Model};
use nephrobox_engine::program::{Builder, Tensor};
use nephrobox_shared::package::{
    Input, Manifest, SecretKey, SelfTest, TestScores, Training, permit, signing,
};
use nephrobox_shared::preprocess::Preprocess;

/// The key in use, a retired one, and that of a stranger.
pub(crate) const MAKER: u8 = 1;
pub(crate) const RETIRED: u8 = 2;
pub(crate) const STRANGER: u8 = 3;

pub(crate) fn key(number: u8) -> SecretKey {
    SecretKey::from_seed(&[number; 32])
}

/// Rows and columns of the self-test's slice.
const SIDE: u32 = 8;

pub(crate) fn manifest(version: u64) -> Manifest {
    let pixels = (SIDE * SIDE) as usize;
    Manifest {
        name: "threshold".into(),
        version,
        encoder: "none".into(),
        input: Input {
            preprocess: Preprocess {
                rows: 32,
                cols: 32,
                ..Preprocess::default()
            },
            channels: 1,
            scale: 1,
        },
        classes: Manifest::kits_classes(),
        training: Training {
            licence_notice: "Made by hand, free of anyone's rights.".into(),
            ..Training::default()
        },
        scores: TestScores::default(),
        calibration: None,
        self_test: vec![SelfTest {
            rows: SIDE,
            cols: SIDE,
            // Brightness 0.64 all over: the largest logit is that of the kidney.
            hu: vec![100; pixels],
            labels: vec![1; pixels],
        }],
    }
}

/// A model of one 1 x 1 convolution.
pub(crate) fn model(manifest: Manifest) -> Model {
    let mut builder = Builder::new(1, 32);
    let weight = Tensor::f32("head", vec![3, 1, 1, 1], vec![0.0, 1.0, -1.0]).expect("a tensor");
    let bias = Tensor::f32("bias", vec![3], vec![0.0, 0.5, 0.25]).expect("a tensor");
    let (weight, bias) = (builder.tensor(weight), builder.tensor(bias));
    let logits = builder.conv2d(builder.input(), weight, Some(bias), 1, 0);
    let (program, tensors) = builder.finish(logits, 3).expect("a program");
    Model::new(manifest, program, tensors).expect("a model")
}

/// The same, as a signed package.
pub(crate) fn signed(model: &Model, signer: u8) -> Vec<u8> {
    let mut file = model.to_bytes().expect("a package");
    signing::sign(&mut file, &key(signer)).expect("signed");
    file
}

/// A package by the key in use.
pub(crate) fn package(version: u64) -> Vec<u8> {
    signed(&model(manifest(version)), MAKER)
}

/// A permit for a package to replace a version.
pub(crate) fn permit(package: &[u8], replaces: u64, signer: u8) -> Vec<u8> {
    let announced = Announced::of(package, None).expect("a package");
    permit::make(announced.package.hash.as_bytes(), replaces, &key(signer)).to_vec()
}

/// What a box with these keys takes; synced every 400 bytes, which is several times in a package.
pub(crate) fn settings() -> Settings {
    Settings {
        keys: vec![key(MAKER).public()],
        retired_keys: vec![key(RETIRED).public()],
        allow_without_self_test: false,
        checkpoint_bytes: 400,
    }
}

pub(crate) fn open(disk: &Faulty) -> Slots<Faulty> {
    Slots::open(disk.clone(), settings()).expect("a start").0
}

/// How a self-test ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Passes,
    Fails,
    /// The power goes while it runs.
    Kills,
}

/// Self-tests that end as is written here, by version; those that are not named pass. The model is its version.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stage {
    pub(crate) ends: BTreeMap<u64, End>,
    pub(crate) disk: Faulty,
}

impl Stage {
    pub(crate) fn new(disk: &Faulty, ends: &[(u64, End)]) -> Self {
        Self {
            ends: ends.iter().copied().collect(),
            disk: disk.clone(),
        }
    }
}

impl Trial for Stage {
    type Model = u64;

    fn run(&self, package: Loaded) -> Result<u64, TrialError> {
        let version = package.model.manifest().version;
        match self.ends.get(&version).unwrap_or(&End::Passes) {
            End::Passes => Ok(version),
            End::Fails => Err(TrialError::BrokeOff("as the test wants it".into())),
            End::Kills => {
                self.disk.fail_at(1, Fault::Cut);
                let _ = self.disk.make_folder("");
                Ok(version)
            }
        }
    }
}

/// Sends a package in pieces, going on from wherever the box says. The slot that it waits in, or `None` if it is in use already.
pub(crate) fn send<S: Storage>(
    slots: &Slots<S>,
    file: &[u8],
    permit: Option<&[u8]>,
) -> Result<Option<Letter>, SlotsError> {
    let announced = Announced::of(file, permit).expect("a package");
    match slots.begin(&announced)? {
        Begin::Receive { offset, .. } => {
            let mut offset = offset;
            for piece in file[offset as usize..].chunks(300.max(file.len() / 4)) {
                offset = slots.write(offset, piece)?;
            }
            slots.finish().map(Some)
        }
        Begin::Have { slot, in_use } => Ok((!in_use).then_some(slot)),
        Begin::Refused(refusal) => Err(refusal.into()),
    }
}

/// Sends a package and has it tried; the version in use afterwards.
pub(crate) fn flash(
    slots: &Slots<Faulty>,
    stage: &Stage,
    file: &[u8],
    permit: Option<&[u8]>,
) -> Result<Option<u64>, SlotsError> {
    send(slots, file, permit)?;
    slots.try_out(stage)?;
    version(slots)
}

/// The version in use.
pub(crate) fn version<S: Storage>(slots: &Slots<S>) -> Result<Option<u64>, SlotsError> {
    Ok(slots.current()?.map(|current| current.package.version))
}

/// A box on which these versions were installed one after the other.
pub(crate) fn installed(versions: &[u64]) -> Faulty {
    let disk = Faulty::new();
    let slots = open(&disk);
    let stage = Stage::new(&disk, &[]);
    for &wanted in versions {
        let now = flash(&slots, &stage, &package(wanted), None).expect("flashed");
        assert_eq!(now, Some(wanted));
    }
    disk
}

/// What tries a package on this machine's CPU, with one thread.
pub(crate) fn tester() -> SelfTester<fn(Event)> {
    SelfTester {
        settings: executor::Settings {
            device: "cpu".into(),
            threads: Some(1),
            ..executor::Settings::default()
        },
        allow_without_self_test: false,
        limit: Duration::from_mins(10),
        hear: |_| (),
    }
}
