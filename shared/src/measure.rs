//! Label maps turned into areas, volumes and components, with the patient's right and left apart.
//!
//! Used by the box for its report, by the trainer's evaluation and by field validation. Everything is measured at the
//! scan's own resolution, in the axes of a canonical slice: slices from the head end, row 0 at the front, column 0 at
//! the patient's right. Counting is in integers; mm² and mL appear only as the last step.
//!
//! Diameters and the parts of the R.E.N.A.L. score that masks allow are there for each tumour; `docs/measures.md` has
//! every formula and its source.
//!
//! [`Spacing`], [`Midline`] and [`Tones`] need no heap; the label map and what is measured on it stand behind `alloc`.

#[cfg(feature = "alloc")]
mod components;
#[cfg(feature = "alloc")]
mod diameter;
mod error;
#[cfg(feature = "alloc")]
mod label_map;
#[cfg(feature = "alloc")]
mod measures;
mod midline;
#[cfg(feature = "alloc")]
mod outline;
#[cfg(feature = "alloc")]
mod renal;
mod side;
#[cfg(feature = "alloc")]
mod sided;
#[cfg(feature = "alloc")]
mod small;
mod spacing;
mod tones;
#[cfg(feature = "alloc")]
mod tumour;

#[cfg(feature = "alloc")]
pub use components::{Centroid, Component, Placement, Structure};
#[cfg(feature = "alloc")]
pub use diameter::{InPlane, Position, Segment};
pub use error::MeasureError;
#[cfg(feature = "alloc")]
pub use label_map::{LabelMap, Run};
#[cfg(feature = "alloc")]
pub use measures::{DROPPED_BELOW_ML, Measures, measure};
pub use midline::Midline;
#[cfg(feature = "alloc")]
pub use renal::{Exophytic, Facing, PolarLocation, Renal};
pub use side::{Side, Sides, Tissue};
#[cfg(feature = "alloc")]
pub use sided::{SidedRun, sided_runs};
pub use spacing::{Spacing, SpacingError};
pub use tones::Tones;
#[cfg(feature = "alloc")]
pub use tumour::Tumour;
