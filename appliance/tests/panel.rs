//! The panel's screens, pixel by pixel, and the targets that they go to.
//!
//! After a change that is meant, make the pictures again, look at every one of them, and commit them:
//!
//!     NEPHROBOX_BLESS=1 cargo test -p nephrobox --test panel

#[path = "../examples/panel/states.rs"]
mod states;

use std::path::{Path, PathBuf};

use embedded_graphics::mock_display::MockDisplay;
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::{DrawTarget, DrawTargetExt, OriginDimensions, Point, Size};
use embedded_graphics::primitives::Rectangle;
use image::RgbImage;
use nephrobox::config::PanelTarget;
use nephrobox::panel::{HEIGHT, Panel, TargetProblem, View, WIDTH, draw};
use nephrobox::snapshot::Snapshot;
use nephrobox_imaging::LabelReader;
use tempfile::TempDir;

/// How far a channel may be off: another processor's sine may round an edge's coverage the other way.
const TOLERANCE: u8 = 2;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/panel")
}

fn decoded(png: &[u8]) -> RgbImage {
    image::load_from_memory(png).expect("a picture").to_rgb8()
}

fn state(wanted: &str) -> Snapshot {
    let states = states::all().expect("the sample scan");
    let found = states.into_iter().find(|(name, _)| *name == wanted);
    found.expect("a state of that name").1
}

/// Shows RQ-04, RQ-56.
#[test]
fn every_screen_looks_as_it_was_approved() {
    let mut wrong = Vec::new();
    for (name, state) in states::all().expect("the sample scan") {
        let png = Panel::screenshot(&View::of(&state)).expect("a picture");
        let path = golden().join(format!("{name}.png"));
        if std::env::var_os("NEPHROBOX_BLESS").is_some() {
            std::fs::write(&path, &png).expect("written");
            continue;
        }
        let approved = decoded(&std::fs::read(&path).expect("an approved picture"));
        let found = decoded(&png);
        assert_eq!(found.dimensions(), (WIDTH, HEIGHT));
        let differ = |(a, b): &(&u8, &u8)| a.abs_diff(**b) > TOLERANCE;
        let pairs = found.iter().zip(approved.iter());
        let channels = pairs.filter(differ).count();
        if found.dimensions() != approved.dimensions() || channels > 0 {
            wrong.push(format!("{name}: {channels} channels differ"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}; see the top of this file");
}

/// Shows RQ-33.
#[test]
fn every_screen_says_that_it_is_for_research_use() {
    // The footer's pixels are those of one screen on all of them.
    let footer = |state: &Snapshot| {
        let picture = decoded(&Panel::screenshot(&View::of(state)).expect("a picture"));
        image::imageops::crop_imm(&picture, 0, 441, WIDTH, HEIGHT - 441).to_image()
    };
    let states = states::all().expect("the sample scan");
    let first = footer(&states[0].1);
    let amber = first.pixels().filter(|pixel| pixel.0 == [255, 196, 92]);
    assert!(amber.count() > 300, "the notice is written there");
    for (name, state) in &states[1..] {
        // The mark of a fault reaches down to the rule only.
        assert!(footer(state) == first, "{name}");
    }
}

#[test]
fn the_numbers_are_those_of_pixels_counted_in_the_labels() {
    let result = &state("result").results[0];
    let labels = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/sample/segmentation.nii.gz");
    let mut labels = LabelReader::open(labels).expect("the sample's labels");
    let (spacing, [slices, rows, cols]) = (labels.geometry().spacing(), labels.geometry().shape());
    let mut counted = Vec::new();
    let mut slice = vec![0; rows * cols];
    for index in 0..slices {
        labels.read_slice(index, &mut slice).expect("a slice");
        let mut counts = [0_usize; 3];
        for &label in &slice {
            counts[usize::from(label)] += 1;
        }
        counted.push([counts[1], counts[2]]);
    }
    let peak = (0..slices).max_by_key(|&index| counted[index][1]);
    assert_eq!((result.key_slice, result.slices), (peak, slices));
    let near = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-6, "{found}");
    let pixel_mm2 = spacing.row_mm * spacing.col_mm;
    let all = |class: usize| counted.iter().map(|counts| counts[class]).sum::<usize>() as f64;
    let voxel_ml = pixel_mm2 * spacing.slice_mm / 1000.0;
    near(result.kidney_ml, all(0) * voxel_ml);
    near(result.tumour_ml, all(1) * voxel_ml);
    let (right, left) = (result.sides.right, result.sides.left);
    let [kidney, tumour] = counted[peak.expect("slices")].map(|pixels| pixels as f64 * pixel_mm2);
    near(right.kidney_mm2 + left.kidney_mm2, kidney);
    near(right.tumour_mm2 + left.tumour_mm2, tumour);
    // The sample's tumour is on the patient's left.
    assert_eq!((right.tumour_ml, right.tumour_mm2), (0.0, 0.0));
    near(left.tumour_ml, result.tumour_ml);
    let sent = serde_json::to_string(result).expect("JSON");
    assert!(!sent.contains("nii"), "no file name is sent on: {sent}");
}

#[test]
fn words_of_any_length_stay_on_the_screen() {
    let long = "an unbelievably-long-word ".repeat(400);
    let mut state = state("result-fell-back");
    state.name.clone_from(&long);
    state.active_model = Some(long.clone());
    state.queued = u64::MAX;
    state.results[0].scan.clone_from(&long);
    state.results[0].sides.right.kidney_ml = f64::MAX;
    state.results[0].sides.left.tumour_ml = f64::NAN;
    state.results[0].overlay_png = Some(b"no picture".as_slice().into());
    for fault in &mut state.faults {
        fault.message.clone_from(&long);
    }
    let picture = decoded(&Panel::screenshot(&View::of(&state)).expect("a picture"));
    let paper = picture.get_pixel(0, 200);
    for y in 0..HEIGHT {
        // Between the banner's ends there is paper along both borders.
        if !(380..440).contains(&y) {
            assert_eq!(picture.get_pixel(4, y), paper, "line {y}");
            assert_eq!(picture.get_pixel(WIDTH - 4, y), paper, "line {y}");
        }
    }
}

#[test]
fn any_draw_target_shows_the_same() {
    // A display that panics when a pixel is set twice or outside it.
    let view = View::of(&state("idle"));
    let picture = decoded(&Panel::screenshot(&view).expect("a picture"));
    let mut display = MockDisplay::<Rgb888>::new();
    let corner = Rectangle::new(Point::zero(), display.size());
    draw(&view, &mut Window(&mut display, corner)).expect("drawn");
    for y in 0..corner.size.height {
        for x in 0..corner.size.width {
            let image::Rgb([r, g, b]) = *picture.get_pixel(x, y);
            let shown = display.get_pixel(Point::new(x as i32, y as i32));
            assert_eq!(shown, Some(Rgb888::new(r, g, b)), "{x}, {y}");
        }
    }
}

/// A display that is smaller than the panel: what lies outside it is cut.
struct Window<'a>(&'a mut MockDisplay<Rgb888>, Rectangle);

impl OriginDimensions for Window<'_> {
    fn size(&self) -> Size {
        self.1.size
    }
}

