//! A server and its clients on one machine: our own, raw bytes, and dcmtk.

mod allowed;
mod ends;
mod limits;
mod objects;
mod support;
