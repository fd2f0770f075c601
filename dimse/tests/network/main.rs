//! A server and its clients on one machine: our own, raw bytes, and dcmtk.

mod allowed;
mod answers;
mod ends;
mod garbage;
mod limits;
mod objects;
mod peers;
mod random;
mod raw;
mod secure;
mod support;
mod unusual;
