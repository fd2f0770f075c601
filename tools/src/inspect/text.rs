//! A package as text for a terminal.

use std::fmt::Write;
use std::path::Path;

use nephrobox_shared::metrics::{ClassScores, Scores, SpreadSummary};
use nephrobox_shared::package::{KeyValue, Manifest, Share};
use nephrobox_shared::preprocess::Interpolation;

use crate::package::Package;

/// The whole text.
pub(super) fn document(path: &Path, package: &Package) -> String {
    let mut page = Page(String::new());
    let manifest = package.loaded.model.manifest();
    page.head(path, package);
    page.model(manifest);
    page.training(manifest);
    page.scores("floating point", manifest.scores.float.as_ref());
    page.scores("int8", manifest.scores.int8.as_ref());
    page.network(package);
    page.0
}

/// Text that grows by lines. Writing to a string cannot fail.
struct Page(String);

impl Page {
    fn line(&mut self, words: &str) {
        self.0.push_str(words.trim_end());
        self.0.push('\n');
    }

    fn section(&mut self, title: &str) {
        self.line("");
        self.line(title);
    }

    fn entry(&mut self, name: &str, value: &str) {
        // A value of several lines, such as a licence notice, hangs under its first.
        for (index, line) in value.lines().enumerate() {
            self.line(&format!(
                "  {:<15} {line}",
                if index == 0 { name } else { "" }
            ));
        }
    }

    fn head(&mut self, path: &Path, package: &Package) {
        let manifest = package.loaded.model.manifest();
        self.line(&format!("{} version {}", manifest.name, manifest.version));
        self.section("PACKAGE");
        self.entry("file", &path.display().to_string());
        let header = package.header;
        self.entry(
            "format",
            &format!(
                "NBX1, version {}.{}, {} bytes",
                header.major, header.minor, header.total_len
            ),
        );
        self.entry("BLAKE3", &package.loaded.hash.to_string());
        self.entry("signature", &package.signed.to_string());
    }

    fn model(&mut self, manifest: &Manifest) {
        let preprocess = &manifest.input.preprocess;
        self.section("MODEL");
        self.entry("encoder", &manifest.encoder);
        let resize = match preprocess.interpolation {
            Interpolation::Linear => "linear",
            Interpolation::Area => "area",
        };
        let pad = if preprocess.pad_to_square {
            ", padded to a square"
        } else {
            ""
        };
        self.entry(
            "input",
            &format!(
                "{} x {} pixels ({resize}{pad}), {} channel(s), values times {}",
                preprocess.rows, preprocess.cols, manifest.input.channels, manifest.input.scale
            ),
        );
        self.entry(
            "window",
            &format!(
                "{} to {} HU",
                preprocess.window.low_hu, preprocess.window.high_hu
            ),
        );
        let classes: Vec<String> = manifest
            .classes
            .iter()
            .map(|class| format!("{} {}", class.label, class.name))
            .collect();
        self.entry("classes", &classes.join(", "));
        self.entry("self-test", &format!("{} slices", manifest.self_test.len()));
        match &manifest.calibration {
            None => self.entry("calibration", "none"),
            Some(calibration) => {
                let settings = settings(&calibration.parameters);
                self.entry(
                    "calibration",
                    &format!(
                        "{}, {} slices{settings}",
                        calibration.method, calibration.slices
                    ),
                );
            }
        }
    }

    fn training(&mut self, manifest: &Manifest) {
        let training = &manifest.training;
        self.section("TRAINING");
        self.entry("data set", or_unstated(&training.dataset_fingerprint));
        let share = |share: Share| format!("{} patients, {} slices", share.patients, share.slices);
        let split = &training.split;
        self.entry("split", or_unstated(&split.name));
        self.entry("  train", &share(split.train));
        self.entry("  validation", &share(split.validation));
        self.entry("  test", &share(split.test));
        self.entry("seed", &training.seed.to_string());
        self.entry("source", or_unstated(&training.source_revision));
        for setting in &training.hyperparameters {
            self.entry(&setting.key, &setting.value);
        }
        self.entry("licence", &training.licence_notice);
    }

