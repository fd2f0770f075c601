//! The whole of box and tools: two processes on a cable, and what befalls them.
//!
//! `NEPHROBOX_LONG=1` makes the hunts and the soak as long as they are meant to be; without it they are short.

#[path = "../../../../tools/tests/support/field.rs"]
mod field;
#[path = "../../../../appliance/tests/support/mod.rs"]
mod phantom;
#[path = "../../../../imaging/tests/dicom/series.rs"]
mod series;

mod clinic;
mod crowd;
mod demo;
mod disk;
mod kills;
mod packages;
mod road;
mod soak;
mod support;
mod unplugged;
mod validation;
