//! What an ONNX file says about its model, under names a program can ask for.

use nephrobox_engine::cpu::int8;
use nephrobox_engine::package::Model;
use nephrobox_shared::preprocess::Interpolation;
use nephrobox_shared::report::RESEARCH_USE_NOTICE;

use super::proto::Entry;

/// `metadata_props` of a model's file; `docs/onnx.md` has the table.
///
/// Values are plain text, one number or word each, except `class_map` and `test_scores`, which are JSON.
/// `test_scores` is there only if the package carries scores.
pub fn entries(model: &Model) -> Vec<Entry> {
    let manifest = model.manifest();
    let (training, preprocess) = (&manifest.training, manifest.input.preprocess);
    let classes: serde_json::Map<String, serde_json::Value> = manifest
        .classes
        .iter()
        .map(|class| (class.label.to_string(), class.name.clone().into()))
        .collect();
    let interpolation = match preprocess.interpolation {
        Interpolation::Linear => "linear",
        Interpolation::Area => "area",
    };
    let mut all = vec![
        ("name", manifest.name.clone()),
        ("version", manifest.version.to_string()),
        ("encoder", manifest.encoder.clone()),
        ("notice", RESEARCH_USE_NOTICE.into()),
        ("licence_notice", training.licence_notice.clone()),
        ("class_map", serde_json::Value::from(classes).to_string()),
        ("window_low_hu", preprocess.window.low_hu.to_string()),
        ("window_high_hu", preprocess.window.high_hu.to_string()),
        ("rows", preprocess.rows.to_string()),
        ("cols", preprocess.cols.to_string()),
        ("interpolation", interpolation.into()),
        ("pad_to_square", preprocess.pad_to_square.to_string()),
        ("size_multiple", model.program().multiple.to_string()),
        ("input_scale", manifest.input.scale.to_string()),
        ("package_storage", model.storage().name().into()),
        ("quantised", int8::is_quantised(model.program()).to_string()),
        ("dataset_fingerprint", training.dataset_fingerprint.clone()),
        ("source_revision", training.source_revision.clone()),
    ];
    // A quantised package also has the scores of the network it was made from, which is not what the file computes.
    if let Some(scores) = manifest.scores.int8.or(manifest.scores.float) {
        // Plain numbers by name: nothing in them can fail to become JSON.
        all.extend(
            serde_json::to_string(&scores)
                .ok()
                .map(|s| ("test_scores", s)),
        );
    }
    all.into_iter()
        .map(|(key, value)| Entry {
            key: key.into(),
            value,
        })
        .collect()
}
