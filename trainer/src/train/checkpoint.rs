//! A run's state on disk: variables under Keras names, Adam's moments, and where the run stands.
//!
//! One safetensors file. `LAYER/ROLE` are the variables (kernels OIHW), `adam.first/LAYER/ROLE` and
//! `adam.second/LAYER/ROLE` the moments, `average/LAYER/ROLE` the averaged variables of a run that keeps them, which
//! evaluation and export then take; the position is in the file's metadata. Files are written
//! beside their target, synced and renamed, so a kill leaves the old one or the new one.

use std::collections::HashMap;
use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, Metadata, TensorView, serialize};
use serde::{Deserialize, Serialize};

use super::step::Learner;
use crate::adam::Moments;
use crate::network::import::AVERAGE;
use crate::network::parameters::{flat, to_vec};
use crate::network::{Graph, Parameters};

/// Key of the position in the file's metadata.
const POSITION: &str = "nephrotrain.position";

/// Where a run stands, between two steps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// Epoch under way, from 0; equal to the number of epochs when the run is over.
    pub epoch: usize,
    /// Steps of it that are done.
    pub step: usize,
    /// Sum of those steps' losses, each times its number of images.
    pub loss_sum: f64,
    /// Images of those steps.
    pub images: usize,
    /// Seconds that those steps took.
    pub seconds: f64,
    /// Of `seconds`, how long they waited for their batches.
    pub waited: f64,
    /// Best validation score so far, and its epoch.
    pub best: Option<(f64, usize)>,
}

/// Why a checkpoint could not be written or read.
#[derive(Debug, thiserror::Error)]
#[error("the checkpoint {path} {problem}")]
pub struct CheckpointError {
    /// The file.
    pub path: PathBuf,
    /// What is the matter.
    pub problem: String,
}

fn error(path: &Path, problem: impl std::fmt::Display) -> CheckpointError {
    CheckpointError {
        path: path.into(),
        problem: problem.to_string(),
    }
}

/// Saves variables, moments and position.
pub fn save(path: &Path, learner: &Learner, position: &Position) -> Result<(), CheckpointError> {
    let mut arrays: Vec<(String, Vec<usize>, Vec<f32>)> = Vec::new();
    let moments = learner.adam.moments();
    for (i, parameter) in learner.parameters.entries().iter().enumerate() {
        let (name, shape) = (parameter.variable.name(), &parameter.variable.shape);
        if let Some(Moments { first, second }) = &moments[i] {
            arrays.push((
                format!("adam.first/{name}"),
                shape.clone(),
                to_vec(first.clone()),
            ));
            arrays.push((
                format!("adam.second/{name}"),
                shape.clone(),
                to_vec(second.clone()),
            ));
        }
        let averaged = learner.average.as_ref().and_then(|a| a.values().get(i));
        if let Some(value) = averaged {
            let name = format!("{AVERAGE}{name}");
            arrays.push((name, shape.clone(), to_vec(value.clone())));
        }
        arrays.push((name, shape.clone(), learner.parameters.read(i)));
    }
    let views: Vec<(&str, TensorView<'_>)> = arrays
        .iter()
        .map(|(name, shape, values)| {
            let view = TensorView::new(Dtype::F32, shape.clone(), bytemuck::cast_slice(values));
            view.map(|view| (name.as_str(), view))
                .map_err(|e| error(path, e))
        })
        .collect::<Result<_, _>>()?;
    let position = serde_json::to_string(&(position, learner.adam.step_count()))
        .map_err(|e| error(path, e))?;
    let metadata = HashMap::from([(POSITION.to_string(), position)]);
    let bytes = serialize(views, Some(metadata)).map_err(|e| error(path, e))?;
    nephrobox_imaging::files::write(path, &bytes).map_err(|e| {
        error(
            path,
            format!("cannot be written: {e}; free disk space or choose another run folder"),
        )
    })
}

/// Puts a saved state into `learner` and returns where the run stood.
pub fn load(
    path: &Path,
    learner: &mut Learner,
    device: &Device,
) -> Result<Position, CheckpointError> {
    let bytes = read(path)?;
    let (_, table) =
        SafeTensors::read_metadata(&bytes).map_err(|e| error(path, format!("is damaged: {e}")))?;
    let (position, steps) = standing(path, &table)?;
    let file =
        SafeTensors::deserialize(&bytes).map_err(|e| error(path, format!("is damaged: {e}")))?;
    let whole = |name: &str| Ok(values(&file, name));
    set_parameters(path, whole, "", &mut learner.parameters)?;
    if let Some(average) = &mut learner.average
        && steps > 0
    {
        let mut averaged = learner.parameters.clone();
        set_parameters(path, whole, AVERAGE, &mut averaged)?;
        let values = averaged.entries().iter().map(|p| p.value.clone());
        average.restore(steps, values.collect());
    }
    let moments = learner
        .parameters
        .entries()
        .iter()
        .map(|p| {
            let of = |which: &str| values(&file, &format!("adam.{which}/{}", p.variable.name()));
            match (of("first"), of("second")) {
                (Some(first), Some(second)) => Some(Moments {
                    first: flat(first, device),
                    second: flat(second, device),
                }),
                _ => None,
            }
        })
        .collect();
    learner.adam.restore(steps, moments);
    Ok(position)
}

/// Where a saved run stood, without a network to put its state into.
pub fn position(path: &Path) -> Result<Position, CheckpointError> {
    standing(path, &Variables::open(path)?.table).map(|(position, _)| position)
}

/// The position in a checkpoint's table, and how often Adam had moved.
fn standing(path: &Path, table: &Metadata) -> Result<(Position, u64), CheckpointError> {
    let text = table.metadata().as_ref().and_then(|m| m.get(POSITION));
    let text = text.ok_or_else(|| error(path, "was not written by nephrotrain train"))?;
    serde_json::from_str(text).map_err(|e| error(path, format!("is damaged: {e}")))
}

/// The variables of a checkpoint, for evaluation and export: averaged, if it holds averaged ones.
pub fn load_parameters(
    path: &Path,
    graph: &Graph,
    device: &Device,
) -> Result<Parameters, CheckpointError> {
    let mut file = Variables::open(path)?;
    let mut parameters =
        Parameters::from_fn(graph, device, |v| vec![0.0; v.shape.iter().product()]);
    let averaged = file.names().any(|name| name.starts_with(AVERAGE));
    let prefix = if averaged { AVERAGE } else { "" };
    let values = |name: &str| file.values(name);
    set_parameters(path, values, prefix, &mut parameters)?;
    Ok(parameters)
}

/// A checkpoint of which only the table and some arrays are read: the moments of Adam are two thirds of it.
struct Variables<'a> {
    path: &'a Path,
    file: fs::File,
    table: Metadata,
    /// Where the first array begins.
    start: u64,
}

