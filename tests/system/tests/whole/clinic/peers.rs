//! The box before others' programs: dcmtk, dicom3tools, Orthanc, highdicom, poppler. Each test says so and passes where one is missing.
//!
//! `apt install dcmtk dicom3tools orthanc poppler-utils` and `pip install highdicom pydicom`. Real HU from `../shared/data/ct-volumes`
//! where that is; the phantom's else.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use dicom_core::VR;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use nephrobox_imaging::{LabelReader, ScanReader};
use nephrobox_link::client::Client;
use nephrobox_system::file;

use super::{Clinic, TestArchive, free_port, named, phantom};
use crate::series::{SUPINE, SliceFile, of};
use crate::support::{PATIENCE, flash, result, status};

/// What the box leaves for an archive.
const OBJECTS: [&str; 4] = [
    "segmentation.dcm",
    "measurements.dcm",
    "picture.dcm",
    "document.dcm",
];

/// Runs a program; `None`, with a word about it, if it is not there.
fn run(program: &str, arguments: &[&str]) -> Option<Output> {
    match Command::new(program).args(arguments).output() {
        Ok(output) => Some(output),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            eprintln!("skipped: {program} is not installed");
            None
        }
        Err(error) => panic!("{program}: {error}"),
    }
}

fn succeeds(program: &str, arguments: &[&str]) -> Option<String> {
    let output = run(program, arguments)?;
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    Some(said)
}

/// A series of real HU, as a scanner with 16 bits makes it; the phantom's where there is no real one.
fn real(case: &str, series: &str) -> Vec<SliceFile> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/ct-volumes");
    let path = data.join(case).join("imaging.nii.gz");
    if !path.is_file() {
        eprintln!("../shared is not here: the phantom's series instead of a real one");
        return phantom([false; 3], series);
    }
    let mut scan = ScanReader::open(&path).expect("a scan");
    let shape @ [slices, rows, cols] = scan.geometry().shape();
    let spacing = scan.geometry().spacing();
    let mut truth = vec![0; slices * rows * cols];
    for (slice, out) in truth.chunks_mut(rows * cols).enumerate() {
        scan.read_slice(slice, out).expect("a slice");
    }
    let mut slices = of(
        SUPINE,
        shape,
        [spacing.slice_mm, spacing.row_mm, spacing.col_mm],
        scan.geometry().position([0.0; 3]),
        &|[s, r, c]| truth[(s * rows + r) * cols + c],
    );
    for (slice, hu) in slices.iter_mut().zip(truth.chunks(rows * cols)) {
        slice.bits(16, 16, false);
        let stored: Vec<u16> = hu.iter().map(|&hu| (i32::from(hu) + 8192) as u16).collect();
        slice.pixels(&stored);
        slice.text(tags::RESCALE_INTERCEPT, VR::DS, "-8192");
    }
    named(slices, series)
}

/// Exchanges the small model for the bundled one, which knows real scans.
fn with_the_bundled_model(clinic: &Clinic, client: &mut Client) {
    let signed = clinic.home.path("bundled.nbx");
    let bundled = file("models/demo-resnet18.nbx").expect("the bundled model");
    let key = clinic.home.rig.key();
    let sign = [
        "sign".as_ref(),
        bundled.as_os_str(),
        "--key".as_ref(),
        key.as_os_str(),
        "--out".as_ref(),
        signed.as_os_str(),
    ];
    clinic.home.rig.tool(sign).expect("signed");
    assert!(flash(client, &signed).is_ok_and(|good| good));
}

