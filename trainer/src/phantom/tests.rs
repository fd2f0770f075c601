//! What a phantom promises: truth of the labels, tissue values, the tumour's side, and the same voxels every time.

use std::fs;
use std::path::{Path, PathBuf};

use nephrobox_imaging::{Geometry, LabelReader, ScanReader, write_labels};
use nephrobox_shared::measure::Spacing;

use super::field::{Noise, blur, distance};
use super::rng::Rng;
use super::tissue::{Phase, Tissues};
use super::{LabelDriven, PhantomError, RESERVED, Storage, WholePatient, is_reserved};

const SIZE: usize = 128;

/// A patient small enough for a test: 3.2 mm pixels, 16 slices of 10 mm.
fn patient(seed: u64) -> WholePatient {
    WholePatient {
        slices: 16,
        size: SIZE,
        spacing: Spacing::new(10.0, 3.2, 3.2).unwrap(),
        seed,
    }
}

/// The slices of a case: HU and labels.
fn read(case: &Path) -> Vec<(Vec<i16>, Vec<u8>)> {
    let mut scan = ScanReader::open(case.join("imaging.nii.gz")).unwrap();
    let mut labels = LabelReader::open(case.join("segmentation.nii.gz")).unwrap();
    scan.geometry().same_grid(labels.geometry()).unwrap();
    let len = scan.geometry().slice_len();
    (0..scan.geometry().slices())
        .map(|index| {
            let (mut hu, mut classes) = (vec![0; len], vec![0; len]);
            scan.read_slice(index, &mut hu).unwrap();
            labels.read_slice(index, &mut classes).unwrap();
            (hu, classes)
        })
        .collect()
}

fn bytes(case: &Path) -> [Vec<u8>; 2] {
    ["imaging.nii.gz", "segmentation.nii.gz"].map(|file| fs::read(case.join(file)).unwrap())
}

fn mean(values: impl Iterator<Item = f32>) -> f32 {
    let (sum, count) = values.fold((0.0, 0), |(sum, count), v| (sum + v, count + 1));
    sum / count.max(1) as f32
}

/// A KiTS19-like label volume that nobody's data went into: two upright cylinders and a tumour on the left one.
fn write_source(folder: &Path) -> PathBuf {
    let (slices, side, mm) = (40, 200, 2.0);
    let spacing = Spacing::new(4.0, mm, mm).unwrap();
    let geometry = Geometry::kits([slices, side, side], spacing).unwrap();
    let path = folder.join("segmentation.nii.gz");
    write_labels(&path, &geometry, &mut |index, slice| {
        if !(10..30).contains(&index) {
            return;
        }
        for (pixel, label) in slice.iter_mut().enumerate() {
            let (row, col) = ((pixel / side) as f64 * mm, (pixel % side) as f64 * mm);
            let within = |r: f64, c: f64, radius: f64| (row - r).hypot(col - c) < radius;
            if (15..22).contains(&index) && within(205.0, 290.0, 18.0) {
                *label = 2;
            } else if within(215.0, 268.0, 27.0) || within(220.0, 132.0, 25.0) {
                *label = 1;
            }
        }
    })
    .unwrap();
    path
}

