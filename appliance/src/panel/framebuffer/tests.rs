//! Tests on files that stand in for a device and for what the kernel says about it.

use tempfile::TempDir;

use super::super::view::{Screen, View};
use super::super::{copy, drawn};
use super::*;

/// A folder as the kernel shows one.
fn described(size: &str, depth: &str, stride: &str, mode: Option<&str>) -> TempDir {
    let folder = TempDir::new().expect("a folder");
    let files = [
        ("virtual_size", Some(size)),
        ("bits_per_pixel", Some(depth)),
        ("stride", Some(stride)),
        ("modes", mode),
        // Drivers without a current mode leave it empty.
        ("mode", Some("")),
    ];
    for (name, text) in files {
        if let Some(text) = text {
            fs::write(folder.path().join(name), format!("{text}\n")).expect("written");
        }
    }
    folder
}

/// The panel as a device would hold it.
fn written(folder: &TempDir) -> (Framebuffer, Vec<u8>, image::RgbImage) {
    let view = View {
        name: "box".into(),
        version: "1".into(),
        model: None,
        queued: 1,
        screen: Screen::Starting,
        banner: None,
    };
    let canvas = drawn(&view).expect("drawn");
    let mut framebuffer = Framebuffer::described_in(folder.path()).expect("a framebuffer");
    let Ok(()) = copy(&canvas, &mut framebuffer);
    let device = folder.path().join("fb0");
    fs::write(&device, b"").expect("a device");
    framebuffer.write(&device).expect("written");
    let bytes = fs::read(&device).expect("a device");
    (framebuffer, bytes, canvas.picture().clone())
}

#[test]
fn thirty_two_bits_with_lines_longer_than_the_picture_and_two_pictures_in_memory() {
    let folder = described("800,960", "32", "3264", Some("U:800x480p-60"));
    let (_, bytes, picture) = written(&folder);
    assert_eq!(
        bytes.len(),
        3264 * 480,
        "what is not on the screen is left alone"
    );
    for (x, y, pixel) in picture.enumerate_pixels() {
        let [r, g, b] = pixel.0;
        let start = y as usize * 3264 + x as usize * 4;
        assert_eq!(bytes[start..start + 4], [b, g, r, 0], "{x}, {y}");
    }
}

#[test]
fn sixteen_bits_keep_the_upper_ones_of_each_colour() {
    let folder = described("800,480", "16", "1600", None);
    let (_, bytes, picture) = written(&folder);
    assert_eq!(bytes.len(), 1600 * 480);
    for (x, y, pixel) in picture.enumerate_pixels() {
        let start = y as usize * 1600 + x as usize * 2;
        let found = u16::from_le_bytes([bytes[start], bytes[start + 1]]);
        let parts = [found >> 11, found >> 5 & 63, found & 31];
        for ((part, whole), full) in parts.into_iter().zip(pixel.0).zip([31.0, 63.0, 31.0]) {
            let exact = f64::from(whole) * full / 255.0;
            assert!(
                (f64::from(part) - exact).abs() < 1.0,
                "{x}, {y}: {part} for {exact}"
            );
        }
    }
}

#[test]
fn a_large_screen_shows_the_panel_enlarged_in_its_middle() {
    let folder = described("1920,1080", "32", "7680", Some("U:1920x1080p-0"));
    let (framebuffer, bytes, picture) = written(&folder);
    assert_eq!(
        (framebuffer.scale, framebuffer.left, framebuffer.top),
        (2, 160, 60)
    );
    for y in 0..1080_usize {
        for x in 0..1920_usize {
            let start = y * 7680 + x * 4;
            let inside = (160..1760).contains(&x) && (60..1020).contains(&y);
            let [r, g, b] = if inside {
                picture
                    .get_pixel((x as u32 - 160) / 2, (y as u32 - 60) / 2)
                    .0
            } else {
                [0; 3]
            };
            assert_eq!(bytes[start..start + 4], [b, g, r, 0], "{x}, {y}");
        }
    }
}

#[test]
fn what_cannot_be_used_is_named() {
    let cases = [
        ("800", "32", "3200", "virtual_size holds \"800\""),
        ("800,480", "deep", "3200", "bits_per_pixel holds \"deep\""),
        ("800,480", "8", "800", "8 bits per pixel"),
        (
            "640,480",
            "32",
            "2560",
            "640 x 480 pixels where the panel needs 800 x 480",
        ),
        ("800,480", "32", "1600", "do not go with 1600 bytes a line"),
        (
            "4000000000,4000000000",
            "32",
            "4000000000",
            "do not go with",
        ),
        ("800,480", "32", "-1", "stride holds \"-1\""),
    ];
    for (size, depth, stride, said) in cases {
        let folder = described(size, depth, stride, None);
        let error = Framebuffer::described_in(folder.path()).expect_err(said);
        assert!(error.to_string().contains(said), "{error}");
    }
    let empty = TempDir::new().expect("a folder");
    let error = Framebuffer::described_in(empty.path()).expect_err("nothing there");
    assert!(
        error.to_string().contains("virtual_size cannot be read"),
        "{error}"
    );
}

#[test]
fn modes_as_drivers_write_them() {
    assert_eq!(mode("U:800x480p-60"), Some((800, 480)));
    assert_eq!(mode("D:1920x1080i-30"), Some((1920, 1080)));
    for odd in ["", "800x480", "U:", "U:800p-60", "U:x480p-60", "U:800x480"] {
        assert_eq!(mode(odd), None, "{odd}");
    }
}
