//! What must give the same answer on the workstation and on the box.
#![no_std]
#[cfg(feature = "alloc")]
extern crate alloc;
