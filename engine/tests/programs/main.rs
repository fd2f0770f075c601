//! Programs: what the check accepts and refuses, and that executors compute what a program says.

mod check;
mod execute;
mod naive;
mod package;
mod random;
mod storage;