impl<'a> Variables<'a> {
    fn open(path: &'a Path) -> Result<Self, CheckpointError> {
        let unread = |e: std::io::Error| error(path, format!("cannot be read: {e}"));
        let mut file = fs::File::open(path).map_err(unread)?;
        let whole = file.metadata().map_err(unread)?.len();
        let mut length = [0; 8];
        file.read_exact(&mut length).map_err(unread)?;
        let length = u64::from_le_bytes(length);
        let start = length.saturating_add(8);
        if start > whole {
            return Err(error(path, "is damaged: it ends within its table"));
        }
        let mut header = vec![0; length as usize];
        file.read_exact(&mut header).map_err(unread)?;
        let table: Metadata =
            serde_json::from_slice(&header).map_err(|e| error(path, format!("is damaged: {e}")))?;
        if start + table.data_len() as u64 != whole {
            return Err(error(
                path,
                "is damaged: its size is not what its table says",
            ));
        }
        Ok(Self {
            path,
            file,
            table,
            start,
        })
    }

    fn names(&self) -> impl Iterator<Item = String> {
        self.table.offset_keys().into_iter()
    }

    /// An array of f32, if there is one of that name.
    fn values(&mut self, name: &str) -> Result<Option<Vec<f32>>, CheckpointError> {
        let Some(info) = self
            .table
            .info(name)
            .filter(|info| info.dtype == Dtype::F32)
        else {
            return Ok(None);
        };
        let (from, to) = info.data_offsets;
        let unread = |e: std::io::Error| error(self.path, format!("cannot be read: {e}"));
        let at = SeekFrom::Start(self.start + from as u64);
        self.file.seek(at).map_err(unread)?;
        let mut values = vec![0.0_f32; (to - from) / size_of::<f32>()];
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut values);
        self.file.read_exact(bytes).map_err(unread)?;
        // The file is little-endian whatever the machine.
        for value in &mut values {
            *value = f32::from_bits(u32::from_le(value.to_bits()));
        }
        Ok(Some(values))
    }
}

fn read(path: &Path) -> Result<Vec<u8>, CheckpointError> {
    fs::read(path).map_err(|e| error(path, format!("cannot be read: {e}")))
}

fn values(file: &SafeTensors<'_>, name: &str) -> Option<Vec<f32>> {
    let view = file
        .tensor(name)
        .ok()
        .filter(|view| view.dtype() == Dtype::F32)?;
    Some(
        view.data()
            .as_chunks()
            .0
            .iter()
            .map(|b| f32::from_le_bytes(*b))
            .collect(),
    )
}

fn set_parameters(
    path: &Path,
    mut values: impl FnMut(&str) -> Result<Option<Vec<f32>>, CheckpointError>,
    prefix: &str,
    parameters: &mut Parameters,
) -> Result<(), CheckpointError> {
    let names: Vec<String> = parameters
        .entries()
        .iter()
        .map(|p| p.variable.name())
        .collect();
    for name in names {
        let values = values(&format!("{prefix}{name}"))?.ok_or_else(|| {
            error(
                path,
                format!("lacks `{name}`: it belongs to another network"),
            )
        })?;
        parameters.set(&name, values).map_err(|e| error(path, e))?;
    }
    Ok(())
}
