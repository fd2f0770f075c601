//! Which layer of a file goes to which layer of a network.

use std::collections::HashSet;

use super::super::architecture::{Encoder, Family, Part};
use super::super::graph::{Graph, NodeId, Variable};
use super::super::parameters::Parameters;
use super::source::{Source, SourceLayer};
use super::{ImportError, ImportFault};

/// How layers were matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matched {
    /// By their names.
    Names,
    /// By their order, as Keras' own loader does, because names differ; all shapes agree.
    Order,
}

/// A file's layers matched with a network's: nothing can go wrong when it is applied.
#[derive(Clone, Debug)]
pub struct Plan {
    /// (layer of the file, layer of the network).
    pairs: Vec<(usize, NodeId)>,
    /// The variables of each pair's layer of the network.
    variables: Vec<Vec<Variable>>,
    /// How they were matched.
    pub matched: Matched,
    /// Whether the decoder's layers are among them; if not, it stays as initialised.
    pub decoder: bool,
    /// Layers of the file that the network has no use for, such as a classification head.
    pub ignored: Vec<String>,
}

impl Plan {
    /// Matches every encoder layer of `graph`, and every decoder layer if the file has any, with one of the file.
    pub fn new(source: &Source, graph: &Graph) -> Result<Self, ImportError> {
        let layers = in_keras_order(graph);
        let by_name = names(source, graph, &layers);
        let (pairs, matched) = match by_name {
            Ok(pairs) => (pairs, Matched::Names),
            Err(error) => {
                let pairs = order(source, graph, &layers).ok_or(error)?;
                (pairs, Matched::Order)
            }
        };
        let used: HashSet<usize> = pairs.iter().map(|&(layer, _)| layer).collect();
        let ignored = (source.layers.iter().enumerate())
            .filter(|(i, _)| !used.contains(i))
            .map(|(_, l)| l.name.clone())
            .collect();
        let decoder = pairs
            .iter()
            .any(|&(_, id)| Part::of(&graph.nodes()[id].name) == Part::Decoder);
        Ok(Self {
            variables: pairs
                .iter()
                .map(|&(_, id)| graph.variables_of(id))
                .collect(),
            pairs,
            matched,
            decoder,
            ignored,
        })
    }

    /// Number of layers that get values.
    pub fn layers(&self) -> usize {
        self.pairs.len()
    }

    /// Puts the values into `parameters`.
    ///
    /// # Panics
    /// If `source` or `parameters` are not those the plan was made for: a mistake of the caller, not of any input.
    pub fn apply(&self, source: &Source, parameters: &mut Parameters) {
        for (&(layer, _), variables) in self.pairs.iter().zip(&self.variables) {
            for (at, variable) in variables.iter().enumerate() {
                let value = source.layers[layer].value(variable.role, at);
                let value = value.expect("plans hold layers that fit");
                parameters
                    .set(&variable.name(), value.values.clone())
                    .expect("plans hold layers that fit");
            }
        }
    }
}

/// Layers with variables as a Keras model lists them: a unit's shortcut comes behind its main path.
fn in_keras_order(graph: &Graph) -> Vec<NodeId> {
    let mut all: Vec<NodeId> = (0..graph.nodes().len())
        .filter(|&id| !graph.variables_of(id).is_empty())
        .collect();
    let unit = |id: NodeId| {
        graph.nodes()[id]
            .name
            .rsplit_once('_')
            .map_or("", |(unit, _)| unit)
    };
    for at in 0..all.len() {
        if !graph.nodes()[all[at]].name.ends_with("_sc") {
            continue;
        }
        let behind = (all[at + 1..].iter()).take_while(|&&id| unit(id) == unit(all[at]));
        let last = at + behind.count();
        all[at..=last].rotate_left(1);
    }
    all
}