#[test]
fn a_whole_patient_is_asymmetric_and_its_tissues_have_their_values() {
    let folder = tempfile::tempdir().unwrap();
    let made = patient(5).make(folder.path(), "case_sample").unwrap();
    let slices = read(&folder.path().join("case_sample"));
    assert_eq!((made.slices, slices.len()), (16, 16));

    // The patient's left is at high columns: the tumour is there and nowhere else, and both sides have a kidney.
    let mut counts = [[0; 3]; 2];
    for (_, labels) in &slices {
        for (pixel, &label) in labels.iter().enumerate() {
            counts[usize::from(pixel % SIZE >= SIZE / 2)][usize::from(label)] += 1;
        }
    }
    let [[_, right, right_tumour], [_, left, left_tumour]] = counts;
    assert_eq!(right_tumour, 0);
    assert!(left_tumour > 150 && left > 500 && right > 500, "{counts:?}");
    assert_eq!(made.pixels, [right + left, left_tumour]);
    // 80 to 220 mL a kidney, as in life.
    let voxel_ml = 10.0 * 3.2 * 3.2 / 1000.0;
    for kidney in [right, left] {
        assert!(
            (80.0..220.0).contains(&(kidney as f64 * voxel_ml)),
            "{counts:?}"
        );
    }

    let (mut kidney, mut beside, mut air, mut brightest) = (vec![], vec![], vec![], 0);
    for (hu, labels) in &slices {
        let near = distance(|pixel| labels[pixel] != 0, SIZE);
        let deep = distance(|pixel| labels[pixel] != 1, SIZE);
        for pixel in 0..hu.len() {
            let value = f32::from(hu[pixel]);
            if deep[pixel] > 1.5 && deep[pixel] < 1e3 {
                kidney.push(value);
            }
            // Behind the kidneys there is always fat.
            let behind = pixel >= SIZE
                && labels[pixel] == 0
                && near[pixel] == 1.0
                && labels[pixel - SIZE] == 1;
            if behind {
                beside.push(value);
            }
            if pixel % SIZE < 3 {
                air.push(hu[pixel]);
            }
            brightest = brightest.max(hu[pixel]);
        }
    }
    let kidney = mean(kidney.into_iter());
    assert!((90.0..230.0).contains(&kidney), "kidney {kidney}");
    let fat = mean(beside.into_iter());
    assert!(fat < 20.0, "one pixel behind the kidney: {fat}");
    assert!(air.iter().filter(|&&hu| hu == -1000).count() * 10 > air.len() * 9);
    assert!(brightest > 350, "no bone: {brightest}");
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let made = [1, 3].map(|threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let name = format!("case_{threads}");
        pool.install(|| patient(1).make(folder.path(), &name))
            .unwrap();
        bytes(&folder.path().join(name))
    });
    assert!(made[0] == made[1], "voxels depend on the number of threads");
    patient(2).make(folder.path(), "case_other").unwrap();
    assert!(
        bytes(&folder.path().join("case_other"))[0] != made[0][0],
        "the seed is ignored"
    );
}

#[test]
fn painting_around_masks_keeps_the_masks() {
    let folder = tempfile::tempdir().unwrap();
    let source = write_source(folder.path());
    let out = folder.path().join("out");
    let recipe = LabelDriven {
        size: SIZE,
        slices: 10,
        seed: 3,
    };
    let made = recipe.make(&source, &out, "case_00001").unwrap();
    assert_eq!(made.slices, 10);
    let home = out.join("case_00001");
    let pixel = LabelReader::open(home.join("segmentation.nii.gz"))
        .unwrap()
        .geometry()
        .spacing()
        .row_mm;
    let table = fs::read_to_string(home.join("slices.csv")).unwrap();
    let mut kinds = [0; 3];
    for ((hu, labels), line) in read(&home).iter().zip(table.lines().skip(1)) {
        let source: usize = line.split(',').nth(1).unwrap().parse().unwrap();
        let area = |wanted: u8| {
            labels
                .iter()
                .map(|&label| f64::from(u8::from(label == wanted)))
                .sum::<f64>()
                * pixel
                * pixel
        };
        let has_tumour = (15..22).contains(&source);
        kinds[if !(10..30).contains(&source) {
            0
        } else if has_tumour {
            2
        } else {
            1
        }] += 1;
        // Disks of 25, 27 and 18 mm; the tumour hides a part of the left kidney.
        let tumour = if has_tumour {
            std::f64::consts::PI * 18.0 * 18.0
        } else {
            0.0
        };
        let both = std::f64::consts::PI * (25.0 * 25.0 + 27.0 * 27.0);
        assert!(
            (area(2) - tumour).abs() <= 0.12 * tumour,
            "slice {source}: {} mm²",
            area(2)
        );
        match kinds {
            _ if !(10..30).contains(&source) => assert_eq!(area(1), 0.0),
            _ if has_tumour => assert!((0.6 * both..0.95 * both).contains(&area(1))),
            _ => assert!(
                (area(1) - both).abs() < 0.06 * both,
                "slice {source}: {} mm²",
                area(1)
            ),
        }
        let kidney = mean(
            hu.iter()
                .zip(labels)
                .filter(|(_, l)| **l == 1)
                .map(|(hu, _)| f32::from(*hu)),
        );
        assert!(
            area(1) == 0.0 || (10.0..450.0).contains(&kidney),
            "slice {source}: kidney of {kidney} HU"
        );
    }
    assert!(
        kinds.iter().all(|&kind| kind > 0),
        "background, kidney, tumour: {kinds:?}"
    );

    // The same again, and another seed.
    recipe
        .make(&source, &folder.path().join("again"), "case_00001")
        .unwrap();
    assert!(bytes(&home) == bytes(&folder.path().join("again/case_00001")));
    let other = LabelDriven { seed: 4, ..recipe };
    other
        .make(&source, &folder.path().join("other"), "case_00001")
        .unwrap();
    assert!(bytes(&home) != bytes(&folder.path().join("other/case_00001")));
}

