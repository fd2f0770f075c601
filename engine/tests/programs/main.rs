//! Programs: what the check accepts and refuses, and that executors compute what a program says.

#[cfg(feature = "burn")]
mod check;
mod cpu;
#[cfg(feature = "burn")]
mod execute;
mod integers;
#[cfg(feature = "burn")]
mod manifest;
mod naive;
#[cfg(feature = "burn")]
mod package;
mod random;
mod rewrite;
mod storage;
mod unet;
