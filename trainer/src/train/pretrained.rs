//! Settings that follow from the weights a run starts from, and a look at them before it starts.

use super::{Settings, TrainError};
use crate::network::import::{Matched, Plan, Source};
use crate::network::{Encoder, UnetSpec};

/// Fills in the input channels and scale that the weights file of `settings` expects, where they are not given, and makes
/// sure that the file fits the network. Also gives lines to show: what the file is and what was filled in.
///
/// A file of another kind, another encoder or other shapes is refused, so that no run folder is made for it.
pub fn complete(mut settings: Settings) -> Result<(Settings, Vec<String>), TrainError> {
    let Some(path) = settings.weights.clone() else {
        return Ok((settings, Vec::new()));
    };
    let source = Source::read(&path)?;
    let mut notes = vec![source.describe()];
    notes.extend(source.published().map(|p| p.to_string()));
    if let Some(expects) = source.expects() {
        if expects.adapter && settings.input_adapter.is_none() {
            settings.input_adapter = Some(true);
            notes.push("--input-adapter, since the file has one".into());
        }
        // An adapter that the file does not have takes any number of channels.
        let fresh = settings.input_adapter == Some(true) && !expects.adapter;
        match settings.channels {
            None if !fresh => {
                settings.channels = Some(expects.channels);
                notes.push(format!(
                    "--channels {}, as the file's first layer has it{}",
                    expects.channels,
                    if expects.channels > 1 {
                        ": each slice is repeated"
                    } else {
                        ""
                    }
                ));
            }
            _ => {}
        }
        match settings.input_scale {
            None => {
                settings.input_scale = Some(expects.scale);
                notes.push(format!(
                    "--input-scale {}, as the weights were trained on pixels from 0 to {}",
                    expects.scale, expects.scale
                ));
            }
            Some(scale) if scale != expects.scale => notes.push(format!(
                "note: the weights were trained on pixels from 0 to {}; --input-scale {scale} gives them others",
                expects.scale
            )),
            Some(_) => {}
        }
    }
    let encoder = settings.encoder.unwrap_or(Encoder::ResNet101);
    let spec = UnetSpec::paper(encoder, settings.channels.unwrap_or(1));
    let spec = if settings.input_adapter == Some(true) {
        spec.with_adapter()
    } else {
        spec
    };
    let plan = Plan::new(&source, &spec.graph())?;
    notes.push(format!(
        "{} layers loaded{}; {}",
        plan.layers(),
        match plan.matched {
            Matched::Names => "",
            Matched::Order => " by their order, since their names differ",
        },
        if plan.decoder {
            "the decoder among them"
        } else {
            "the decoder starts as initialised"
        }
    ));
    if !plan.ignored.is_empty() {
        notes.push(format!("not used: {}", plan.ignored.join(", ")));
    }
    Ok((settings, notes))
}
