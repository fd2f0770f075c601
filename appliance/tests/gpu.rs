//! The box's road on a GPU, as a person would go it, on whatever adapter there is.
//!
//! Opt-in, since building it takes long: `cargo test -p nephrobox --features webgpu --test gpu -- --nocapture`.
//! A machine without a GPU needs a software Vulkan driver, such as Debian's `mesa-vulkan-drivers`. docs/gpu.md has what it gave here.

#![cfg(feature = "webgpu")]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use nephrobox_engine::package::Model;
use nephrobox_engine::program::Storage;
use nephrobox_shared::package::SelfTest;
use nephrobox_shared::report::{EngineInfo, Report};
use support::nifti::{Declared, Order, content};
use support::{SHAPE, hu, label, raw_labels, raw_scan, save_model};
use tempfile::TempDir;

/// What a run of the program said and how it ended.
struct Ran {
    code: Option<i32>,
    said: String,
    errors: String,
    seconds: f64,
}

fn nephrobox(arguments: &[&str]) -> Ran {
    let began = Instant::now();
    let output = Command::new(env!("CARGO_BIN_EXE_nephrobox"))
        .args(arguments)
        .output()
        .expect("it runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    let ran = Ran {
        code: output.status.code(),
        said: text(output.stdout),
        errors: text(output.stderr),
        seconds: began.elapsed().as_secs_f64(),
    };
    println!(
        "nephrobox {}: {:.1} s\n{}",
        arguments.join(" "),
        ran.seconds,
        ran.errors
    );
    ran
}

/// Folders of one test.
struct Setting {
    home: TempDir,
}

impl Setting {
    fn new() -> Self {
        let home = TempDir::new().expect("a folder");
        Self { home }
    }

    fn path(&self, name: &str) -> String {
        let path = self.home.path().join(name);
        path.to_str().expect("a plain path").to_owned()
    }

    /// `nephrobox segment` into the folder `name`, with a state folder of the test's own. Returns its labels too.
    fn segment(
        &self,
        scan: &Path,
        model: &Path,
        name: &str,
        more: &[&str],
    ) -> (Ran, Report, Vec<u8>) {
        let [scan, model] =
            [scan, model].map(|path| path.to_str().expect("a plain path").to_owned());
        let (out, state) = (self.path(name), self.path("state"));
        let mut arguments = vec![
            "segment", &scan, "--model", &model, "--out", &out, "--state", &state,
        ];
        arguments.extend(more);
        let ran = nephrobox(&arguments);
        assert_eq!(ran.code, Some(0), "{}", ran.errors);
        let out = Path::new(&out);
        let report = fs::read(out.join("report.json")).expect("a report");
        let report = serde_json::from_slice(&report).expect("its fields");
        let labels = content(&out.join("labels.nii.gz"))[352..].to_vec();
        (ran, report, labels)
    }

    /// Bytes below the folder where kernels are kept.
    fn kept(&self) -> u64 {
        let folder = self.home.path().join("state/kernels");
        let Ok(entries) = fs::read_dir(folder) else {
            return 0;
        };
        entries
            .map(|entry| entry.and_then(|e| e.metadata()).expect("a file").len())
            .sum()
    }
}

fn engine(report: &Report) -> EngineInfo {
    report.engine.clone().expect("what ran it")
}

fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models")
}

/// Two slices with both kidneys and the tumour, cut out of the bundled scan. Its slices are the file's fastest axis.
fn two_slices(folder: &Path) -> PathBuf {
    const FIRST: usize = 21;
    const KEPT: usize = 2;
    let packed = fs::File::open(models().join("sample/imaging.nii.gz")).expect("the bundled scan");
    let mut whole = Vec::new();
    flate2::read::GzDecoder::new(packed)
        .read_to_end(&mut whole)
        .expect("sound");
    let (header, voxels) = whole.split_at(352);
    let all = usize::from(u16::from_le_bytes([header[42], header[43]]));
    let mut cut = header.to_vec();
    cut[42..44].copy_from_slice(&(KEPT as u16).to_le_bytes());
    for row in voxels.chunks_exact(2 * all) {
        cut.extend_from_slice(&row[2 * FIRST..2 * (FIRST + KEPT)]);
    }
    let path = folder.join("two-slices.nii.gz");
    let file = fs::File::create(&path).expect("a file");
    let mut packer = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    packer.write_all(&cut).expect("written");
    packer.finish().expect("written");
    path
}

