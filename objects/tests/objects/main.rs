//! The objects of a phantom's scan: their structure as read back, and what other programs make of them.

mod deidentified;
mod peers;
mod phantom;
mod structure;
