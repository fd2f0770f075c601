//! Proof that `nephrobox-shared` builds without std.
#![no_std]
pub use nephrobox_shared as shared;
