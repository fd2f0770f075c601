//! How well labels agree with the truth: Dice, recall and precision, in every reading that matters.
//!
//! The trainer's evaluation, the package's scores and field validation call this, so a figure measured on the
//! workstation and one measured on a box are the same quantity. Three aggregations, never mixed:
//!
//! * **paper**: pixels of all slices pooled, each slice weighted by 1 / (slices of that patient);
//! * **pooled**: pixels of all slices pooled, unweighted;
//! * **per case**: the metric of each case by itself, then mean and population standard deviation over cases.
//!
//! "Kidney" is always the class alone. The KiTS19 challenge merges kidney and tumour; that is [`KitsDice`], named
//! apart everywhere. A metric whose denominator is 0 is undefined (`None`), never 0 or 1.
//!
//! Counts are exact; weighted sums are f64 in the order of the calls.

mod balancing;
mod confusion;
#[cfg(feature = "alloc")]
mod evaluation;
mod kits;
mod scores;
mod spread;

pub use balancing::ClassFrequencies;
pub use confusion::{ConfusionMatrix, MetricsError, OrZero};
#[cfg(feature = "alloc")]
pub use evaluation::Evaluation;
pub use kits::KitsDice;
pub use scores::{CaseScores, ClassScores, KitsScores, PerClass, Scores};
pub use spread::{Spread, SpreadSummary};
