//! The model package, `.nbx`: one file with everything needed to run a model and to judge it.
//!
//! The trainer writes it with `write`, the engine and the box open it with [`PackageView::open`], which reads a byte
//! slice (a memory map, a flash region) without copying and believes nothing before it has checked magic, version,
//! every length against the file's size, the hash and the tensor table. `docs/formats/package.md` is the written
//! specification with its byte offsets; this module is its implementation.
//!
//! Opening a package does not verify its signature: [`signing::verify`] does, with the keys that the caller trusts.
//! [`permit`] holds the signed exception to the rule that versions only rise. The program's bytes belong to the engine.
//! Opening and verifying need no heap; the manifest and writing stand behind `alloc`.

mod error;
mod key;
mod layout;
#[cfg(feature = "alloc")]
mod manifest;
pub mod permit;
pub mod signing;
mod table;
mod view;
#[cfg(feature = "alloc")]
mod write;

pub use error::{PackageError, TensorProblem};
pub use key::{KEY_TEXT_LEN, KeyError, KeyId, PublicKey, SecretKey, SecretText};
pub use layout::{
    ALIGNMENT, HEADER_LEN, Header, MAGIC, MAJOR, MAX_MANIFEST_LEN, MAX_PROGRAM_LEN, MINOR, OLDEST,
    Signature, TRAILER_LEN,
};
#[cfg(feature = "alloc")]
pub use manifest::{
    Calibration, ClassEntry, Input, KeyValue, MAX_NAME_BYTES, MAX_SELF_TESTS, MAX_SIDE, Manifest,
    SelfTest, Share, Split, TestScores, Training,
};
pub use signing::SignatureError;
pub use table::{Dtype, MAX_AXES, MAX_TENSORS, Shape, TensorInfo, TensorView};
pub use view::PackageView;
#[cfg(feature = "alloc")]
pub use write::{TensorSource, attach_signature, write};
