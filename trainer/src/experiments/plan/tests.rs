//! What a plan holds, hands on and refuses.

use super::*;
use crate::loss::LossName;

/// A plan that needs no prepared set: everything the paper did.
fn whole(choose: Choose) -> Plan {
    let part = |experiment: Experiment| Part {
        experiment,
        epochs: if experiment == Experiment::Final {
            150
        } else {
            50
        },
        values: experiment
            .values()
            .iter()
            .filter(|v| !v.extra)
            .map(|v| v.name.to_owned())
            .collect(),
        left_out: BTreeMap::new(),
    };
    Plan {
        format: FORMAT,
        fingerprint: "f".into(),
        split_hash: "s".into(),
        patients: [116, 20, 74],
        repeats: 4,
        choose,
        reuse: true,
        seed: 2019,
        only_encoder: None,
        parts: Experiment::ALL.map(part).to_vec(),
        weights: BTreeMap::new(),
        shared: Settings {
            data: Some("../prepared".into()),
            ..Settings::default()
        },
    }
}

/// The three settings that the paper's sequence meets twice: 75 % is Dice, gamma 1/2 is ResNet34, ResNet101 is stage 3.
#[test]
fn settings_that_come_up_twice_are_trained_once() {
    let mut plan = whole(Choose::Paper);
    // 24 settings and the final model, less three, four runs each.
    assert_eq!(plan.last_number(), (24 + 1 - 3) * 4);
    let same: Vec<_> = plan
        .slots(&papers_choice)
        .into_iter()
        .filter(|((.., repeat), slot)| *repeat == 1 && matches!(slot, Slot::Same { .. }))
        .map(|((_, name, _), _)| name)
        .collect();
    assert_eq!(same, ["dice", "resnet34", "stage3"]);
    plan.reuse = false;
    assert_eq!(plan.last_number(), 100);
    let seeds: std::collections::BTreeSet<_> = plan
        .own_jobs(&papers_choice)
        .iter()
        .map(|j| {
            (
                j.experiment,
                plan.at(j.experiment, &papers_choice, j.value, j.repeat)
                    .unwrap()
                    .seed,
            )
        })
        .collect();
    assert_eq!(seeds.len(), 5 * 4, "each experiment has seeds of its own");
}

#[test]
fn each_experiment_varies_one_setting_and_fixes_it_for_the_next() {
    let plan = whole(Choose::Paper);
    let first = |e: Experiment| plan.at(e, &papers_choice, &e.values()[0], 1).unwrap();
    let start = first(Experiment::Augmentation);
    assert_eq!(
        (start.augment_share, start.loss, start.gamma),
        (Some(0.0), Some(LossName::Dice), Some(1.0))
    );
    assert_eq!(
        (start.encoder, start.epochs, start.batch),
        (Some(Encoder::ResNet34), Some(50), Some(24))
    );
    let loss = first(Experiment::Loss);
    assert_eq!(
        (loss.augment_share, loss.loss),
        (Some(0.75), Some(LossName::Ce))
    );
    let encoder = first(Experiment::Encoder);
    assert_eq!(
        (encoder.gamma, encoder.encoder),
        (Some(0.5), Some(Encoder::ResNet18))
    );
    assert_eq!(encoder.retrain_from, "stage3".parse().ok());
    let retrain = first(Experiment::Retrain);
    assert_eq!(
        (retrain.encoder, retrain.retrain_from),
        (Some(Encoder::ResNet101), "all".parse().ok())
    );
    // The final model is what `nephrotrain train` does by default.
    let last = first(Experiment::Final).resolve().unwrap();
    let default = Settings {
        data: Some("../prepared".into()),
        ..Settings::default()
    }
    .resolve()
    .unwrap();
    assert_eq!(last, default);
}

#[test]
fn the_choice_of_the_results_is_waited_for() {
    let plan = whole(Choose::Results);
    assert_eq!(plan.last_number(), 100);
    let open = |e: Experiment| (e == Experiment::Augmentation).then_some("p50");
    let value = &Experiment::Loss.values()[0];
    assert_eq!(
        plan.at(Experiment::Loss, &open, value, 1)
            .unwrap()
            .augment_share,
        Some(0.5)
    );
    assert_eq!(plan.at(Experiment::Encoder, &open, value, 1), None);
    // p50 with Dice is what the first experiment did; numbers stay as they were.
    let numbers = |choice: &dyn Fn(Experiment) -> Option<&'static str>| {
        plan.own_jobs(&|e| choice(e))
            .last()
            .map(|j| (j.number, j.name.clone()))
    };
    assert_eq!(numbers(&open), Some((100, "100-final-final-r4".into())));
    assert_eq!(numbers(&|_| None), numbers(&open));
    assert_eq!(plan.own_jobs(&open).len(), 96);
}

#[test]
fn weights_go_to_the_runs_of_their_encoder() {
    let mut plan = whole(Choose::Paper);
    let file = PathBuf::from("../r34.safetensors");
    plan.weights.insert("resnet34".into(), file.clone());
    let of = |n: usize| {
        let value = &Experiment::Encoder.values()[n];
        plan.at(Experiment::Encoder, &papers_choice, value, 1)
            .unwrap()
            .weights
    };
    assert_eq!((of(0), of(1)), (None, Some(file)));
}

#[test]
fn paths_are_seen_from_the_folder() {
    let see = |folder: &str, path: &str| relative(Path::new(folder), Path::new(path)).unwrap();
    assert_eq!(see("/runs/exp", "/runs/prepared"), Path::new("../prepared"));
    assert_eq!(
        see("/runs/a/exp", "/runs/prepared/x"),
        Path::new("../../prepared/x")
    );
    assert_eq!(
        see("/runs/exp", "/data/prepared"),
        Path::new("/data/prepared")
    );
    assert_eq!(see("exp", "prepared"), Path::new("../prepared"));
}

#[test]
fn a_plan_holds_the_steps_of_an_augmentation_file_and_not_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.toml");
    std::fs::write(
        &path,
        "[[steps]]\nchance = 0.5\ntransform = { flip = {} }\n",
    )
    .unwrap();
    let choice = written_out(AugmentChoice::Named(path.display().to_string())).unwrap();
    let AugmentChoice::Steps(steps) = &choice else {
        panic!("{choice:?}");
    };
    assert_eq!((steps.len(), steps[0].chance), (1, 0.5));
    // Such a plan reads back as it was written.
    let mut plan = whole(Choose::Paper);
    plan.shared.augment = Some(choice);
    plan.save(folder.path()).unwrap();
    assert_eq!(Plan::open(folder.path()).unwrap().shared, plan.shared);

    let ct = AugmentChoice::Named("ct".into());
    assert_eq!(written_out(ct.clone()).unwrap(), ct);
    assert!(written_out(AugmentChoice::Named("nowhere.toml".into())).is_err());
}
