//! Tools for those who make, check and install models: engineers and validators.
//!
//! The program is this library and a thin `main`, one file per subcommand. `keygen`, `sign`, `permit`, `inspect`, `verify` and
//! `score` work on files alone. `docs/nephroctl.md` shows all of them, the exit codes and the error codes.

pub mod cli;
pub mod failure;
pub mod inspect;
pub mod keygen;
pub mod keys;
pub mod package;
pub mod permit;
pub mod score;
pub mod sign;
pub mod verify;
