//! The model package, `.nbx`: one file with everything needed to run a model and to judge it.
//!
//! The trainer writes it with `write`, the engine and the box open it with [`PackageView::open`], which reads a byte
//! slice (a memory map, a flash region) without copying and believes nothing before it has checked magic, version,
//! every length against the file's size, the hash and the tensor table. `docs/formats/package.md` is the written
//! specification with its byte offsets; this module is its implementation.
//!
//! What it does not do: verify a signature (whoever holds the keys does, over [`PackageView::hash`]) or understand the
//! program, whose bytes belong to the engine. Opening needs no heap; the manifest and writing stand behind `alloc`.

mod error;
mod layout;
#[cfg(feature = "alloc")]
mod manifest;
mod table;
mod view;
#[cfg(feature = "alloc")]
mod write;

pub use error::{PackageError, TensorProblem};
pub use layout::{ALIGNMENT, Header, MAGIC, MAJOR, MINOR, OLDEST, Signature};
#[cfg(feature = "alloc")]
pub use manifest::{
    Calibration, ClassEntry, Input, KeyValue, Manifest, SelfTest, Share, Split, TestScores,
    Training,
};
pub use table::{Dtype, MAX_AXES, MAX_TENSORS, Shape, TensorInfo, TensorView};
pub use view::PackageView;
#[cfg(feature = "alloc")]
pub use write::{TensorSource, attach_signature, write};
