//! One file per subcommand: its arguments, and `run`.

pub mod augment_preview;
mod cases;
pub mod check;
pub mod evaluate;
pub mod experiments;
pub mod export;
pub mod fetch;
pub mod golden;
pub mod next;
pub mod phantom;
pub mod prepare;
pub mod quantise;
pub mod report;
pub mod stats;
pub mod train;
