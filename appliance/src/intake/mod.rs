//! How scans reach the box.

pub mod folder;
