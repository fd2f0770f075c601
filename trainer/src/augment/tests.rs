//! Pipelines as a whole; each transform's own tests are beside it.

use super::*;

/// A bright block on a darker ground, label 1 under the block.
fn sample() -> Sample {
    let (rows, cols) = (64, 80);
    let labels: Vec<u8> = (0..rows * cols)
        .map(|i| u8::from((20..34).contains(&(i / cols)) && (40..56).contains(&(i % cols))))
        .collect();
    let image = labels.iter().map(|&l| 0.4 + 0.3 * f32::from(l)).collect();
    Sample::new(rows, cols, image, labels)
}

fn changed(augmentation: &Augmentation, key: &str) -> Sample {
    let mut sample = sample();
    augmentation.apply(&mut sample, &mut Spare::default(), &mut Stream::new(key));
    sample
}

fn alone(transform: Transform) -> Augmentation {
    Augmentation {
        share: 1.0,
        steps: vec![Step {
            chance: 1.0,
            transform,
        }],
    }
}

#[test]
fn the_same_key_gives_the_same_image_and_another_key_another() {
    for (name, _) in PRESETS.iter().skip(1) {
        let preset = Augmentation::preset(name, 1.0).unwrap();
        assert_eq!(changed(&preset, "7/0/3"), changed(&preset, "7/0/3"));
        assert_ne!(changed(&preset, "7/0/3"), changed(&preset, "7/0/4"));
    }
}

/// Used buffers must not show in the next image.
#[test]
fn spare_buffers_leave_no_trace() {
    let preset = Augmentation::preset("ct", 1.0).unwrap();
    let mut spare = Spare::default();
    for key in 0..20 {
        let key = key.to_string();
        let mut sample = sample();
        preset.apply(&mut sample, &mut spare, &mut Stream::new(&key));
        assert_eq!(sample, changed(&preset, &key));
    }
}

/// Geometry must move image and labels alike: bright pixels stay under the label.
#[test]
fn labels_follow_the_image() {
    use Transform as T;
    for transform in [
        T::Flip(flip::Flip::default()),
        T::Rotate(rotate::Rotate::default()),
        T::ShiftScaleRotate(rotate::ShiftScaleRotate::default()),
        T::Elastic(elastic::Elastic {
            alpha: 60.0,
            sigma: 6.0,
            affine: [4.0, 10.0],
        }),
        T::GridDistortion(grid_distortion::GridDistortion::default()),
        T::CropOrPad(crop_or_pad::CropOrPad::default()),
        T::Placement(placement::Placement::default()),
    ] {
        for key in 0..50 {
            let s = changed(&alone(transform), &key.to_string());
            let bright: Vec<u8> = s.image.iter().map(|&v| u8::from(v > 0.55)).collect();
            let differ = bright.iter().zip(&s.labels).filter(|(a, b)| a != b).count();
            let area: usize = s.labels.iter().map(|&l| usize::from(l)).sum();
            // A pixel along the outline, a quarter of so small an area, may fall to either side.
            assert!(
                differ <= 8 + area / 4,
                "{transform:?} {key}: {differ} of {area}"
            );
        }
    }
}

#[test]
fn every_transform_keeps_sizes_ranges_and_labels() {
    for (name, transform) in Transform::all() {
        for key in 0..10 {
            let s = changed(&alone(transform), &key.to_string());
            assert_eq!(
                (s.image.len(), s.labels.len()),
                (64 * 80, 64 * 80),
                "{name}"
            );
            assert!(
                s.image.iter().all(|v| (-1e-6..=1.0 + 1e-6).contains(v)),
                "{name}"
            );
            assert!(s.labels.iter().all(|l| *l <= 1), "{name}");
        }
    }
}

/// Section 3 of the paper: a share p of the images is changed, each transform acts on p / 2 of them.
#[test]
fn coins_fall_as_in_the_library() {
    let flips = Augmentation {
        share: 0.75,
        steps: vec![Step {
            chance: 0.5,
            transform: Transform::Flip(flip::Flip::default()),
        }],
    };
    let n = 4000;
    let same = sample();
    let unchanged = (0..n)
        .filter(|key| changed(&flips, &key.to_string()) == same)
        .count();
    let share = unchanged as f64 / f64::from(n);
    assert!((share - 0.625).abs() < 0.03, "{share}");
    let none = Augmentation::preset("ct", 0.0).unwrap();
    assert!((0..50).all(|key| changed(&none, &key.to_string()) == same));
}

#[test]
fn presets_are_possible_and_survive_a_config_file() {
    for (name, _) in PRESETS {
        let preset = Augmentation::preset(name, 0.75).unwrap();
        preset.check().unwrap();
        let text = toml::to_string(&preset).unwrap();
        assert_eq!(toml::from_str::<Augmentation>(&text).unwrap(), preset);
        let json = serde_json::to_string(&preset).unwrap();
        assert_eq!(serde_json::from_str::<Augmentation>(&json).unwrap(), preset);
    }
}

#[test]
fn a_pipeline_can_come_from_a_file_and_its_mistakes_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.toml");
    let read = |text: &str| {
        std::fs::write(&path, text).unwrap();
        let read = Augmentation::named(path.to_str().unwrap(), 0.5)?;
        read.check().map(|()| read)
    };
    let mine =
        read("[[steps]]\nchance = 0.3\ntransform = { rotate = { degrees = 20.0 } }\n").unwrap();
    assert_eq!(
        mine.steps[0].transform,
        Transform::Rotate(rotate::Rotate { degrees: 20.0 })
    );
    for (text, said) in [
        (
            "[[steps]]\nchance = 0.3\ntransform = { rotate = { angle = 20.0 } }\n",
            "angle",
        ),
        (
            "[[steps]]\nchance = 0.3\ntransform = { spin = {} }\n",
            "spin",
        ),
        (
            "[[steps]]\nchance = 1.5\ntransform = { flip = {} }\n",
            "chance lies between",
        ),
        (
            "[[steps]]\nchance = 0.5\ntransform = { median-blur = { largest = 7 } }\n",
            "3 or 5",
        ),
    ] {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
    let error = Augmentation::named("cd", 0.5).unwrap_err().to_string();
    assert!(error.contains("ct, small-data"), "{error}");
}

#[test]
fn a_crop_has_its_size_and_often_shows_the_kidney() {
    let seen = (0..100)
        .filter(|key| {
            let c = crop(&sample(), 32, &mut Stream::new(&format!("{key}")));
            assert_eq!(
                (c.rows, c.cols, c.image.len(), c.labels.len()),
                (32, 32, 1024, 1024)
            );
            c.labels.contains(&1)
        })
        .count();
    assert!(seen > 50, "{seen}");
}
