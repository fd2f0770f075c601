//! The model slots: whatever is flashed, and whenever the power goes, the box starts with a working model.
//!
//! Sentences in quotation marks are those of `docs/formats/slots.md`.

mod broken;
mod disasters;
mod packages;
mod real;
mod rules;
