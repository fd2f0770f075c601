//! What a weights file holds, whatever its format: layers with values in this program's layout.

use std::fmt;
use std::path::{Path, PathBuf};

use nephrobox_imaging::files;

use super::super::architecture::{Encoder, Family, Part, Unit};
use super::super::graph::Role;
use super::{ImportError, ImportFault, MOST_BYTES, Published, keras, tensors};

/// Format of a weights file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Keras HDF5, weights only.
    KerasWeights,
    /// Keras HDF5, whole model.
    KerasModel,
    /// safetensors.
    Safetensors,
    /// PyTorch checkpoint.
    PyTorch,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KerasWeights => "Keras weights",
            Self::KerasModel => "Keras whole model",
            Self::Safetensors => "safetensors",
            Self::PyTorch => "PyTorch",
        })
    }
}

/// One array of a layer.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceValue {
    /// What the file calls it.
    pub label: String,
    /// Its part in the layer, if the label says so. Keras' labels do not reliably; there the position does.
    pub role: Option<Role>,
    /// Its shape; four dimensions are OIHW.
    pub shape: Vec<usize>,
    /// Its values in C order of `shape`.
    pub values: Vec<f32>,
}

/// A layer with weights.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceLayer {
    /// Its name.
    pub name: String,
    /// Its arrays, in the file's order.
    pub values: Vec<SourceValue>,
}

impl SourceLayer {
    /// The value that plays `role`, of which the layer's kind expects `at` to be the position.
    pub(super) fn value(&self, role: Role, at: usize) -> Option<&SourceValue> {
        if self.values.iter().any(|v| v.role.is_some()) {
            self.values.iter().find(|v| v.role == Some(role))
        } else {
            self.values.get(at)
        }
    }
}

/// A weights file in memory.
#[derive(Clone, Debug)]
pub struct Source {
    /// The file.
    pub path: PathBuf,
    /// Its format.
    pub format: Format,
    /// Its layers that have weights; in the model's order if the format keeps one.
    pub layers: Vec<SourceLayer>,
    /// Whether `layers` are in the model's order.
    pub ordered: bool,
    /// MD5 of the whole file, in lower-case hex; only of HDF5 files, whose published checksums are of this kind.
    pub md5: Option<String>,
}

/// What input the weights in a file were made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expects {
    /// Input channels.
    pub channels: usize,
    /// Factor on [0, 1] pixels: 255 for the published reference encoders.
    pub scale: u16,
    /// Whether the file has an own 1x1 convolution in front of the encoder.
    pub adapter: bool,
}

impl Source {
    /// Reads a weights file of any known format.
    pub fn read(path: &Path) -> Result<Self, ImportError> {
        let bytes = files::read(path, MOST_BYTES)
            .map_err(|error| ImportError::new(path, ImportFault::Read(error)))?;
        match kind(&bytes) {
            Kind::Hdf5 => keras::read(path, bytes),
            Kind::Safetensors => tensors::safetensors(path, &bytes),
            Kind::PyTorch => {
                let length = bytes.len() as u64;
                drop(bytes); // the reader takes what it needs from the file itself
                tensors::pytorch(path, length)
            }
            Kind::Other(found) => Err(ImportError::new(path, ImportFault::Unknown(found))),
        }
    }

    /// The layer called `name`.
    pub fn layer(&self, name: &str) -> Option<&SourceLayer> {
        self.layers.iter().find(|l| l.name == name)
    }

    /// Which kind of encoder the layers' names belong to.
    pub fn family(&self) -> Option<Family> {
        if self.layers.iter().any(|l| l.name.starts_with("layer1.0.")) {
            Some(Family::Torchvision)
        } else if self
            .layers
            .iter()
            .any(|l| l.name.starts_with("stage1_unit1_"))
        {
            Some(Family::Reference)
        } else {
            None
        }
    }