#[test]
fn some_cases_are_clipped_as_published_slices_are() {
    let folder = tempfile::tempdir().unwrap();
    let source = write_source(folder.path());
    let recipe = LabelDriven {
        size: 64,
        slices: 1,
        seed: 1,
    };
    let mut clipped = 0;
    for number in 200..224 {
        let name = format!("case_{number:05}");
        let made = recipe.make(&source, folder.path(), &name).unwrap();
        let slices = read(&folder.path().join(&name));
        let (hu, _) = &slices[0];
        let (least, most) = (*hu.iter().min().unwrap(), *hu.iter().max().unwrap());
        match made.storage {
            Storage::Clipped => assert_eq!((least, most), (0, 255)),
            Storage::Full => assert!(least <= -950 && most > 300, "{least}..{most}"),
        }
        clipped += usize::from(made.storage == Storage::Clipped);
    }
    assert!((3..16).contains(&clipped), "{clipped} of 24");
}

#[test]
fn a_real_patients_kidneys_lie_in_a_body() {
    let labels = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/data/kits19-labels/case_00061/segmentation.nii.gz");
    if !labels.is_file() {
        eprintln!("skipped: ../shared is not here");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let recipe = LabelDriven {
        size: SIZE,
        slices: 8,
        seed: 1,
    };
    let made = recipe.make(&labels, folder.path(), "case_00061").unwrap();
    assert_eq!(made.slices, 8);
    assert!(made.pixels[0] > 500 && made.pixels[1] > 0, "{made:?}");
    for (hu, labels) in read(&folder.path().join("case_00061")) {
        // 3 pixels (9 mm and more) from any kidney there is still body, not air.
        let near = distance(|pixel| labels[pixel] != 0, SIZE);
        let ring = (0..hu.len()).filter(|&pixel| near[pixel] > 2.0 && near[pixel] <= 3.0);
        let (mut air, mut all) = (0, 0);
        for pixel in ring {
            all += 1;
            air += usize::from(hu[pixel] < -300);
        }
        // Gas in the bowel may come close.
        assert!(
            air * 5 <= all,
            "{air} of {all} pixels beside the kidneys are air"
        );
    }
}

#[test]
fn reserved_patients_and_impossible_sizes_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let source = write_source(folder.path());
    let recipe = LabelDriven {
        size: 64,
        slices: 1,
        seed: 1,
    };
    for number in RESERVED {
        let name = format!("case_{number:05}");
        let refused = recipe.make(&source, folder.path(), &name);
        assert!(
            matches!(refused, Err(PhantomError::Reserved { .. })),
            "{name}"
        );
        assert!(!folder.path().join(name).exists());
    }
    assert!(!is_reserved("case_00000") && !is_reserved("case_sample") && !is_reserved("26"));

    for (size, slices) in [(63, 1), (1025, 1), (64, 0), (64, 513)] {
        let refused = LabelDriven {
            size,
            slices,
            seed: 1,
        }
        .check();
        assert!(
            matches!(refused, Err(PhantomError::Limit { .. })),
            "{size} {slices}"
        );
    }
    for spacing in [
        [0.4, 1.0, 1.0],
        [11.0, 1.0, 1.0],
        [5.0, 0.2, 0.2],
        [5.0, 1.0, 1.1],
    ] {
        let spacing = Spacing::new(spacing[0], spacing[1], spacing[2]).unwrap();
        let refused = WholePatient {
            spacing,
            ..patient(1)
        }
        .check();
        assert!(
            matches!(refused, Err(PhantomError::Limit { .. })),
            "{spacing:?}"
        );
    }
}

#[test]
fn nothing_is_overwritten_and_nothing_is_left_half_made() {
    let folder = tempfile::tempdir().unwrap();
    let source = write_source(folder.path());
    let recipe = LabelDriven {
        size: 64,
        slices: 1,
        seed: 1,
    };
    let out = folder.path().join("out");
    recipe.make(&source, &out, "case_00001").unwrap();
    let refused = recipe.make(&source, &out, "case_00001");
    assert!(matches!(refused, Err(PhantomError::Exists { .. })));

    let empty = folder.path().join("empty.nii.gz");
    let geometry = Geometry::kits([4, 64, 64], Spacing::new(3.0, 1.0, 1.0).unwrap()).unwrap();
    write_labels(&empty, &geometry, &mut |_, _| {}).unwrap();
    let refused = recipe.make(&empty, &out, "case_00002");
    assert!(matches!(refused, Err(PhantomError::Empty { .. })));
    let left: Vec<_> = fs::read_dir(&out)
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(left, ["case_00001"]);
}

