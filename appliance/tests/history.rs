//! The last study of a patient among the results on the box.

#[path = "support/body.rs"]
mod body;

use body::Patient;
use nephrobox::history;
use nephrobox::spool::{Begin, Incoming, ScanId, Settings, Spool};
use nephrobox::storage::Folder;
use nephrobox_shared::report::Report;
use tempfile::TempDir;

struct Bedside {
    _home: TempDir,
    spool: Spool<Folder>,
}

impl Bedside {
    fn new() -> Self {
        let home = TempDir::new().expect("a folder");
        let storage = Folder::open(&home.path().join("spool")).expect("a folder");
        let settings = Settings {
            floor_bytes: 0,
            ..Settings::default()
        };
        let (spool, _) = Spool::open(storage, settings).expect("a start");
        Self { _home: home, spool }
    }

    /// Puts a scan through the queue with this as its report.
    fn finish(&self, content: &[u8], report: &[u8]) -> ScanId {
        let incoming = Incoming {
            bytes: content.len() as u64,
            blake3: blake3::hash(content),
            file_name: "scan.nii".into(),
            source: "test".into(),
            fast: false,
        };
        let Begin::Receive { id, .. } = self.spool.begin(&incoming).expect("room") else {
            panic!("it is new");
        };
        self.spool.write(id, 0, content).expect("written");
        self.spool.finish(id).expect("whole");
        let work = self.spool.next().expect("a disk").expect("a scan");
        std::fs::create_dir_all(&work.results).expect("a folder");
        std::fs::write(work.results.join("report.json"), report).expect("written");
        self.spool.finished(work.id).expect("finished");
        id
    }

    fn finish_report(&self, content: &str, report: &Report) -> ScanId {
        self.finish(
            content.as_bytes(),
            &serde_json::to_vec(report).expect("JSON"),
        )
    }
}

fn of(date: &str, id: &str) -> Report {
    let mut report = Patient::BEFORE.report();
    let subject = report.subject.as_mut().expect("a subject");
    subject.study_date = date.into();
    subject.study_uid = format!("2.25.{date}");
    subject.series_uid = String::new();
    subject.patient_id = id.into();
    report
}

#[test]
fn the_latest_earlier_study_of_the_same_patient_is_found() {
    let place = Bedside::new();
    let latest = place.finish_report("b", &of("20250912", "P-00017"));
    place.finish_report("a", &of("20240101", "P-00017"));
    place.finish_report("other patient", &of("20260101", "P-00018"));
    place.finish_report("later", &of("20270101", "P-00017"));
    place.finish(b"damaged", b"{\"subject\":");
    place.finish(b"nobody's", b"{\"subject\":null}");

    let now = Patient::NOW.report();
    let this = place.finish_report("this", &now);
    let change = history::last(&place.spool, this, &now).expect("an earlier study");
    assert_eq!(change.scan, latest.to_string());
    assert_eq!(
        (change.study_date.as_str(), change.days),
        ("20250912", Some(170))
    );
    assert!(change.same_model);
    let before = Patient::BEFORE.report();
    let [earlier, later] = [&before, &now].map(|report| report.findings.sides.right);
    let tumour = change.sides.right.tumour_volume;
    assert_eq!(tumour.earlier_ml, earlier.tumour_volume_ml);
    assert_eq!(tumour.later_ml, later.tumour_volume_ml);
    assert_eq!(change.sides.left.tumour_volume.difference_ml, 0.0);
    let diameter = change.sides.right.tumour_in_plane_diameter;
    assert!(
        diameter.expect("a tumour in both").difference_mm > 5.0,
        "{diameter:?}"
    );
}

#[test]
fn of_several_scans_of_the_last_study_the_one_that_came_last_counts() {
    let place = Bedside::new();
    place.finish_report("first", &of("20250912", "P-00017"));
    let second = place.finish_report("second", &of("20250912", "P-00017"));
    let now = Patient::NOW.report();
    let this = place.finish_report("this", &now);
    let change = history::last(&place.spool, this, &now).expect("an earlier study");
    assert_eq!(change.scan, second.to_string());
}

/// Shows RQ-13.
#[test]
fn without_a_patient_a_date_or_an_earlier_study_nothing_is_told() {
    let place = Bedside::new();
    place.finish_report("a", &of("20250912", "P-00017"));
    let this = place.finish_report("this", &Patient::NOW.report());
    let told = |change: &dyn Fn(&mut Report)| {
        let mut report = Patient::NOW.report();
        change(&mut report);
        history::last(&place.spool, this, &report).is_some()
    };
    assert!(told(&|_| {}));
    assert!(!told(&|report| report.subject = None));
    let subject = |report: &mut Report| report.subject.take().expect("a subject");
    assert!(!told(&|report| {
        let mut one = subject(report);
        one.patient_id = " ".into();
        report.subject = Some(one);
    }));
    assert!(!told(&|report| {
        let mut one = subject(report);
        one.study_date = String::new();
        report.subject = Some(one);
    }));
    assert!(!told(&|report| {
        let mut one = subject(report);
        one.birth_date = "19560705".into();
        report.subject = Some(one);
    }));
    assert!(!told(&|report| {
        let mut one = subject(report);
        one.study_uid = "2.25.20250912".into();
        report.subject = Some(one);
    }));
}

#[test]
fn a_report_is_read_from_its_file_or_its_folder_and_nothing_else() {
    let home = TempDir::new().expect("a folder");
    let report = Patient::BEFORE.report();
    let file = home.path().join("report.json");
    std::fs::write(&file, serde_json::to_vec(&report).expect("JSON")).expect("written");
    assert_eq!(history::read(&file).expect("a report"), report);
    assert_eq!(history::read(home.path()).expect("a report"), report);
    std::fs::write(&file, b"[1, 2]").expect("written");
    let refused = history::read(home.path()).expect_err("no report");
    assert!(
        refused.told.what.contains("no report of nephrobox"),
        "{refused}"
    );
    assert!(history::read(&home.path().join("nowhere")).is_err());
}
