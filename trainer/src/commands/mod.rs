//! One file per subcommand: a clap struct and a `run`.

pub mod prepare;
pub mod stats;
