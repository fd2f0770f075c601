//! Model packages: a program with its tensors and manifest, to and from `.nbx` files.
//!
//! The file format is `nephrobox_shared::package` and `docs/formats/package.md`; this module adds what only the engine can judge:
//! that the program is sound, that its tensors fit, and that program and manifest speak of the same network. A [`Model`] exists
//! only if all of that holds, so nothing that has one need check again.
//!
//! Signatures are carried, not verified.

use std::fmt;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use half::f16;
use nephrobox_imaging::files;
use nephrobox_shared::class::Class;
use nephrobox_shared::package::{
    self, Dtype, HEADER_LEN, Header, Manifest, PackageError, PackageView, Signature, TensorSource,
    TensorView,
};

use crate::program::{
    Data, FitError, Plan, Program, ProgramError, Storage, Tensor, TensorError, Tensors,
};

/// Largest package file that is read, in bytes. The largest reference network takes 270 MB in f32.
pub const MAX_FILE_BYTES: u64 = 1 << 30;

/// A package's identity: BLAKE3 over its contents. Displays as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash(pub [u8; 32]);

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A network that has passed every check, with everything its package says about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    manifest: Manifest,
    program: Program,
    tensors: Tensors,
    plan: Plan,
}

/// A model as it came from a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// The model.
    pub model: Model,
    /// The package's identity.
    pub hash: Hash,
    /// The signature over the hash, **not verified**; `None` for an unsigned package.
    pub signature: Option<Signature>,
}

impl Model {
    /// Puts a model together and checks that its parts fit.
    pub fn new(manifest: Manifest, program: Program, tensors: Tensors) -> Result<Self, ModelError> {
        manifest.check()?;
        let plan = program.check(&tensors)?;
        let differ = |what, manifest: usize, program: u32| {
            if manifest == program as usize {
                Ok(())
            } else {
                Err(ModelError::Differ {
                    what,
                    manifest,
                    program: program as usize,
                })
            }
        };
        differ(
            "input channels",
            usize::from(manifest.input.channels),
            program.input_channels,
        )?;
        differ("classes", Class::COUNT, program.classes)?;
        let (rows, cols) = (
            manifest.input.preprocess.rows,
            manifest.input.preprocess.cols,
        );
        plan.fits(rows, cols)?;
        Ok(Self {
            manifest,
            program,
            tensors,
            plan,
        })
    }

    /// Reads and checks a package file.
    pub fn load(path: impl AsRef<Path>) -> Result<Loaded, LoadError> {
        let path = path.as_ref();
        let error = |problem| LoadError {
            path: path.to_owned(),
            problem,
        };
        read(path).and_then(|bytes| Self::from_vec(bytes).map_err(|e| error(Problem::Model(e))))
    }

    /// Checks a package's bytes and takes the model out of them.
    pub fn from_bytes(bytes: &[u8]) -> Result<Loaded, ModelError> {
        Self::from_vec(bytes.to_vec())
    }

    /// The same, giving the memory of the bytes back as tensors are taken out, so that a package is never in memory twice.
    pub fn from_vec(mut bytes: Vec<u8>) -> Result<Loaded, ModelError> {
        let view = PackageView::open(&bytes)?;
        let manifest = view.manifest()?;
        let program = Program::from_bytes(view.program())?;
        let hash = Hash(*view.hash());
        let signature = view.signature().copied();
        let parts: Vec<Part> = view
            .tensors()
            .map(|tensor| Part::new(&tensor, &bytes))
            .collect();
        // From the last, which is at the end of the bytes.
        let mut tensors = Vec::with_capacity(parts.len());
        for part in parts.into_iter().rev() {
            let start = part.start;
            tensors.push(part.tensor(&bytes)?);
            bytes.truncate(start);
            if bytes.capacity() - bytes.len() > GIVEN_BACK {
                bytes.shrink_to_fit();
            }
        }
        drop(bytes);
        tensors.reverse();
        Ok(Loaded {
            model: Self::new(manifest, program, tensors.into_iter().collect())?,
            hash,
            signature,
        })
    }

