//! The page as picture and document: one page, the words of the text, nothing that runs over, the same bytes each time.

#[path = "support/body.rs"]
mod body;

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use body::{Patient, flagged, overfull};
use image::RgbImage;
use nephrobox::page;
use nephrobox::sheet::{self, DPI, PAGE, Sheet};
use nephrobox_shared::report::{Report, Severity, Subject, Warning};
use tempfile::TempDir;

fn draw(patient: Patient, report: &Report) -> Sheet {
    let sheet = sheet::draw(report, &patient.pictures(report)).expect("drawn");
    let pixels = image::load_from_memory(&sheet.png)
        .expect("a PNG")
        .to_rgb8();
    assert_eq!(pixels, sheet.pixels);
    let [width, height] = PAGE.map(|points| (points * DPI / 72.0).round() as u32);
    assert_eq!(pixels.dimensions(), (width, height));
    assert_one_page(&sheet.pdf);
    sheet
}

fn assert_one_page(pdf: &[u8]) {
    assert!(pdf.starts_with(b"%PDF-1."), "a PDF");
    let text = String::from_utf8_lossy(pdf);
    let pages = text.matches("/Type /Page").count() - text.matches("/Type /Pages").count();
    let packed = text.matches("/Type/Page").count() - text.matches("/Type/Pages").count();
    assert_eq!(pages + packed, 1, "one page");
}

