//! Label maps turned into areas, volumes and components, with the patient's right and left apart.
//!
//! Used by the box for its report, by the trainer's evaluation and by field validation. Everything is measured at the
//! scan's own resolution, in the axes of a canonical slice: slices from the head end, row 0 at the front, column 0 at
//! the patient's right. Counting is in integers; mm² and mL appear only as the last step.
//!
//! [`Spacing`] and [`Midline`] need no heap; the label map and what is measured on it stand behind `alloc`.

#[cfg(feature = "alloc")]
mod components;
mod error;
#[cfg(feature = "alloc")]
mod label_map;
#[cfg(feature = "alloc")]
mod measures;
mod midline;
mod side;
#[cfg(feature = "alloc")]
mod sided;
#[cfg(feature = "alloc")]
mod small;
mod spacing;

#[cfg(feature = "alloc")]
pub use components::{Centroid, Component, Placement, Structure};
pub use error::MeasureError;
#[cfg(feature = "alloc")]
pub use label_map::{LabelMap, Run};
#[cfg(feature = "alloc")]
pub use measures::{Measures, measure};
pub use midline::Midline;
pub use side::{Side, Sides, Tissue};
#[cfg(feature = "alloc")]
pub use sided::{SidedRun, sided_runs};
pub use spacing::{Spacing, SpacingError};
