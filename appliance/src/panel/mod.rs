//! The panel: what the box shows to whoever stands before it, 800 x 480, to be read from two metres.
//!
//! ```text
//! snapshot ─► View ─► draw ─► any DrawTarget
//!                      └────► Panel ─► framebuffer, PNG file
//! ```
//!
//! [`View::of`] decides what is shown, [`draw`] how it looks; both depend on nothing else, so that equal states give equal
//! pixels. [`Panel`] owns the configured targets, [`run`] keeps them up to date. There is no clock on it: a picture without one
//! cannot show a wrong time.

mod canvas;
mod framebuffer;
mod result;
mod run;
mod screens;
mod target;
mod view;

use embedded_graphics::draw_target::DrawTarget;
use embedded_graphics::geometry::{Point, Size};
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::primitives::Rectangle;

pub use framebuffer::{FormatError, Framebuffer};
pub use run::run;
pub use target::{TargetError, TargetProblem};
pub use view::{Screen, View};

use crate::config::PanelTarget;
use crate::overlay::{self, OverlayError};
use canvas::Canvas;
use target::Target;

/// Width of the panel in pixels.
pub const WIDTH: u32 = 800;
/// Height of the panel in pixels.
pub const HEIGHT: u32 = 480;

/// Why nothing can be drawn.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PanelError {
    /// The font that is compiled in cannot be read.
    #[error(transparent)]
    Font(#[from] OverlayError),
    /// The picture cannot be written as PNG.
    #[error("the panel's picture cannot be written as PNG")]
    Png(#[from] image::ImageError),
}

/// Why a view did not get onto a [`DrawTarget`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DrawError<E> {
    /// Nothing can be drawn at all.
    #[error(transparent)]
    Panel(#[from] PanelError),
    /// The target's own error.
    #[error("the target takes no pixels")]
    Target(E),
}

/// Draws a view into the top left [`WIDTH`] by [`HEIGHT`] pixels of a target. The same view gives the same pixels.
///
/// # Errors
/// What the target says.
pub fn draw<D: DrawTarget<Color = Rgb888>>(
    view: &View,
    target: &mut D,
) -> Result<(), DrawError<D::Error>> {
    let canvas = drawn(view)?;
    copy(&canvas, target).map_err(DrawError::Target)
}

fn drawn(view: &View) -> Result<Canvas, PanelError> {
    let mut canvas = Canvas::new()?;
    screens::draw(&mut canvas, view);
    Ok(canvas)
}

fn copy<D: DrawTarget<Color = Rgb888>>(canvas: &Canvas, target: &mut D) -> Result<(), D::Error> {
    let area = Rectangle::new(Point::zero(), Size::new(WIDTH, HEIGHT));
    target.fill_contiguous(&area, canvas.colours())
}

/// The configured targets, and what they show.
pub struct Panel {
    targets: Vec<Target>,
    canvas: Canvas,
    shown: Option<View>,
}

impl Panel {
    /// A panel that has shown nothing yet. Targets are not touched before [`show`](Self::show): one that is missing at the start
    /// may come later.
    ///
    /// # Errors
    /// When nothing can be drawn at all.
    pub fn open(targets: &[PanelTarget]) -> Result<Self, PanelError> {
        Ok(Self {
            targets: targets.iter().cloned().map(Target::new).collect(),
            canvas: Canvas::new()?,
            shown: None,
        })
    }

    /// Brings every target up to date: draws if the view is another than before, and tries those again that failed.
    /// Returns what failed this time; one target's failure does not touch the others.
    pub fn show(&mut self, view: &View) -> Vec<TargetError> {
        if self.shown.as_ref() != Some(view) {
            screens::draw(&mut self.canvas, view);
            self.shown = Some(view.clone());
            for target in &mut self.targets {
                target.outdate();
            }
        }
        let canvas = &self.canvas;
        self.targets
            .iter_mut()
            .filter_map(|target| target.update(canvas).err())
            .collect()
    }

    /// What the panel shows for a view, as a PNG file.
    ///
    /// # Errors
    /// When nothing can be drawn at all.
    pub fn screenshot(view: &View) -> Result<Vec<u8>, PanelError> {
        Ok(overlay::png(drawn(view)?.picture())?)
    }
}
