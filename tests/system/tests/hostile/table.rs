//! The whole table.

use crate::intake::{
    commands, config, dicom, earlier, folder, header, keys, labels, line, network, package, packed,
    page, paths, pixels, program, tar, tls, voxels, weights,
};
use crate::row::{Section, Way};

/// Every way in.
pub(crate) const SECTIONS: &[Section] = &[
    header::SECTION,
    voxels::SECTION,
    dicom::SECTION,
    pixels::SECTION,
    packed::SECTION,
    tar::SECTION,
    paths::SECTION,
    earlier::SECTION,
    package::SECTION,
    package::AT_THE_BOX,
    program::SECTION,
    program::SHOWN,
    keys::SIGNING,
    keys::PERMITS,
    keys::PUBLIC,
    config::SECTION,
    labels::SCORE,
    labels::VALIDATE,
    commands::ERASE,
    commands::EXPORT,
    commands::WORDS,
    folder::SECTION,
    network::SECTION,
    line::SECTION,
    line::PACKAGES,
    tls::SECTION,
    page::SECTION,
    weights::WEIGHTS,
    weights::SETTINGS,
];

/// What to call a row in a message.
pub(crate) fn name(section: &Section, row: usize) -> String {
    match section.way {
        Way::Program { rows, .. } => format!("{}: {}", section.title, rows[row].name),
        Way::Service(_) => section.title.to_owned(),
    }
}
