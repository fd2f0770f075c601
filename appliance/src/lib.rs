//! The box: a scan in, kidney and tumour areas out, for a person at the bedside.
//!
//! `nephrobox segment` takes one NIfTI scan and a model package and leaves a report, a label map and overlay pictures.
//! The program is this library and a thin `main`; one file per subcommand. For research use only: every output says so.

pub mod failure;
pub mod output;
pub mod overlay;
pub mod progress;
