//! A scan's results as DICOM objects that archives and viewers understand.
//!
//! From a label map, a [`Report`](nephrobox_shared::report::Report) and the identity of the series they are of ([`Source`]), [`Results`] makes
//! a segmentation ([`Results::segmentation`]), a structured report ([`Results::measurements`]), a picture ([`Results::capture`]) and
//! a document ([`Results::document`]). Used by the box, which stores and sends them. Nothing here reads a series, opens a file or talks to anyone.
//!
//! [`deidentify`] takes out of a segmentation or structured report whose it is.
//!
//! Every object carries the research-use notice and the model's name, version and hash. The same inputs give the same bytes and UIDs, so sending
//! again is sending the same object. `docs/dicom-objects.md` says what stands where.
//!
//! Limits: transverse series, in any of the eight ways in which such images can be stored; one frame of reference; binary segments.

mod capture;
mod codes;
mod content;
mod deidentify;
mod document;
mod error;
mod item;
mod measurements;
mod object;
mod results;
mod segment;
mod segmentation;
mod source;
mod uid;

pub use capture::Picture;
pub use deidentify::{Key, deidentify};
pub use error::ObjectsError;
pub use object::{Kind, Object};
pub use results::{Device, Results};
pub use segment::{EmptyFrames, Segment};
pub use segmentation::Segmentation;
pub use source::{Patient, Source, SourceSlice, Study};