/// How many voxels differ, and how many show kidney or tumour.
fn differing(a: &[u8], b: &[u8]) -> [usize; 2] {
    assert_eq!(a.len(), b.len());
    [
        a.iter().zip(b).filter(|(a, b)| a != b).count(),
        b.iter().filter(|&&label| label != 0).count(),
    ]
}

/// The bundled package, quantised, on the GPU in floating point against the CPU in integers.
///
/// Both put values on the same grids. Sums in another order can move a value to the neighbouring step, which moves logits by little: only
/// pixels whose two best classes are nearly equal may change, and those lie at edges. One in a hundred of the outlined ones is allowed;
/// a wrong kernel spoils all.
#[test]
fn the_bundled_package_gives_the_labels_of_the_cpu() {
    let setting = Setting::new();
    let scan = two_slices(setting.home.path());
    let model = models().join("demo-resnet18.nbx");

    let (_, report, on_cpu) = setting.segment(&scan, &model, "cpu", &["--device", "cpu"]);
    let by = engine(&report);
    assert_eq!(
        (by.device.as_str(), by.arithmetic.as_str()),
        ("cpu", "int8")
    );
    assert_eq!(setting.kept(), 0, "nothing is kept for a CPU");

    let on_gpu = ["--device", "webgpu", "--arithmetic", "f32"];
    let (first, report, found) = setting.segment(&scan, &model, "gpu", &on_gpu);
    let by = engine(&report);
    assert_eq!(
        (by.device.as_str(), by.arithmetic.as_str()),
        ("webgpu", "f32")
    );
    assert!(
        by.device_name.is_some_and(|name| !name.is_empty()) && by.kernels.is_none(),
        "the adapter is named"
    );
    let ready = first.errors.find("webgpu is ready in f32 after ");
    let slices = first.errors.find("2/2 slices");
    assert!(
        ready.is_some() && ready < slices,
        "warm before the first slice: {}",
        first.errors
    );
    let [differ, outlined] = differing(&found, &on_cpu);
    println!(
        "f32: {differ} voxels differ, beside {outlined} of kidney and tumour; the network took {:.1} s",
        report.timing.network_s
    );
    assert!(
        outlined > 3000 && differ * 100 <= outlined,
        "{differ} of {outlined}"
    );
    assert!(
        fs::read_to_string(setting.home.path().join("gpu/report.txt"))
            .expect("a page")
            .contains("Run as      f32 on webgpu")
    );

    // What was learned is found again by the next start.
    let kept = setting.kept();
    assert!(kept > 0, "choices between kernels are kept");
    let (again, _, same) = setting.segment(&scan, &model, "again", &on_gpu);
    println!(
        "{kept} bytes kept; {:.1} s the first time, {:.1} s the second",
        first.seconds, again.seconds
    );
    assert_eq!(differing(&same, &found)[0], 0, "the same kernels");
}

/// In 16 bits, where the adapter has them; else one sentence.
#[test]
fn half_precision_is_near_or_refused() {
    let setting = Setting::new();
    let scan = two_slices(setting.home.path());
    let model = models().join("demo-resnet18.nbx");
    let device = nephrobox_engine::device::select("webgpu").expect("an adapter");
    if nephrobox_engine::device::has_halves(&device) {
        let (.., on_cpu) = setting.segment(&scan, &model, "cpu", &["--device", "cpu"]);
        let halves = ["--device", "webgpu", "--arithmetic", "f16"];
        let (_, report, found) = setting.segment(&scan, &model, "f16", &halves);
        assert_eq!(engine(&report).arithmetic, "f16");
        let [differ, outlined] = differing(&found, &on_cpu);
        println!("f16: {differ} voxels differ, beside {outlined} of kidney and tumour");
        assert!(differ * 50 <= outlined, "{differ} of {outlined}");
    } else {
        println!("this adapter does not compute in f16: only the refusal is looked at");
    }
}

