//! One file per subcommand: its arguments, and `run`.

pub mod golden;
pub mod prepare;
pub mod stats;