impl DrawTarget for Window<'_> {
    type Color = Rgb888;
    type Error = core::convert::Infallible;

    fn draw_iter<I>(&mut self, pixels: I) -> Result<(), Self::Error>
    where
        I: IntoIterator<Item = embedded_graphics::Pixel<Rgb888>>,
    {
        let Ok(()) = self.0.clipped(&self.1).draw_iter(pixels);
        Ok(())
    }
}

#[test]
fn a_picture_is_replaced_only_when_the_view_changes() {
    let home = TempDir::new().expect("a folder");
    let path = home.path().join("panel.png");
    let target = PanelTarget::Png { path: path.clone() };
    let mut panel = Panel::open(&[target]).expect("a panel");
    let (idle, working) = (View::of(&state("idle")), View::of(&state("working")));
    assert!(panel.show(&idle).is_empty());
    let png = std::fs::read(&path).expect("a picture");
    assert_eq!(png, Panel::screenshot(&idle).expect("a picture"));
    std::fs::write(&path, "marked").expect("written");
    assert!(panel.show(&idle).is_empty());
    assert_eq!(std::fs::read(&path).expect("there"), b"marked");
    assert!(panel.show(&working).is_empty());
    let png = std::fs::read(&path).expect("a picture");
    assert_eq!(png, Panel::screenshot(&working).expect("a picture"));
    let files = std::fs::read_dir(home.path()).expect("a folder").count();
    assert_eq!(files, 1, "nothing is left beside the picture");
}

#[test]
fn a_target_that_fails_is_tried_again_and_does_not_hold_up_the_others() {
    let home = TempDir::new().expect("a folder");
    let at = |name: &str| home.path().join(name);
    let png = |path: PathBuf| PanelTarget::Png { path };
    let missing = PanelTarget::Framebuffer {
        device: at("no-such-screen"),
    };
    let targets = [png(at("later/panel.png")), missing, png(at("panel.png"))];
    let mut panel = Panel::open(&targets).expect("a panel");
    let view = View::of(&state("idle"));
    let errors = panel.show(&view);
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(matches!(errors[0].problem, TargetProblem::Write(_)));
    assert!(matches!(errors[1].problem, TargetProblem::About { .. }));
    assert!(errors[1].to_string().contains("no-such-screen"));
    assert!(at("panel.png").is_file());
    std::fs::create_dir(at("later")).expect("made");
    assert_eq!(panel.show(&view).len(), 1);
    assert!(at("later/panel.png").is_file());
}