/// A float package whose labels are known to the pixel, on the phantom of the other tests; several slices, in the size of batch that `auto` has.
#[test]
fn a_float_package_gives_the_truth() {
    let setting = Setting::new();
    let home = setting.home.path();
    let (order, declared) = (Order::KITS, Declared::Sform);
    let scan = raw_scan(order, declared).save(home.join("phantom.nii.gz"));
    let model = save_model(home);
    let (ran, report, found) = setting.segment(&scan, &model, "out", &["--device", "webgpu"]);
    let truth = raw_labels(order, declared).bytes()[352..].to_vec();
    assert_eq!(differing(&found, &truth)[0], 0);
    assert_eq!(engine(&report).device, "webgpu");
    assert!(
        ran.errors.contains("webgpu is ready in f32"),
        "{}",
        ran.errors
    );

    let [model, state] = [
        model.to_str().expect("a plain path"),
        &setting.path("state"),
    ];
    let arithmetic = engine(&report).arithmetic;
    let bench = [
        "bench",
        model,
        "--arithmetic",
        &arithmetic,
        "--device",
        "webgpu",
        "--state",
        state,
        "--runs",
        "3",
        "--json",
    ];
    let measured = nephrobox(&bench);
    assert_eq!(measured.code, Some(0));
    let measured: serde_json::Value = serde_json::from_str(&measured.said).expect("JSON");
    assert_eq!(measured["device"], "webgpu");
    assert_eq!(measured["arithmetic"], arithmetic);
}

/// A device that computes something else must not label a scan. Here it is the package that asks for something else: an empty label map
/// for a slice that shows both kidneys and the tumour.
#[test]
fn a_device_that_fails_the_packages_own_slices_is_refused() {
    let setting = Setting::new();
    let home = setting.home.path();
    let scan = raw_scan(Order::KITS, Declared::Sform).save(home.join("phantom.nii.gz"));
    let sound = Model::load(save_model(home)).expect("a package").model;
    let with = |labels: Vec<u8>, name: &str| {
        let (mut manifest, program, tensors) = sound.clone().into_parts();
        let pixels = (0..SHAPE[1] * SHAPE[2]).map(|i| hu([11, i / SHAPE[2], i % SHAPE[2]]));
        manifest.self_test.push(SelfTest {
            rows: SHAPE[1] as u32,
            cols: SHAPE[2] as u32,
            hu: pixels.collect(),
            labels,
        });
        let path = home.join(name);
        let model = Model::new(manifest, program, tensors).expect("a model");
        model.save(&path, Storage::F32).expect("saved");
        path
    };
    let truth = (0..SHAPE[1] * SHAPE[2]).map(|i| label([11, i / SHAPE[2], i % SHAPE[2]]));
    let truth: Vec<u8> = truth.collect();
    let on_gpu = ["--device", "webgpu", "--arithmetic", "f32"];
    let right = with(truth.clone(), "right.nbx");
    setting.segment(&scan, &right, "right", &on_gpu);

    let wrong = with(vec![0; truth.len()], "wrong.nbx");
    let [scan, wrong] = [&scan, &wrong].map(|path| path.to_str().expect("a plain path"));
    let (out, state) = (setting.path("wrong"), setting.path("state"));
    let mut arguments = vec![
        "segment", scan, "--model", wrong, "--out", &out, "--state", &state,
    ];
    arguments.extend(on_gpu);
    let ran = nephrobox(&arguments);
    assert_eq!(ran.code, Some(5), "{}", ran.errors);
    let differ = truth.iter().filter(|&&label| label != 0).count();
    let told = format!("{differ} pixels of the package's own slices");
    assert!(ran.errors.contains(&told), "{}", ran.errors);
    assert!(!Path::new(&out).exists());
}

/// What cannot be had is one error of three lines, the code for devices, and no panic.
#[test]
fn what_is_not_there_is_refused_in_a_sentence() {
    let setting = Setting::new();
    let home = setting.home.path();
    let scan = raw_scan(Order::KITS, Declared::Sform).save(home.join("phantom.nii.gz"));
    let model = save_model(home);
    let [scan, model] = [&scan, &model].map(|path| path.to_str().expect("a plain path").to_owned());
    let (out, state) = (setting.path("out"), setting.path("state"));
    let refused = |more: &[&str], code: i32, word: &str| {
        let mut arguments = vec!["segment", &scan, "--model", &model, "--out", &out];
        arguments.extend(more);
        let ran = nephrobox(&arguments);
        assert_eq!(ran.code, Some(code), "{}", ran.errors);
        assert!(
            ran.errors.starts_with("error: ") && ran.errors.trim_end().lines().count() == 3,
            "{}",
            ran.errors
        );
        assert!(ran.errors.contains(word), "{}", ran.errors);
        assert!(!Path::new(&out).exists());
    };
    if cfg!(not(feature = "cuda")) {
        refused(
            &["--device", "cuda", "--state", &state],
            5,
            "--features cuda",
        );
    }
    refused(&["--device", "cpu", "--arithmetic", "f16"], 5, "f16");
    let no_folder = format!("{scan}/state");
    refused(&["--device", "webgpu", "--state", &no_folder], 6, "--state");
}
