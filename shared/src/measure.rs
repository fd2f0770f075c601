//! Label maps turned into areas, volumes and components.
//!
//! Used by the box for its report, by the trainer's evaluation and by field validation. Everything is measured at the
//! scan's own resolution, in the axes of a canonical slice: slices from the head end, row 0 at the front, column 0 at
//! the patient's right.

mod spacing;

pub use spacing::{Spacing, SpacingError};