    fn scores(&mut self, program: &str, scores: Option<&Scores>) {
        let Some(scores) = scores else {
            self.section(&format!("TEST SCORES, {program}: not measured"));
            return;
        };
        self.section(&format!(
            "TEST SCORES, {program}: {} cases, {} slices",
            scores.cases, scores.slices
        ));
        self.line(&format!(
            "  {:<22}{:<12}{:>16}{:>16}{:>16}",
            "", "", "Dice", "recall", "precision"
        ));
        let pooled = [
            ("patient-weighted", &scores.paper),
            ("pooled, unweighted", &scores.pooled),
        ];
        for (name, classes) in pooled {
            for (class, of) in [("kidney", &classes.kidney), ("tumour", &classes.tumour)] {
                self.row(
                    if class == "kidney" { name } else { "" },
                    class,
                    &class_values(of),
                );
            }
        }
        for (class, of) in [
            ("kidney", &scores.per_case.kidney),
            ("tumour", &scores.per_case.tumour),
        ] {
            let values = [spread(&of.dice), spread(&of.recall), spread(&of.precision)];
            self.row(
                if class == "kidney" {
                    "per case, mean ± sd"
                } else {
                    ""
                },
                class,
                &values,
            );
        }
        let kits = &scores.kits;
        let nothing = String::new;
        self.row(
            "KiTS19 challenge",
            "with tumour",
            &[spread(&kits.kidney_and_tumour_dice), nothing(), nothing()],
        );
        self.row(
            "",
            "tumour",
            &[spread(&kits.tumour_dice), nothing(), nothing()],
        );
        self.row(
            "",
            "composite",
            &[spread(&kits.composite_dice), nothing(), nothing()],
        );
    }

    fn row(&mut self, name: &str, class: &str, [dice, recall, precision]: &[String; 3]) {
        self.line(&format!(
            "  {name:<22}{class:<12}{dice:>16}{recall:>16}{precision:>16}"
        ));
    }

    fn network(&mut self, package: &Package) {
        let model = &package.loaded.model;
        let program = model.program();
        self.section("PROGRAM");
        let mut kinds: Vec<(&str, usize)> = Vec::new();
        for op in &program.ops {
            match kinds.iter_mut().find(|(name, _)| *name == op.name()) {
                Some((_, count)) => *count += 1,
                None => kinds.push((op.name(), 1)),
            }
        }
        let kinds: Vec<String> = kinds
            .iter()
            .map(|(name, count)| format!("{count} {name}"))
            .collect();
        self.entry(
            "operations",
            &format!("{}: {}", program.ops.len(), kinds.join(", ")),
        );
        let [rows, cols] = package.input_size();
        let peak = model.plan().peak_value_bytes(rows, cols);
        self.entry(
            "memory",
            &format!("{:.1} MB of values for one slice", peak as f64 / 1e6),
        );
        self.section("TENSORS");
        let tensors = model.tensors();
        let numbers: usize = tensors
            .iter()
            .map(nephrobox_engine::program::Tensor::elements)
            .sum();
        self.entry(
            "all",
            &format!(
                "{}, {numbers} numbers, {} bytes",
                tensors.len(),
                tensors.bytes()
            ),
        );
        let mut storages: Vec<(&str, usize, usize)> = Vec::new();
        for tensor in tensors {
            let name = tensor.storage().name();
            match storages.iter_mut().find(|(storage, ..)| *storage == name) {
                Some((_, count, bytes)) => (*count, *bytes) = (*count + 1, *bytes + tensor.bytes()),
                None => storages.push((name, 1, tensor.bytes())),
            }
        }
        for (storage, count, bytes) in storages {
            self.entry(storage, &format!("{count} tensors, {bytes} bytes"));
        }
    }
}

fn class_values(scores: &ClassScores) -> [String; 3] {
    [scores.dice, scores.recall, scores.precision]
        .map(|value| value.map_or("undefined".to_owned(), |value| format!("{value:.4}")))
}

fn spread(summary: &SpreadSummary) -> String {
    match (summary.mean, summary.population_deviation) {
        (Some(mean), Some(deviation)) => format!("{mean:.3} ± {deviation:.3}"),
        _ => "undefined".to_owned(),
    }
}

fn settings(parameters: &[KeyValue]) -> String {
    parameters.iter().fold(String::new(), |mut words, setting| {
        let _ = write!(words, ", {} {}", setting.key, setting.value);
        words
    })
}

fn or_unstated(value: &str) -> &str {
    if value.is_empty() {
        "not stated"
    } else {
        value
    }
}