    /// The package's bytes with tensors as they are stored now, unsigned. The same model always gives the same bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ModelError> {
        let encoded: Vec<Encoded<'_>> = self.tensors.iter().map(Encoded::new).collect();
        let sources: Vec<TensorSource<'_>> = encoded.iter().map(Encoded::source).collect();
        Ok(package::write(
            &self.manifest,
            &self.program.to_bytes()?,
            &sources,
        )?)
    }

    /// Writes the package with its convolution weights in `storage`, and returns its identity.
    ///
    /// The file appears whole or not at all. It holds what [`stored_as`](Self::stored_as) gives; score that, not `self`, when the
    /// storage is not exact.
    pub fn save(&self, path: impl AsRef<Path>, storage: Storage) -> Result<Hash, LoadError> {
        let path = path.as_ref();
        let error = |problem| LoadError {
            path: path.to_owned(),
            problem,
        };
        let model = |e| error(Problem::Model(e));
        let bytes = self
            .stored_as(storage)
            .and_then(|stored| stored.to_bytes())
            .map_err(model)?;
        let hash = Hash(
            *PackageView::open(&bytes)
                .map_err(|e| model(e.into()))?
                .hash(),
        );
        files::write(path, &bytes).map_err(|e| error(Problem::Io(e.kind(), e.to_string())))?;
        Ok(hash)
    }

    /// The same model with its convolution weights in another storage. Biases, scales and shifts stay `f32`: they are
    /// few, and everything passes through them.
    pub fn stored_as(&self, storage: Storage) -> Result<Self, ModelError> {
        let store = |tensor: &Tensor| match tensor.shape().len() {
            4 => tensor.stored_as(storage),
            _ => tensor.stored_as(Storage::F32),
        };
        let tensors = self
            .tensors
            .iter()
            .map(store)
            .collect::<Result<Tensors, _>>()?;
        Ok(Self {
            tensors,
            ..self.clone()
        })
    }

    /// The parts, to be taken over by an executor.
    pub fn into_parts(self) -> (Manifest, Program, Tensors) {
        (self.manifest, self.program, self.tensors)
    }

    /// What the package says about the model.
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Changes what the package says, and checks again.
    pub fn with_manifest(self, manifest: Manifest) -> Result<Self, ModelError> {
        Self::new(manifest, self.program, self.tensors)
    }

    /// The network.
    pub const fn program(&self) -> &Program {
        &self.program
    }

    /// The network's tensors.
    pub const fn tensors(&self) -> &Tensors {
        &self.tensors
    }

    /// What was found when the program was checked.
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// How the convolution weights are stored; the first one's if they differ, `F32` if there are none.
    pub fn storage(&self) -> Storage {
        let kernel = self.tensors.iter().find(|tensor| tensor.shape().len() == 4);
        kernel.map_or(Storage::F32, Tensor::storage)
    }
}

/// The bytes of a package file, of which nothing is checked but that there are as many as the first of them say: what is no package is
/// not read to its end.
pub fn read(path: &Path) -> Result<Vec<u8>, LoadError> {
    let problem = |problem| LoadError {
        path: path.to_owned(),
        problem,
    };
    let unreadable = |error: io::Error| {
        problem(match error.kind() {
            io::ErrorKind::FileTooLarge => Problem::TooLong,
            kind => Problem::Io(kind, error.to_string()),
        })
    };
    let refused = |error| problem(Problem::Model(ModelError::Package(error)));
    let file = files::open(path).map_err(unreadable)?;
    let found = file.metadata().map_err(unreadable)?.len();
    if found > MAX_FILE_BYTES {
        return Err(problem(Problem::TooLong));
    }
    let mut head = Vec::new();
    file.take(HEADER_LEN as u64)
        .read_to_end(&mut head)
        .map_err(unreadable)?;
    let expected = Header::read(&head).map_err(refused)?.total_len;
    if expected != found {
        return Err(refused(PackageError::Length { expected, found }));
    }
    files::read(path, MAX_FILE_BYTES).map_err(unreadable)
}

/// A tensor's numbers as the file holds them.
struct Encoded<'a> {
    tensor: &'a Tensor,
    dtype: Dtype,
    shape: Vec<u32>,
    data: Vec<u8>,
    scales: &'a [f32],
}

