//! The ways in, one file each.

pub(crate) mod commands;
pub(crate) mod config;
pub(crate) mod dicom;
pub(crate) mod earlier;
pub(crate) mod folder;
pub(crate) mod header;
pub(crate) mod keys;
pub(crate) mod labels;
pub(crate) mod line;
pub(crate) mod network;
pub(crate) mod package;
pub(crate) mod packed;
pub(crate) mod page;
pub(crate) mod paths;
pub(crate) mod pixels;
pub(crate) mod program;
mod site;
pub(crate) mod tar;
pub(crate) mod tls;
pub(crate) mod voxels;
pub(crate) mod weights;

use std::ffi::OsString;

use crate::ground::Place;
use crate::row::Given;

/// `nephrobox segment`, with a sound model.
pub(crate) fn segment(place: &Place<'_>, scan: Given) -> Vec<OsString> {
    let model = place.ground().model.clone();
    with_model(scan, Given::from(model), place)
}

/// The same with both named.
pub(crate) fn with_model(scan: Given, model: Given, place: &Place<'_>) -> Vec<OsString> {
    Given::from(["box", "segment"])
        .and(scan)
        .and(["--model"])
        .and(model)
        .and(["--out"])
        .and(place.path("out"))
        .and(["--device", "cpu", "--threads", "1"])
        .0
}
