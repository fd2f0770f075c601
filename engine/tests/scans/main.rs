//! Whole scans with an oracle in place of the network.

mod fast;
mod kits19;
mod planner;
mod road;
mod support;
mod threads;
