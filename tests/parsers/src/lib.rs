//! Every parser that meets the outside, as a function of any bytes.
//!
//! Whatever the bytes are, a target returns: with what the parser made of them or with its error, never with a panic, and what the parser accepts
//! is used as the programs would. The fuzzer in `fuzz/` calls these functions with bytes of its own making; `tests/replay.rs` calls them on a
//! stable compiler with the seeds, with damaged seeds, and with everything the fuzzer has ever found (`fixtures/TARGET/`).

#![expect(
    clippy::missing_panics_doc,
    reason = "a panic is what they are there to look for"
)]

mod line;
mod network;
#[cfg(feature = "engine")]
mod package;
mod scan;
#[cfg(feature = "trainer")]
mod weights;

pub use line::{link_frames, link_session, link_transfer};
pub use network::dicom_network;
#[cfg(feature = "engine")]
pub use package::{package, program};
pub use scan::{BETWEEN, dicom_series, nifti};
#[cfg(feature = "trainer")]
pub use weights::{keras_h5, safetensors, torch_pth};

/// A parser under attack.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, as the fuzzer, the folder of its fixtures and the docs have it.
    pub name: &'static str,
    /// Takes any bytes.
    pub run: fn(&[u8]),
}

const fn target(name: &'static str, run: fn(&[u8])) -> Target {
    Target { name, run }
}

/// All of them.
pub const TARGETS: &[Target] = &[
    target("nifti", nifti),
    target("dicom_series", dicom_series),
    target("dicom_network", dicom_network),
    #[cfg(feature = "engine")]
    target("package", package),
    #[cfg(feature = "engine")]
    target("program", program),
    target("link_frames", link_frames),
    target("link_transfer", link_transfer),
    target("link_session", link_session),
    #[cfg(feature = "trainer")]
    target("keras_h5", keras_h5),
    #[cfg(feature = "trainer")]
    target("safetensors", safetensors),
    #[cfg(feature = "trainer")]
    target("torch_pth", torch_pth),
    #[cfg(feature = "box")]
    target("config", config),
];

/// The box's configuration.
#[cfg(feature = "box")]
pub fn config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    match nephrobox::config::Config::parse(text) {
        Ok(config) => drop(config.recipients().count()),
        Err(problems) => assert!(!problems.is_empty(), "refused without a reason"),
    }
}