/// The PDF's text as poppler reads it; `None`, and a word about it, where poppler is not installed.
fn text(pdf: &[u8]) -> Option<String> {
    let home = TempDir::new().expect("a folder");
    let file = home.path().join("report.pdf");
    fs::write(&file, pdf).expect("written");
    let Ok(run) = Command::new("pdftotext")
        .arg("-layout")
        .arg(&file)
        .arg("-")
        .output()
    else {
        eprintln!("SKIPPED: pdftotext is not installed (Debian: poppler-utils)");
        return None;
    };
    assert!(
        run.status.success(),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
    Some(String::from_utf8(run.stdout).expect("UTF-8"))
}

/// What is drawn outside the margins of the page must be white.
fn assert_margins_are_white(pixels: &RgbImage) {
    let (width, height) = pixels.dimensions();
    let (across, down) = (width * 38 / 595, height * 24 / 842);
    for (x, y, pixel) in pixels.enumerate_pixels() {
        let outside = x < across || x >= width - across || y < down || y >= height - down;
        assert!(
            !outside || pixel.0 == [255; 3],
            "something is drawn at {x}, {y}"
        );
    }
}

/// Words and numbers, without what only sets a page of text: marks, rules, and the areas of slices, which are drawn as a chart.
fn words(text: &str) -> BTreeSet<String> {
    let text = text.replace('…', " ");
    text.split(|character: char| !(character.is_alphanumeric() || ".%²~".contains(character)))
        .map(|word| word.trim_matches('.').to_lowercase())
        .filter(|word| !word.is_empty())
        .collect()
}

#[test]
fn the_document_says_what_the_text_says() {
    for (patient, report) in [
        (Patient::NOW, Patient::NOW.report_with_change()),
        (Patient::NOW, flagged()),
        (Patient::EMPTY, Patient::EMPTY.report()),
    ] {
        let sheet = draw(patient, &report);
        assert_margins_are_white(&sheet.pixels);
        let Some(drawn) = text(&sheet.pdf) else {
            return;
        };
        let drawn_words = words(&drawn);
        let page = page::write(&report);
        let table = page.split("AREAS BY SLICE").next().expect("a page");
        let rest = page.split("\nSCAN\n").nth(1).expect("small print");
        // Hashes are cut short in the drawing.
        let hash = |word: &String| word.len() == 64 && drawn.contains(&word[..32]);
        // Its last line speaks of the text alone, and marks stand for a title in the drawing.
        let own = [
            "docs",
            "report.md",
            "explains",
            "every",
            "field",
            "warnings",
        ];
        let missing: Vec<_> = words(&format!("{table}\n{rest}"))
            .into_iter()
            .filter(|word| !drawn_words.contains(word) && !hash(word))
            .filter(|word| !own.contains(&word.as_str()))
            .collect();
        assert!(
            missing.is_empty(),
            "{missing:?} of\n{page}\nis not in\n{drawn}"
        );
        // Rows of tables keep their cells together, in their order.
        let tables = table.split("\nRESULTS").nth(1).expect("results");
        let tables = tables.split("\nSCAN\n").next().expect("tables");
        let mut rows = 0;
        for row in tables.lines().skip(1).filter(|line| line.starts_with("  ")) {
            let cells = row.split("  ").map(str::trim);
            let cells: Vec<_> = cells.filter(|cell| !["", "-"].contains(cell)).collect();
            let holds = |line: &str| {
                let mut rest = line;
                cells.iter().all(|cell| match rest.split_once(cell) {
                    Some((_, after)) => {
                        rest = after;
                        true
                    }
                    None => false,
                })
            };
            assert!(drawn.lines().any(holds), "{cells:?} is no line of\n{drawn}");
            rows += usize::from(cells.len() > 1);
        }
        let found = report.findings.peak_tumour_slice.is_some();
        assert!(!found || rows >= 12, "{rows} rows were looked at");
    }
}

#[test]
fn the_page_is_drawn_and_its_pictures_show() {
    let report = Patient::NOW.report_with_change();
    let with = draw(Patient::NOW, &report);
    let dark = |pixels: &RgbImage| {
        pixels
            .pixels()
            .filter(|pixel| pixel.0.iter().all(|&value| value < 60))
            .count()
    };
    let without = sheet::draw(&report, &[]).expect("drawn without pictures");
    let [with, without] = [dark(&with.pixels), dark(&without.pixels)];
    assert!(
        without > 2_000,
        "{without} dark pixels are not the words of a page"
    );
    assert!(
        with > 3 * without,
        "{with} dark pixels with pictures, {without} without"
    );
}

#[test]
fn the_same_report_gives_the_same_bytes() {
    let report = flagged();
    let [one, other] = [draw(Patient::NOW, &report), draw(Patient::NOW, &report)];
    assert!(one.png == other.png && one.pdf == other.pdf);
    let mut later = report;
    later.timing.total_s += 1.0;
    assert!(
        draw(Patient::NOW, &later).pdf != one.pdf,
        "the bytes do depend on the report"
    );
}

#[test]
fn a_name_that_is_markup_is_a_name() {
    let mut report = Patient::NOW.report();
    let name = "<script>x</script> &\"'\u{1b}[31m\u{0}\u{fffe}]]>";
    let subject = report.subject.as_mut().expect("a subject");
    subject.patient_name = name.into();
    subject.study_description = "<image href=\"/etc/passwd\"/>".into();
    report.input.file = "a\nb<&>.nii".into();
    report.warnings.push(Warning {
        code: "x".into(),
        severity: Severity::Caution,
        message: "</text></svg>".into(),
    });
    let sheet = draw(Patient::NOW, &report);
    assert_margins_are_white(&sheet.pixels);
    assert!(!page::write(&report).contains('\u{1b}'));
    let Some(text) = text(&sheet.pdf) else { return };
    for part in ["<script>x</script>", "&\"'", "</text></svg>", "a b<&>.nii"] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
}

#[test]
fn nothing_runs_over_however_much_there_is() {
    let report = overfull();
    let sheet = draw(Patient::NOW, &report);
    assert_margins_are_white(&sheet.pixels);
    let page = page::write(&report);
    assert!(page.lines().count() <= page::LINES, "{page}");
    assert!(
        page.lines().all(|line| line.chars().count() <= 80),
        "{page}"
    );
    let Some(text) = text(&sheet.pdf) else { return };
    assert!(
        text.contains("more kinds of warning, in report.json"),
        "{text}"
    );
    assert!(text.contains("of 30; all are in report.json"), "{text}");
    assert!(
        text.contains("Kidney volume, mL"),
        "the numbers are all there\n{text}"
    );
    assert!(text.contains("Test split"), "{text}");
}

/// Shows RQ-10.
#[test]
fn a_scan_without_patient_or_findings_has_its_page() {
    let mut report = Patient::EMPTY.report();
    report.subject = None;
    let sheet = draw(Patient::EMPTY, &report);
    assert_margins_are_white(&sheet.pixels);
    let Some(text) = text(&sheet.pdf) else { return };
    for part in [
        "no identity",
        "FLAGGED: 1 serious",
        "No kidney and no tumour was outlined",
        "Nothing was outlined.",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
}

/// Shows RQ-32.
#[test]
fn a_flagged_report_says_so_before_its_numbers() {
    let Some(text) = text(&draw(Patient::NOW, &flagged()).pdf) else {
        return;
    };
    let place = |part: &str| {
        text.find(part)
            .unwrap_or_else(|| panic!("{part} in\n{text}"))
    };
    assert!(place("FLAGGED: 2 serious") < place("reaches the first or last slice"));
    assert!(place("reaches the first or last slice") < place("Kidney volume, mL"));
    assert!(place("For research use only.") < place("FLAGGED"));
    assert!(
        text.matches("For research use only.").count() >= 2,
        "at the head and at the foot"
    );
}

#[test]
fn letters_of_every_kind_are_drawn_or_boxed_and_harm_nothing() {
    let odd = [
        "山田^太郎=やまだ^たろう",
        "محمد بن علي ١٢٣",
        "שלום עולם 123",
        "हिन्दी नाम",
        "👩‍⚕️🏥🇨🇭",
        "e\u{301}\u{302}\u{303}\u{304}\u{305}\u{306}\u{307}\u{308}\u{309}",
        "\u{200b}\u{200d}\u{feff}\u{ad}",
        "\u{e000}\u{f8ff}\u{10ffff}\u{fdd0}",
        "\u{202e}desrever\u{2066}",
        "ﬀﬁﬂﬃﬄ ſ ŉ ǆ",
        "\t\r\n\u{b}\u{c}\u{85}\u{2028}",
        "",
    ];
    let mut report = Patient::NOW.report();
    report.warnings = odd
        .iter()
        .enumerate()
        .map(|(index, odd)| Warning {
            code: format!("odd_{index}"),
            severity: Severity::Note,
            message: (*odd).into(),
        })
        .collect();
    report.subject = Some(Subject {
        patient_name: odd[0].into(),
        patient_id: odd[1].into(),
        study_description: odd[4].into(),
        accession_number: odd[7].into(),
        birth_date: odd[10].into(),
        ..Subject::default()
    });
    report.model.name = odd.concat();
    report.input.file = odd[8].into();
    let sheet = draw(Patient::NOW, &report);
    assert_margins_are_white(&sheet.pixels);
    let page = page::write(&report);
    assert!(
        !page.contains(['\u{202e}', '\u{2028}', '\t', '\u{b}']),
        "{page}"
    );
    let Some(text) = text(&sheet.pdf) else { return };
    assert!(text.contains("Kidney volume, mL"), "{text}");
}