#[test]
fn contrast_moves_from_cortex_to_urine() {
    for seed in 0..200 {
        let draw = |phase| Tissues::draw(phase, &mut Rng::of(&[seed]));
        let plain = draw(Phase::Plain);
        assert!((10.0..50.0).contains(&plain.cortex) && (plain.artery - plain.vein).abs() < 40.0);
        let arterial = draw(Phase::Arterial);
        assert!((95.0..290.0).contains(&arterial.cortex), "{arterial:?}");
        assert!(arterial.medulla <= arterial.cortex && arterial.artery > 130.0);
        let late = draw(Phase::Nephrographic);
        assert!(
            late.cortex - late.medulla < 140.0 && late.cortex > 100.0,
            "{late:?}"
        );
        for t in [plain, arterial, late] {
            assert!(
                (-125.0..-85.0).contains(&t.fat) && (30.0..85.0).contains(&t.muscle),
                "{t:?}"
            );
            assert!(t.compact_bone > t.marrow && t.urine < 40.0);
        }
    }
    let gap = |phase| {
        mean((0..200).map(|seed| {
            let t = Tissues::draw(phase, &mut Rng::of(&[seed]));
            t.cortex - t.medulla
        }))
    };
    let urine =
        mean((0..200).map(|seed| Tissues::draw(Phase::Excretory, &mut Rng::of(&[seed])).urine));
    assert!((500.0..900.0).contains(&urine), "{urine}");
    assert!(gap(Phase::Arterial) > 80.0 && gap(Phase::Nephrographic) < 45.0);
}

#[test]
fn noise_is_smooth_bounded_and_seamless_at_the_origin() {
    let noise = Noise::new(9, 10.0);
    let mut rng = Rng::of(&[1]);
    let mut sum = 0.0;
    for _ in 0..20_000 {
        let p = [(); 3].map(|()| rng.range(-300.0, 300.0));
        let value = noise.at(p[0], p[1], p[2]);
        assert!((-1.0..=1.0).contains(&value));
        assert!((noise.at(p[0] + 0.1, p[1], p[2]) - value).abs() < 0.06);
        sum += value * value;
    }
    let deviation = (sum / 20_000.0f32).sqrt();
    assert!((0.2..0.5).contains(&deviation), "{deviation}");
    for step in -400..400 {
        let x = step as f32 * 0.01;
        assert!((noise.at(x, x, -x) - noise.at(x + 0.01, x + 0.01, -x - 0.01)).abs() < 0.02);
    }
}

#[test]
fn blurring_keeps_the_mean_of_the_inner_image_and_spreads_a_point() {
    let mut image = vec![0.0; 31 * 31];
    image[15 * 31 + 15] = 1.0;
    blur(&mut image, 31, 1.5, 2.5);
    assert!((image.iter().sum::<f32>() - 1.0).abs() < 1e-4);
    let variance = |axis: fn(usize) -> usize| -> f32 {
        image
            .iter()
            .enumerate()
            .map(|(pixel, v)| v * (axis(pixel) as f32 - 15.0).powi(2))
            .sum()
    };
    let (across, down) = (variance(|p| p % 31).sqrt(), variance(|p| p / 31).sqrt());
    assert!(
        (across - 1.5).abs() < 0.1 && (down - 2.5).abs() < 0.1,
        "{across} {down}"
    );
}

proptest::proptest! {
    #[test]
    fn distances_are_those_of_the_nearest_pixel(
        inside in proptest::collection::vec(proptest::bool::weighted(0.06), 144)
    ) {
        let found = distance(|pixel| inside[pixel], 12);
        for (pixel, &found) in found.iter().enumerate() {
            let nearest = (0..144usize)
                .filter(|&other| inside[other])
                .map(|other| {
                    let (dx, dy) = ((pixel % 12).abs_diff(other % 12), (pixel / 12).abs_diff(other / 12));
                    ((dx * dx + dy * dy) as f32).sqrt()
                })
                .fold(f32::INFINITY, f32::min);
            if nearest.is_finite() {
                proptest::prop_assert!((found - nearest).abs() < 1e-3, "{} {}", found, nearest);
            } else {
                proptest::prop_assert!(found > 1e6);
            }
        }
    }
}