/// Every layer by its own name.
fn names(
    source: &Source,
    graph: &Graph,
    layers: &[NodeId],
) -> Result<Vec<(usize, NodeId)>, ImportError> {
    let network = Family::of(graph);
    if let Some(holds) = source.family().filter(|&family| family != network) {
        let advice = other_kind_advice(source, holds);
        let fault = ImportFault::OtherKind {
            holds,
            network,
            advice,
        };
        return Err(ImportError::new(&source.path, fault));
    }
    let advice = |otherwise: &str| match (source.encoder(), Encoder::of(graph)) {
        (Some(file), graph) if graph != Some(file) => format!("pass --encoder {file}"),
        _ => otherwise.to_string(),
    };
    let fail = |problem: String, otherwise: &str| {
        let advice = advice(otherwise);
        ImportError::new(&source.path, ImportFault::OtherNetwork { problem, advice })
    };
    // Units that the network does not have: the file's encoder is deeper, although all of ours are in it.
    let known: HashSet<&str> = graph.nodes().iter().map(|n| n.name.as_str()).collect();
    let surplus = (source.layers.iter()).find(|l| {
        Part::of(&l.name) == Part::Encoder && is_unit(&l.name) && !known.contains(l.name.as_str())
    });
    if let Some(layer) = surplus {
        let problem = format!("the network has no layer `{}`", layer.name);
        return Err(fail(
            problem,
            "choose the encoder that the file was made for",
        ));
    }
    let position = |name: &str| source.layers.iter().position(|l| l.name == name);
    let mut pairs = Vec::new();
    for &id in layers {
        let name = &graph.nodes()[id].name;
        match (position(name), Part::of(name)) {
            (Some(layer), _) => {
                fits(&source.layers[layer], &graph.variables_of(id))
                    .map_err(|problem| fail(problem.0, &problem.1))?;
                pairs.push((layer, id));
            }
            // New in this network: stays as initialised.
            (None, Part::Adapter) => {}
            (None, Part::Decoder) if !source.has_decoder() => {}
            (None, _) => {
                return Err(fail(
                    format!("the file has no layer `{name}`"),
                    "give the file of a whole encoder",
                ));
            }
        }
    }
    let adapter = source
        .layers
        .iter()
        .find(|l| Part::of(&l.name) == Part::Adapter);
    if let Some(layer) = adapter.filter(|l| !known.contains(l.name.as_str())) {
        let problem = format!("the network has no layer `{}`", layer.name);
        return Err(fail(problem, "pass --input-adapter"));
    }
    Ok(pairs)
}

/// All layers, all but the adapter, or all of the encoder, in the model's order; only if every shape agrees.
fn order(source: &Source, graph: &Graph, layers: &[NodeId]) -> Option<Vec<(usize, NodeId)>> {
    if !source.ordered {
        return None;
    }
    let part = |id: NodeId| Part::of(&graph.nodes()[id].name);
    let wanted: [Vec<NodeId>; 3] = [
        layers.to_vec(),
        layers
            .iter()
            .copied()
            .filter(|&id| part(id) != Part::Adapter)
            .collect(),
        layers
            .iter()
            .copied()
            .filter(|&id| part(id) == Part::Encoder)
            .collect(),
    ];
    wanted.into_iter().find_map(|wanted| {
        let same = wanted.len() == source.layers.len()
            && (source.layers.iter().zip(&wanted))
                .all(|(layer, &id)| fits(layer, &graph.variables_of(id)).is_ok());
        same.then(|| wanted.into_iter().enumerate().collect())
    })
}

/// Whether a layer of a file has the variables of a network's; if not, the problem and what to do.
fn fits(layer: &SourceLayer, variables: &[Variable]) -> Result<(), (String, String)> {
    let name = &layer.name;
    if layer.values.len() != variables.len() {
        let labels: Vec<&str> = layer.values.iter().map(|v| v.label.as_str()).collect();
        return Err((
            format!(
                "`{name}` has {} arrays in the file ({}), not {}",
                labels.len(),
                labels.join(", "),
                variables.len()
            ),
            "give weights of a network of this kind".into(),
        ));
    }
    for (at, variable) in variables.iter().enumerate() {
        let Some(value) = layer.value(variable.role, at) else {
            return Err((
                format!("`{name}` has no {} in the file", variable.role.name()),
                "give weights of a network of this kind".into(),
            ));
        };
        if value.shape != variable.shape {
            let problem = format!(
                "`{}` has the shape {:?} in the file and {:?} in the network",
                variable.name(),
                value.shape,
                variable.shape
            );
            let channels = match (name.as_str(), &value.shape[..]) {
                ("bn_data", [channels])
                | ("conv0" | "conv1" | "input_adapter", [_, channels, ..]) => Some(channels),
                _ => None,
            };
            let advice = match channels {
                Some(channels @ (1 | 3)) => format!("pass --channels {channels}"),
                _ => "give weights of a network of this kind".into(),
            };
            return Err((problem, advice));
        }
    }
    Ok(())
}

/// Whether a name is that of a layer in a residual unit.
fn is_unit(name: &str) -> bool {
    let digit = |rest: &str| rest.starts_with(|c: char| c.is_ascii_digit());
    ["stage", "layer"]
        .iter()
        .any(|stem| name.strip_prefix(stem).is_some_and(digit))
}

fn other_kind_advice(source: &Source, holds: Family) -> String {
    match (source.encoder(), holds) {
        (Some(encoder), _) => format!("pass --encoder {encoder}"),
        (None, Family::Torchvision) => {
            "pass the --encoder torchvision-resnet... it was made for".into()
        }
        (None, Family::Reference) => "pass the --encoder resnet... it was made for".into(),
    }
}
