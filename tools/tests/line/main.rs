//! Commands that talk to a box, against a box that does what each test tells it, over a cable of pseudo-terminals.

mod fake;
#[path = "../support/field.rs"]
mod field;
mod flash;
mod phantom;
mod send;
mod send_series;
mod service;
#[path = "../support/mod.rs"]
mod support;
mod validate;
