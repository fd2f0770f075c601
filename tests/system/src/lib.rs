//! A box and its tools on one machine: two processes, a serial cable between them, and a folder for everything they keep.
//!
//! [`Rig`] is what the demo shows and what the tests pull apart: they kill the box, pull the cable, fill the disk.

mod rig;

pub use rig::{Exe, Rig, RigError, file};
