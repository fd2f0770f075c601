//! One file per subcommand: its arguments, and `run`.

pub mod evaluate;
pub mod experiments;
pub mod export;
pub mod fetch;
pub mod golden;
pub mod phantom;
pub mod prepare;
pub mod stats;
pub mod train;
