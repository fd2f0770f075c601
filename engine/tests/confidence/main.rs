//! How sure a network is: networks whose answers are known, then the bundled model on real slices and on rubbish.

mod known;
mod real;
