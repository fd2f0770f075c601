//! Tools for those who make, check and install models: engineers and validators.
//!
//! `nephroctl info` shows what a package says, `nephroctl verify` whether it is whole, `nephroctl score` how well a
//! label map agrees with the truth. The program is this library and
//! a thin `main`, one file per subcommand. Limits: signatures are shown, not verified.

pub mod cli;
pub mod failure;
pub mod info;
pub mod package;
pub mod score;
pub mod verify;
