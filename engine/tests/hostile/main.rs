//! Packages by somebody who holds a signing key and means ill, or whose exporter is broken: each is refused in words, or runs in the
//! memory and the time that are stated.

mod disasters;
mod forge;
mod mutations;
mod road;