/// Waits until so many scans have a report, and returns their ids.
fn scans(client: &mut Client, count: usize) -> Vec<String> {
    let until = Instant::now() + PATIENCE;
    loop {
        let state = status(client);
        assert_eq!(state["counters"]["failed"], 0, "{state}");
        let results = state["results"].as_array().expect("a list");
        if results.len() >= count {
            let ids = results.iter().map(|one| one["scan"].as_str());
            return ids.map(|id| id.expect("an id").to_owned()).collect();
        }
        assert!(Instant::now() < until, "{state}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Writes the results of a scan into a folder.
fn fetch(client: &mut Client, id: &str, folder: &Path) {
    fs::create_dir_all(folder).expect("a folder");
    for name in OBJECTS
        .iter()
        .chain(&["report.json", "labels.nii.gz", "report.pdf"])
    {
        fs::write(folder.join(name), result(client, id, name)).expect("written");
    }
}

/// Objects in a folder before dicom3tools, highdicom and poppler; the series lies in `images`, and `found` says whether something is outlined.
fn judged(folder: &Path, images: &Path, found: bool) {
    for name in OBJECTS {
        let path = folder.join(name);
        let Some(output) = run("dciodvfy", &[path.to_str().expect("a path")]) else {
            break;
        };
        let said = String::from_utf8_lossy(&output.stderr);
        let errors: Vec<_> = said
            .lines()
            .filter(|line| line.starts_with("Error"))
            .collect();
        assert!(errors.is_empty(), "{name}: {errors:#?}");
    }
    // The label map as raw bytes, slice by slice from the head, for a program that reads no NIfTI.
    let mut labels = LabelReader::open(folder.join("labels.nii.gz")).expect("labels");
    let pixels = labels.geometry().slice_len();
    let mut slice = vec![0; pixels];
    let mut raw = vec![0; pixels * labels.geometry().slices()];
    while let Some(index) = labels.next_slice(&mut slice).expect("a slice") {
        raw[index * pixels..][..pixels].copy_from_slice(&slice);
    }
    fs::write(folder.join("labels.raw"), raw).expect("written");
    let there = run("python3", &["-c", "import highdicom"]);
    if there.is_some_and(|output| output.status.success()) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/whole/clinic/peers.py");
        let [script, folder, images] =
            [&script, folder, images].map(|path| path.to_str().expect("a path"));
        let said = succeeds("python3", &[script, folder, images]).unwrap_or_default();
        let numbers = ["volume_ml", "in_plane_diameter_mm"];
        assert_eq!(
            numbers.iter().all(|one| said.contains(one)),
            found,
            "{said}"
        );
    } else {
        eprintln!("skipped: python3 has no highdicom");
    }
    let pdf = folder.join("report.pdf");
    let png = folder.join("page");
    let [pdf, png] = [&pdf, &png].map(|path| path.to_str().expect("a path"));
    if succeeds("pdftoppm", &["-png", "-r", "70", pdf, png]).is_some() {
        assert!(folder.join("page-1.png").is_file() && !folder.join("page-2.png").exists());
    }
    // For people to look at.
    if let Some(kept) = std::env::var_os("NEPHROBOX_KEEP_RESULTS") {
        let kept = PathBuf::from(kept);
        fs::create_dir_all(&kept).expect("a folder");
        for entry in fs::read_dir(folder).expect("a folder") {
            let entry = entry.expect("an entry");
            fs::copy(entry.path(), kept.join(entry.file_name())).expect("copied");
        }
    }
}

#[test]
fn dcmtk_echoes_and_stores_series_and_the_judges_find_no_error_in_the_results() {
    let (clinic, mut client) = Clinic::running("");
    let port = clinic.port.to_string();
    let to = ["-aet", "CT1", "-aec", "NEPHROBOX", "127.0.0.1", &port];
    if succeeds("echoscu", &to).is_none() {
        return;
    }
    // Two kidneys and a tumour that the small model finds, then real HU for the bundled one.
    for (count, name) in ["phantom", "real"].into_iter().enumerate() {
        if name == "phantom" {
            clinic.series(name, &phantom([false; 3], "2.25.550010"));
        } else {
            with_the_bundled_model(&clinic, &mut client);
            clinic.series(name, &real("case_totalseg", "2.25.550011"));
        }
        let images = clinic.home.path(name);
        let arguments = [&to[..], &["+sd", "+r", images.to_str().expect("a path")]].concat();
        succeeds("storescu", &arguments);
        let ids = scans(&mut client, count + 1);
        let folder = clinic.home.path(&format!("{name} results"));
        fetch(&mut client, &ids[0], &folder);
        judged(&folder, &images, name == "phantom");
    }
}

#[test]
fn dcmtk_may_not_store_under_a_title_that_is_not_on_the_list() {
    let (clinic, client) = Clinic::running("");
    drop(client);
    let files = clinic.series("series", &phantom([false; 3], "2.25.550022"));
    let port = clinic.port.to_string();
    let file = files[0].to_str().expect("a path");
    let to = ["-aet", "STRANGER", "-aec", "NEPHROBOX", "127.0.0.1", &port];
    if succeeds("echoscu", &to).is_none() {
        return;
    }
    let stored = run("storescu", &[&to[..], &[file]].concat()).expect("run");
    assert!(!stored.status.success());
}

/// An Orthanc of its own, with its web service and a folder.
struct Orthanc {
    process: Child,
    http: u16,
}

impl Drop for Orthanc {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Orthanc {
    /// `None`, with a word about it, if it is not there.
    fn start(folder: &Path, dicom: u16, box_port: u16) -> Option<Self> {
        let http = free_port();
        fs::create_dir_all(folder).expect("a folder");
        let settings = serde_json::json!({
            "Name": "archive",
            "StorageDirectory": folder.join("storage"),
            "IndexDirectory": folder.join("storage"),
            "DicomAet": "ORTHANC",
            "DicomPort": dicom,
            "HttpPort": http,
            "RemoteAccessAllowed": false,
            "AuthenticationEnabled": false,
            "DicomModalities": { "box": ["NEPHROBOX", "127.0.0.1", box_port] },
            "Plugins": [],
        });
        let path = folder.join("orthanc.json");
        fs::write(&path, settings.to_string()).expect("written");
        let log = fs::File::create(folder.join("orthanc.log")).expect("a log");
        let started = Command::new("Orthanc")
            .arg(&path)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        let process = match started {
            Ok(process) => process,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                eprintln!("skipped: Orthanc is not installed");
                return None;
            }
            Err(error) => panic!("Orthanc: {error}"),
        };
        let mut orthanc = Self { process, http };
        let until = Instant::now() + PATIENCE;
        while orthanc.get("/system").is_none() {
            let ended = orthanc.process.try_wait().expect("a process");
            assert!(
                ended.is_none() && Instant::now() < until,
                "Orthanc: {ended:?}"
            );
            std::thread::sleep(Duration::from_millis(100));
        }
        Some(orthanc)
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.http)
    }

    fn bytes(&self, path: &str) -> Option<Vec<u8>> {
        let mut answer = ureq::get(self.url(path)).call().ok()?;
        answer
            .body_mut()
            .with_config()
            .limit(1 << 30)
            .read_to_vec()
            .ok()
    }

    fn get(&self, path: &str) -> Option<serde_json::Value> {
        serde_json::from_slice(&self.bytes(path)?).ok()
    }

    fn post(&self, path: &str, body: &[u8]) -> serde_json::Value {
        let mut answer = ureq::post(self.url(path)).send(body).expect("an answer");
        let bytes = answer.body_mut().read_to_vec().expect("a body");
        serde_json::from_slice(&bytes).expect("JSON")
    }

    /// Instances of a modality.
    fn instances(&self, modality: &str) -> Vec<String> {
        let question =
            serde_json::json!({ "Level": "Instance", "Query": { "Modality": modality } });
        let found = self.post("/tools/find", question.to_string().as_bytes());
        let ids = found.as_array().expect("a list").iter();
        ids.map(|id| id.as_str().expect("an id").to_owned())
            .collect()
    }
}

/// Every value is the same; how long sequences say they are may differ.
fn assert_same(one: &InMemDicomObject, other: &InMemDicomObject, within: &str) {
    let tags = |object: &InMemDicomObject| {
        object
            .iter()
            .map(|one| one.header().tag)
            .collect::<Vec<_>>()
    };
    assert_eq!(tags(one), tags(other), "{within}");
    for (one, other) in one.iter().zip(other) {
        let place = format!("{within} {}", one.header().tag);
        match (one.items(), other.items()) {
            (Some(ones), Some(others)) => {
                assert_eq!(ones.len(), others.len(), "{place}");
                for (one, other) in ones.iter().zip(others) {
                    assert_same(one, other, &place);
                }
            }
            _ => assert!(one.to_bytes().ok() == other.to_bytes().ok(), "{place}"),
        }
    }
}

#[test]
fn orthanc_forwards_a_real_series_and_has_the_results_in_the_same_study() {
    let archive_port = free_port();
    let section =
        format!("[[archive]]\naddress = \"127.0.0.1:{archive_port}\"\nae_title = \"ORTHANC\"\n");
    let (clinic, mut client) = Clinic::running(&section);
    let folder = clinic.home.path("orthanc");
    let Some(orthanc) = Orthanc::start(&folder, archive_port, clinic.port) else {
        return;
    };
    with_the_bundled_model(&clinic, &mut client);
    let files = clinic.series("series", &real("case_chest", "2.25.660011"));
    for file in &files {
        orthanc.post("/instances", &fs::read(file).expect("a file"));
    }
    let series = orthanc.get("/series").expect("a list");
    let series = series[0].as_str().expect("one series").to_owned();
    orthanc.post("/modalities/box/store", series.as_bytes());

    let until = Instant::now() + PATIENCE;
    for modality in ["SEG", "SR", "OT", "DOC"] {
        while orthanc.instances(modality).is_empty() {
            let words = clinic.home.rig.last_words();
            assert!(
                Instant::now() < until,
                "no {modality}; the box said:\n{words}"
            );
            std::thread::sleep(Duration::from_millis(200));
        }
    }
    let studies = orthanc.get("/studies").expect("a list");
    assert_eq!(studies.as_array().map(Vec::len), Some(1), "one study");
    // What the archive has is what the box made, to the last value.
    let ids = scans(&mut client, 1);
    let fetched = clinic.home.path("fetched");
    fetch(&mut client, &ids[0], &fetched);
    for (modality, name) in ["SEG", "SR", "OT", "DOC"].iter().zip(OBJECTS) {
        let instance = &orthanc.instances(modality)[0];
        let bytes = orthanc.bytes(&format!("/instances/{instance}/file"));
        let kept = fetched.join(format!("kept-{name}"));
        fs::write(&kept, bytes.expect("an object")).expect("written");
        let [kept, made] = [&kept, &fetched.join(name)].map(|path| {
            let object = dicom_object::open_file(path).expect("an object");
            object.into_inner()
        });
        assert_same(&kept, &made, name);
    }
    judged(&fetched, &clinic.home.path("series"), false);
}

#[test]
fn storescp_of_dcmtk_gets_the_results() {
    let port = free_port();
    let (clinic, mut client) = Clinic::running(&TestArchive::section(port));
    let kept = clinic.home.path("kept");
    fs::create_dir(&kept).expect("a folder");
    let started = Command::new("storescp")
        .args(["--accept-all", "-aet", "ARCHIVE", "-od"])
        .arg(&kept)
        .arg(port.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let mut storescp = match started {
        Ok(process) => process,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            eprintln!("skipped: storescp is not installed");
            return;
        }
        Err(error) => panic!("storescp: {error}"),
    };
    let files = clinic.series("series", &phantom([false; 3], "2.25.550033"));
    clinic.store(&files);
    let ids = scans(&mut client, 1);
    let until = Instant::now() + PATIENCE;
    while fs::read_dir(&kept).expect("a folder").count() < 4 {
        let words = clinic.home.rig.last_words();
        assert!(Instant::now() < until, "the box said:\n{words}");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(ids.len(), 1);
    storescp.kill().expect("a process");
    storescp.wait().expect("a process");
}