impl<'a> Encoded<'a> {
    fn new(tensor: &'a Tensor) -> Self {
        let (dtype, data, scales) = match tensor.data() {
            Data::F32(v) => (
                Dtype::F32,
                v.iter().flat_map(|x| x.to_le_bytes()).collect(),
                &[][..],
            ),
            Data::F16(v) => (
                Dtype::F16,
                v.iter().flat_map(|x| x.to_le_bytes()).collect(),
                &[][..],
            ),
            Data::I8 { values, scales } => (
                Dtype::I8,
                values.iter().map(|x| x.to_le_bytes()[0]).collect(),
                &scales[..],
            ),
        };
        // An axis beyond u32 would need 4 GB of numbers; it becomes 0, which the writer refuses.
        let shape = tensor
            .shape()
            .iter()
            .map(|&axis| u32::try_from(axis).unwrap_or(0))
            .collect();
        Self {
            tensor,
            dtype,
            shape,
            data,
            scales,
        }
    }

    fn source(&self) -> TensorSource<'_> {
        TensorSource {
            name: self.tensor.name(),
            dtype: self.dtype,
            shape: &self.shape,
            data: &self.data,
            scales: self.scales,
        }
    }
}

/// Memory that is given back at once, in bytes: often enough to matter, seldom enough to cost nothing.
const GIVEN_BACK: usize = 4 << 20;

/// Where a tensor lies in a package's bytes, and all about it but its numbers.
struct Part {
    name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    start: usize,
    len: usize,
    scales: Vec<f32>,
}

impl Part {
    fn new(view: &TensorView<'_>, bytes: &[u8]) -> Self {
        let axes = view.info.shape.axes().iter();
        Self {
            name: view.info.name.into(),
            dtype: view.info.dtype,
            shape: axes.map(|&axis| axis as usize).collect(),
            start: view.data.as_ptr().addr() - bytes.as_ptr().addr(),
            len: view.data.len(),
            scales: view.scales().collect(),
        }
    }

    /// Takes the tensor out of the bytes, which hold at least those up to its end.
    fn tensor(self, bytes: &[u8]) -> Result<Tensor, TensorError> {
        let bytes = &bytes[self.start..self.start + self.len];
        let data = match self.dtype {
            Dtype::F32 => {
                let numbers = bytes.as_chunks().0.iter();
                Data::F32(numbers.map(|&b| f32::from_le_bytes(b)).collect())
            }
            Dtype::F16 => {
                let numbers = bytes.as_chunks().0.iter();
                Data::F16(numbers.map(|&b| f16::from_le_bytes(b)).collect())
            }
            Dtype::I8 => Data::I8 {
                values: bytes.iter().map(|&b| i8::from_le_bytes([b])).collect(),
                scales: self.scales,
            },
        };
        Tensor::new(self.name, self.shape, data)
    }
}

/// Why parts or bytes are no model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The package itself is wrong.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// The program is not sound.
    #[error("the model's program is unusable: {0}; export the model again")]
    Program(#[from] ProgramError),
    /// A tensor is not sound.
    #[error("{0}; export the model again")]
    Tensor(#[from] TensorError),
    /// Manifest and program contradict each other.
    #[error(
        "the model's manifest speaks of {manifest} {what} and its program has {program}; export the model again"
    )]
    Differ {
        /// What differs.
        what: &'static str,
        /// Number the manifest gives.
        manifest: usize,
        /// Number the program has.
        program: usize,
    },
    /// The program does not run on the images that the preprocessing makes.
    #[error("the model cannot run: {0}; export the model again")]
    Fit(#[from] FitError),
}

/// Why a package file could not be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {problem}", path.display())]
pub struct LoadError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with a package file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The operating system refused, in these words.
    #[error(
        "the model package cannot be read or written ({1}); check the path, the rights and the space left"
    )]
    Io(io::ErrorKind, String),
    /// The file is larger than [`MAX_FILE_BYTES`].
    #[error(
        "no model package has more than {MAX_FILE_BYTES} bytes, and this file has; check the path"
    )]
    TooLong,
    /// The file was read and holds no sound model.
    #[error(transparent)]
    Model(ModelError),
}
