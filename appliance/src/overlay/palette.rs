//! Colours of pages and screens; those of the classes are `shared`'s.

use image::Rgb;

/// The page.
pub(crate) const PAPER: Rgb<u8> = Rgb([16, 18, 22]);
/// What is to be read.
pub(crate) const INK: Rgb<u8> = Rgb([240, 242, 245]);
/// Labels and details.
pub(crate) const FAINT: Rgb<u8> = Rgb([160, 166, 175]);
/// Notices.
pub(crate) const NOTICE: Rgb<u8> = Rgb([255, 196, 92]);
/// Thin lines.
pub(crate) const RULE: Rgb<u8> = Rgb([52, 56, 64]);