    /// Which encoder it is, by the number and kind of its units.
    pub fn encoder(&self) -> Option<Encoder> {
        let family = self.family()?;
        let prefix = |stage: usize, unit: usize| match family {
            Family::Reference => format!("stage{stage}_unit{unit}_"),
            Family::Torchvision => format!("layer{stage}.{}.", unit - 1),
        };
        let has = |prefix: String| self.layers.iter().any(|l| l.name.starts_with(&prefix));
        let units = [1, 2, 3, 4].map(|stage| {
            (1..=self.layers.len())
                .take_while(|&u| has(prefix(stage, u)))
                .count()
        });
        let unit = if has(format!("{}conv3", prefix(1, 1))) {
            Unit::Bottleneck
        } else {
            Unit::Basic
        };
        Encoder::ALL
            .into_iter()
            .find(|e| e.family() == family && e.units() == (unit, units))
    }

    /// Whether the file holds a decoder too.
    pub fn has_decoder(&self) -> bool {
        self.layers
            .iter()
            .any(|l| Part::of(&l.name) == Part::Decoder)
    }

    /// What input the weights want, if it can be told.
    ///
    /// The channels are those of the first layer. A reference encoder without decoder counts as one of the published ones,
    /// which take pixels in 0 ..= 255. A whole network keeps the mean of its training images in `bn_data`; a mean above 1
    /// cannot come from pixels in 0 ..= 1.
    pub fn expects(&self) -> Option<Expects> {
        let adapter = self.layer(super::super::architecture::ADAPTER);
        let width =
            |layer: Option<&SourceLayer>| Some(*layer?.value(Role::Kernel, 0)?.shape.get(1)?);
        match self.family()? {
            Family::Torchvision => Some(Expects {
                channels: width(adapter.or(self.layer("conv1")))?,
                scale: 1,
                adapter: adapter.is_some(),
            }),
            Family::Reference => {
                let mean = self.layer("bn_data")?.value(Role::MovingMean, 1)?;
                let raw = !self.has_decoder() || mean.values.iter().any(|m| m.abs() > 1.0);
                Some(Expects {
                    channels: width(adapter.or(self.layer("conv0")))?,
                    scale: if raw { 255 } else { 1 },
                    adapter: adapter.is_some(),
                })
            }
        }
    }

    /// What is known about the file as one of the published ImageNet encoders.
    pub fn published(&self) -> Option<Published> {
        Published::check(self)
    }

    /// One line that says what the file is.
    pub fn describe(&self) -> String {
        let what = match (self.encoder(), self.has_decoder()) {
            (Some(encoder), true) => format!("whole {encoder} U-Net"),
            (Some(encoder), false) => format!("{encoder} encoder"),
            (None, _) => format!("{} layers", self.layers.len()),
        };
        format!("{}: {what}, {} file", self.path.display(), self.format)
    }
}

enum Kind {
    Hdf5,
    Safetensors,
    PyTorch,
    Other(String),
}

/// How a file of `torch.save` began before it was a zip: its magic number, 0x1950a86a20f9469cfc6c, as a pickle of its own.
const OLD_PYTORCH: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";

/// The format by content.
fn kind(bytes: &[u8]) -> Kind {
    let starts = |magic: &[u8]| bytes.starts_with(magic);
    let header = bytes
        .first_chunk::<8>()
        .map(|length| u64::from_le_bytes(*length));
    if hdf5_pure::is_hdf5_bytes(bytes) {
        Kind::Hdf5
    } else if starts(b"PK\x03\x04") || starts(OLD_PYTORCH) {
        Kind::PyTorch
    } else if bytes.get(8) == Some(&b'{') && header.is_some_and(|n| n <= bytes.len() as u64 - 8) {
        Kind::Safetensors
    } else if bytes.is_empty() {
        Kind::Other("it is empty".into())
    } else if starts(b"NBX1") {
        Kind::Other("a model package, whose kernels are folded for the box: take its run's last.safetensors".into())
    } else if starts(b"<") {
        Kind::Other("a web page: the download went to a login or an error page".into())
    } else if starts(b"version https://git-lfs") {
        Kind::Other("a Git LFS pointer: fetch the file itself".into())
    } else {
        Kind::Other("its first bytes are those of none of the formats".into())
    }
}
