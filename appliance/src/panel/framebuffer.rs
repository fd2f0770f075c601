//! The kernel's framebuffer, by its files alone: what it is like from `/sys/class/graphics`, pixels to the device.
//!
//! The panel is enlarged by the largest whole number that fits, in the middle, with black around it.

use std::convert::Infallible;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use embedded_graphics::Pixel;
use embedded_graphics::draw_target::DrawTarget;
use embedded_graphics::geometry::{OriginDimensions, Size};
use embedded_graphics::pixelcolor::raw::{RawData, RawU16};
use embedded_graphics::pixelcolor::{Rgb565, Rgb888, RgbColor};

use super::target::TargetProblem;
use super::{HEIGHT, WIDTH};

/// Where the kernel describes framebuffers.
const SYSFS: &str = "/sys/class/graphics";
/// The largest screen that is believed, in bytes: twice 8K at 32 bits.
const LARGEST: usize = 256 << 20;

/// A framebuffer that the panel cannot be shown on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// The kernel's words are none that are known.
    #[error("{file} holds {text:?}, which is no {what}")]
    Words {
        /// The file's name.
        file: &'static str,
        /// What it holds.
        text: String,
        /// What it should be.
        what: &'static str,
    },
    /// Another depth.
    #[error("it has {0} bits per pixel where 16 and 32 are known; set another mode")]
    Depth(u32),
    /// Too small.
    #[error("it has {width} x {height} pixels where the panel needs {WIDTH} x {HEIGHT}")]
    Small {
        /// Its width.
        width: u32,
        /// Its height.
        height: u32,
    },
    /// Sizes that contradict each other.
    #[error("{width} x {height} pixels do not go with {stride} bytes a line")]
    Stride {
        /// Its width.
        width: u32,
        /// Its height.
        height: u32,
        /// Bytes a line.
        stride: u32,
    },
}

/// How the bytes of a pixel are made. Both are little-endian, as the kernel's drivers have them on this project's machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Depth {
    /// 5, 6 and 5 bits.
    Bits16,
    /// Blue, green, red and one byte that nobody reads.
    Bits32,
}

impl Depth {
    const fn bytes(self) -> usize {
        match self {
            Self::Bits16 => 2,
            Self::Bits32 => 4,
        }
    }
}

/// One picture in a framebuffer's own bytes. It is a [`DrawTarget`] of the panel's size.
#[derive(Debug)]
pub struct Framebuffer {
    bytes: Vec<u8>,
    stride: usize,
    depth: Depth,
    /// Screen pixels for one of the panel's, across and down.
    scale: usize,
    /// Screen pixels left of the panel.
    left: usize,
    /// Screen pixels above the panel.
    top: usize,
}

impl Framebuffer {
    /// A black picture for a device such as `/dev/fb0`.
    ///
    /// # Errors
    /// What the kernel says about it cannot be read, or is of no use.
    pub fn of(device: &Path) -> Result<Self, TargetProblem> {
        let name = device.file_name().unwrap_or(device.as_os_str());
        Self::described_in(&Path::new(SYSFS).join(name))
    }

    /// The same from a folder with the files `virtual_size`, `bits_per_pixel`, `stride`, and `mode` or `modes`.
    fn described_in(folder: &Path) -> Result<Self, TargetProblem> {
        let read = |name: &'static str| {
            let file = folder.join(name);
            let text = fs::read_to_string(&file);
            text.map(|text| (name, text.trim().to_owned()))
                .map_err(|source| TargetProblem::About { file, source })
        };
        let size = read("virtual_size")?;
        let (width, height) = pair(&size.1, ',').ok_or_else(|| words(size, "width and height"))?;
        let number = |said: (&'static str, String)| {
            let number = said.1.parse::<u32>();
            number.map_err(|_| words(said, "number"))
        };
        let depth = number(read("bits_per_pixel")?)?;
        let stride = number(read("stride")?)?;
        // Drivers that flip between pictures have room for several below each other; the mode says how much is on the screen.
        let seen = ["mode", "modes"].into_iter().find_map(|name| {
            let text = read(name).ok()?.1;
            mode(text.lines().next()?)
        });
        let (wide, high) = seen.unwrap_or((width, height));
        Self::new(wide.min(width), high.min(height), depth, stride)
    }

    fn new(width: u32, height: u32, depth: u32, stride: u32) -> Result<Self, TargetProblem> {
        let depth = match depth {
            16 => Depth::Bits16,
            32 => Depth::Bits32,
            other => return Err(FormatError::Depth(other).into()),
        };
        let scale = (width / WIDTH).min(height / HEIGHT);
        if scale == 0 {
            return Err(FormatError::Small { width, height }.into());
        }
        let fits =
            |&bytes: &usize| bytes <= LARGEST && stride as usize / depth.bytes() >= width as usize;
        let bytes = (stride as usize).checked_mul(height as usize);
        let bytes = bytes.filter(fits).ok_or(FormatError::Stride {
            width,
            height,
            stride,
        })?;
        Ok(Self {
            bytes: vec![0; bytes],
            stride: stride as usize,
            depth,
            scale: scale as usize,
            left: ((width - WIDTH * scale) / 2) as usize,
            top: ((height - HEIGHT * scale) / 2) as usize,
        })
    }

    /// Writes the picture to the device.
    ///
    /// # Errors
    /// What the device says.
    pub fn write(&self, device: &Path) -> io::Result<()> {
        let mut device = OpenOptions::new().write(true).open(device)?;
        device.write_all(&self.bytes)
    }

    fn set(&mut self, x: usize, y: usize, colour: Rgb888) {
        let narrow = RawU16::from(Rgb565::from(colour))
            .into_inner()
            .to_le_bytes();
        let wide = [colour.b(), colour.g(), colour.r(), 0];
        let pixel = match self.depth {
            Depth::Bits16 => &narrow[..],
            Depth::Bits32 => &wide[..],
        };
        for row in 0..self.scale {
            let line = (self.top + y * self.scale + row) * self.stride;
            let start = line + (self.left + x * self.scale) * pixel.len();
            let end = start + self.scale * pixel.len();
            if let Some(bytes) = self.bytes.get_mut(start..end) {
                for place in bytes.chunks_exact_mut(pixel.len()) {
                    place.copy_from_slice(pixel);
                }
            }
        }
    }
}

impl OriginDimensions for Framebuffer {
    fn size(&self) -> Size {
        Size::new(WIDTH, HEIGHT)
    }
}

impl DrawTarget for Framebuffer {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I>(&mut self, pixels: I) -> Result<(), Infallible>
    where
        I: IntoIterator<Item = Pixel<Rgb888>>,
    {
        for Pixel(at, colour) in pixels {
            if let (Ok(x), Ok(y)) = (u32::try_from(at.x), u32::try_from(at.y))
                && x < WIDTH
                && y < HEIGHT
            {
                self.set(x as usize, y as usize, colour);
            }
        }
        Ok(())
    }
}

fn words((file, text): (&'static str, String), what: &'static str) -> TargetProblem {
    FormatError::Words { file, text, what }.into()
}

fn pair(text: &str, between: char) -> Option<(u32, u32)> {
    let (first, second) = text.split_once(between)?;
    Some((first.trim().parse().ok()?, second.trim().parse().ok()?))
}

/// The size in a mode such as `U:800x480p-60`.
fn mode(text: &str) -> Option<(u32, u32)> {
    let size = text.split_once(':')?.1;
    let end = size.find(|letter: char| !letter.is_ascii_digit() && letter != 'x')?;
    pair(&size[..end], 'x')
}

#[cfg(test)]
mod tests;
