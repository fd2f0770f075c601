//! The whole of box and tools: two processes on a cable, and what befalls them.
//!
//! `NEPHROBOX_LONG=1` makes the hunts and the soak as long as they are meant to be; without it they are short.

#[path = "../../../../tools/tests/support/field.rs"]
mod field;
#[path = "../../../../appliance/tests/support/mod.rs"]
mod phantom;
#[path = "../../../../imaging/tests/dicom/series.rs"]
mod series;

mod arrivals;
mod certificates;
mod clinic;
mod clock;
mod crowd;
mod demo;
mod disk;
mod kills;
mod load;
mod packages;
mod process;
mod road;
mod site;
mod soak;
mod support;
mod unplugged;
mod validation;
