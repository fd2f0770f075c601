//! The box: a scan in, kidney and tumour areas out, for a person at the bedside.
//!
//! `nephrobox segment` takes one scan, a NIfTI file or a DICOM series, and a model package and leaves a report, a label map and overlay pictures.
//! The program is this library and a thin `main`, one file per subcommand, so that tests call the library:
//!
//! ```text
//! cli ─► segment ─► job ─► warnings, overlay, page, sheet, objects, fhir ─► output
//! ```
//!
//! `nephrobox run` is the box that takes scans by itself ([`run`]). Its parts stand on their own and are tested alone; all that
//! must survive goes through [`storage`]:
//!
//! ```text
//! intake, desk ─► spool ─► worker ─► spool ─► outbox
//!        └──────► slots ──────┘                          two models, one in use
//! config, logs, audit       snapshot, pulse ─► health, panel
//! ```
//!
//! For research use only: every output says so. Limits: one scan at a time.

pub mod audit;
pub mod bell;
pub mod bench;
pub mod cli;
pub mod config;
pub mod desk;
pub mod erase;
pub mod export;
pub mod failure;
pub mod fault;
pub mod fhir;
pub mod health;
pub mod history;
pub mod intake;
pub mod job;
pub mod logs;
pub mod objects;
pub mod outbox;
pub mod output;
pub mod overlay;
pub mod page;
pub mod panel;
pub mod panics;
pub mod progress;
pub mod pulse;
mod record;
mod remedy;
pub mod run;
pub mod scan;
pub mod segment;
pub mod sheet;
pub mod slots;
pub mod snapshot;
pub mod source;
pub mod spool;
pub mod state_folder;
pub mod storage;
pub mod warnings;
pub mod worker;
