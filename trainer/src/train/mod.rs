//! Training: the step, the loop around it, checkpoints and the run folder.

pub mod step;
