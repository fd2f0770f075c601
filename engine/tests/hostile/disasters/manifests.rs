//! Manifests that no model can have.

use nephrobox_shared::package::{Manifest, SelfTest};

use super::{Disaster, refused};
use crate::forge::Parts;
use crate::road::{self, SIDE, manifest};

/// The small package with another manifest.
fn said(change: impl FnOnce(&mut Manifest)) -> Parts {
    let mut manifest = manifest();
    change(&mut manifest);
    Parts {
        manifest: postcard::to_stdvec(&manifest).unwrap(),
        ..Parts::of(&road::small())
    }
}

/// The manifest's interpolation becomes one that there is not.
fn unknown_interpolation() -> Parts {
    let mut parts = said(|_| ());
    let known = manifest();
    let window = known.input.preprocess.window;
    let before = (
        known.name,
        known.version,
        known.encoder,
        window.low_hu,
        window.high_hu,
    );
    let at = postcard::to_stdvec(&before).unwrap().len();
    parts.manifest[at] = 9;
    parts
}

pub(super) fn wrong() -> Vec<Disaster> {
    let test = |m: &mut Manifest, change: &dyn Fn(&mut SelfTest)| change(&mut m.self_test[0]);
    vec![
        refused(
            "an image of 2^62 rows",
            said(|m| (m.input.preprocess.rows, m.input.preprocess.cols) = (1 << 62, 1)),
            "the preprocessing in the package's manifest makes images of more than 4096 pixels a side; export the model again",
        ),
        refused(
            "an image of 1,000,000,000 columns",
            said(|m| m.input.preprocess.cols = 1_000_000_000),
            "the preprocessing in the package's manifest makes images of more than 4096 pixels a side; export the model again",
        ),
        refused(
            "an image without rows",
            said(|m| m.input.preprocess.rows = 0),
            "the preprocessing in the package's manifest has an empty window or size; export the model again",
        ),
        refused(
            "a window upside down",
            said(|m| m.input.preprocess.window.low_hu = i16::MAX),
            "the preprocessing in the package's manifest has an empty window or size; export the model again",
        ),
        refused(
            "an interpolation that there is not",
            unknown_interpolation(),
            "the package's manifest cannot be decoded; export the model again",
        ),
        refused(
            "an image that is no whole number of tiles",
            said(|m| m.input.preprocess.rows = SIDE + 1),
            "the model cannot run: images of 33 x 32 pixels do not fit the program; both numbers must be positive multiples of 4 up to 65536; export the model again",
        ),
        refused(
            "a pixel times nothing",
            said(|m| m.input.scale = 0),
            "the input scale in the package's manifest is neither 1 nor 255; export the model again",
        ),
        refused(
            "more channels than there are neighbours",
            said(|m| m.input.channels = 200),
            "the number of input channels in the package's manifest is none of 1, 2 and 3; export the model again",
        ),
        refused(
            "a manifest of another network",
            said(|m| m.input.channels = 3),
            "the model's manifest speaks of 3 input channels and its program has 1; export the model again",
        ),
        refused(
            "a class that no label means",
            said(|m| m.classes[2].label = 9),
            "the class map in the package's manifest is not background, kidney, tumour; export the model again",
        ),
        refused(
            "a self-test slice of another size than its pixels",
            said(|m| test(m, &|t| t.rows += 1)),
            "a self-test slice in the package's manifest does not have the pixels of its size; export the model again",
        ),
        refused(
            "a self-test without its label map",
            said(|m| test(m, &|t| t.labels.clear())),
            "a self-test slice in the package's manifest does not have the pixels of its size; export the model again",
        ),
        refused(
            "a self-test slice of 2^64 pixels that has none",
            said(|m| {
                m.self_test[0] = SelfTest {
                    rows: u32::MAX,
                    cols: u32::MAX,
                    hu: Vec::new(),
                    labels: Vec::new(),
                }
            }),
            "a self-test slice in the package's manifest does not have 1 to 4096 pixels a side; export the model again",
        ),
        refused(
            "a self-test label that is no class",
            said(|m| test(m, &|t| t.labels[0] = 3)),
            "a self-test label map in the package's manifest holds a label other than 0, 1 and 2; export the model again",
        ),
        refused(
            "a self-test that takes all day",
            said(|m| {
                let one = SelfTest {
                    rows: 1,
                    cols: 1,
                    hu: vec![0],
                    labels: vec![0],
                };
                m.self_test = vec![one; 100_000];
            }),
            "the self-test in the package's manifest has more than 64 slices; export the model again",
        ),
        refused(
            "a Dice that is no number",
            said(|m| {
                let mut scores = nephrobox_shared::metrics::Scores::default();
                scores.paper.tumour.dice = Some(f64::NAN);
                m.scores.int8 = Some(scores);
            }),
            "a test score in the package's manifest is not a number from 0 to 1; export the model again",
        ),
        refused(
            "a name that moves the cursor",
            said(|m| m.name = "\u{1b}[2Jall is well".into()),
            "the model's name in the package's manifest is longer than 128 bytes or holds control characters; export the model again",
        ),
        refused(
            "a manifest of 33 MiB",
            {
                let mut parts = said(|_| ());
                parts.manifest.resize(33 << 20, 0);
                parts
            },
            "the package's manifest has 34603008 bytes and at most 33554432 are possible; export the model again",
        ),
        refused(
            "a program of 2 MiB",
            {
                let mut parts = said(|_| ());
                parts.program.resize(2 << 20, 0);
                parts
            },
            "the package's program has 2097152 bytes and at most 1048576 are possible; export the model again",
        ),
    ]
}
