//! A place that the panel is drawn to.

use std::io;
use std::path::{Path, PathBuf};

use nephrobox_imaging::files;

use super::canvas::Canvas;
use super::copy;
use super::framebuffer::{FormatError, Framebuffer};
use crate::config::PanelTarget;
use crate::overlay;

/// A target that is not up to date, and why.
#[derive(Debug, thiserror::Error)]
#[error("the panel cannot be shown on {}: {problem}", place.display())]
pub struct TargetError {
    /// The device or file.
    pub place: PathBuf,
    /// Why.
    #[source]
    pub problem: TargetProblem,
}

/// What can be wrong with a target.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TargetProblem {
    /// It cannot be written to.
    #[error("{0}")]
    Write(#[from] io::Error),
    /// What the kernel says about a framebuffer cannot be read.
    #[error("{} cannot be read: {source}", file.display())]
    About {
        /// The file that would say it.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A framebuffer of a kind that is not written to.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The picture cannot be written as PNG.
    #[error(transparent)]
    Png(#[from] image::ImageError),
}

/// A target, and whether it shows what it should.
pub(super) struct Target {
    place: PanelTarget,
    current: bool,
}

impl Target {
    pub(super) fn new(place: PanelTarget) -> Self {
        Self {
            place,
            current: false,
        }
    }

    /// There is something new to show.
    pub(super) fn outdate(&mut self) {
        self.current = false;
    }

    /// Shows the canvas unless it is shown already.
    pub(super) fn update(&mut self, canvas: &Canvas) -> Result<(), TargetError> {
        if self.current {
            return Ok(());
        }
        let (place, shown) = match &self.place {
            PanelTarget::Png { path } => (path, show_png(path, canvas)),
            PanelTarget::Framebuffer { device } => (device, show_framebuffer(device, canvas)),
        };
        shown.map_err(|problem| TargetError {
            place: place.clone(),
            problem,
        })?;
        self.current = true;
        Ok(())
    }
}

/// Replaces the file; whoever reads it sees the old picture or the new one whole.
fn show_png(path: &Path, canvas: &Canvas) -> Result<(), TargetProblem> {
    Ok(files::write(path, &overlay::png(canvas.picture())?)?)
}

/// Opened anew each time: it costs little, and a screen that was unplugged or changed its mode is simply another one.
fn show_framebuffer(device: &Path, canvas: &Canvas) -> Result<(), TargetProblem> {
    let mut framebuffer = Framebuffer::of(device)?;
    // It takes every pixel and cannot refuse.
    let Ok(()) = copy(canvas, &mut framebuffer);
    Ok(framebuffer.write(device)?)
}
