//! Tools for those who make, check and install models: engineers and validators.
//!
//! The program is this library and a thin `main`, one file per subcommand. `keygen`, `sign`, `permit`, `inspect`, `verify` and
//! `score` work on files alone, all others talk to a box over a line whose options are
//! [`line::Line`]. [`send::send_and_fetch`] is the way of one scan through a box, for all that need it. `docs/nephroctl.md` shows all of them, the exit codes and the error codes.

pub mod audit;
pub mod bench;
pub mod cli;
pub mod erase;
pub mod export;
pub mod failure;
pub mod fetch;
pub mod flash;
pub mod inspect;
pub mod keygen;
pub mod keys;
pub mod line;
pub mod logs;
pub mod package;
pub mod permit;
pub mod progress;
pub mod results;
pub mod rollback;
pub mod scans;
pub mod score;
pub mod screenshot;
pub mod send;
pub mod sign;
pub mod slots;
pub mod status;
pub mod trial;
pub mod validate;
pub mod verify;
