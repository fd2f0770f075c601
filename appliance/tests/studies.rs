//! The shelf of studies: what its pages say, what they keep to themselves, and what a real browser makes of them.

#[path = "support/browser.rs"]
mod browser;
#[path = "support/shelf.rs"]
mod shelf;
mod support;

use browser::Browser;
use nephrobox_shared::class::Class;
use shelf::{NAME, PATIENT, Studies, ask, kept, of_every_kind, page, subject};

/// The patient's name as it stands in markup.
const SHOWN: &str = "&lt;b&gt;Doe&lt;/b&gt;, Jane";

#[tokio::test(flavor = "multi_thread")]
async fn the_list_has_every_kind_of_study_the_newest_first() {
    let (studies, ids) = of_every_kind();
    let address = studies.serve(true).await;
    let list = page(address, "/studies").await;
    let places: Vec<_> = ids
        .iter()
        .map(|id| list.find(&format!("href=\"/studies/{id}\"")))
        .collect();
    assert!(places.iter().all(Option::is_some), "{list}");
    assert!(places.is_sorted_by(|a, b| a > b), "{places:?}");
    for part in [
        SHOWN,
        PATIENT,
        "study of 2026-03-01",
        "✓ finished",
        "✗ not usable",
        "All voxels are 0.",
        "✗ set aside",
        "The report cannot be shown: it is damaged",
        "waiting",
        "35 % received",
        "1 serious",
    ] {
        assert!(list.contains(part), "{part} in {list}");
    }
    assert!(page(address, "/").await.contains("href=\"/studies\""));
}

/// Shows RQ-32.
#[tokio::test(flavor = "multi_thread")]
async fn a_study_says_the_most_serious_first_and_links_to_its_files() {
    let (studies, [reported, refused, _, damaged, waiting, _]) = of_every_kind();
    let address = studies.serve(true).await;
    let study = page(address, &format!("/studies/{reported}")).await;
    let place = |part: &str| {
        study
            .find(part)
            .unwrap_or_else(|| panic!("{part} in {study}"))
    };
    let serious = place("The values are hardly HU &amp; &lt;not&gt; a CT.");
    assert!(serious < place("Pixels are not square."), "{study}");
    assert!(serious < place("Kidney without tumour, mL"), "{study}");
    for part in [
        SHOWN,
        PATIENT,
        "1950-04-17",
        "CT abdomen",
        "threshold, version 7",
        "For research use only.",
    ] {
        place(part);
    }
    assert!(
        !study.contains("<title>Scan 00000001-") || !study[..200].contains("Doe"),
        "the browser's history gets no name"
    );
    for (name, kind, manner) in [
        ("overlay-tumour.png", "image/png", "inline"),
        ("report.txt", "text/plain; charset=utf-8", "inline"),
        ("report.json", "application/json", "inline"),
        ("labels.nii.gz", "application/gzip", "attachment"),
    ] {
        place(&format!("/studies/{reported}/{name}"));
        let (head, body) = ask(address, &format!("/studies/{reported}/{name}")).await;
        for line in [
            "HTTP/1.1 200 ",
            &format!("content-type: {kind}\r\n"),
            &format!("content-disposition: {manner}; filename=\"{reported}-{name}\"\r\n"),
            "cache-control: no-store\r\n",
            "content-security-policy: default-src 'none'",
        ] {
            assert!(head.contains(line), "{name}: {line} in {head}");
        }
        let written = std::fs::read(studies.result(reported, name)).expect("a result");
        assert_eq!(body, written, "{name}");
    }
    for (id, words) in [
        (refused, "All voxels are 0."),
        (damaged, "it is damaged"),
        (waiting, "once it has been worked on"),
    ] {
        let study = page(address, &format!("/studies/{id}")).await;
        assert!(study.contains(words), "{words} in {study}");
    }
}

/// Shows RQ-71.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_in_an_address_becomes_a_path() {
    let (studies, [id, refused, ..]) = of_every_kind();
    let address = studies.serve(true).await;
    for path in [
        "/studies/none".to_owned(),
        "/studies/99999999-00000000".to_owned(),
        "/studies/..%2f..%2fsequence".to_owned(),
        format!("/studies/{id}/record"),
        format!("/studies/{id}/..%2frecord"),
        format!("/studies/{id}/%2e%2e/record"),
        format!("/studies/{id}/report.json%00.png"),
        format!("/studies/{id}/fhir.json"),
        format!("/studies/{refused}/report.json"),
        format!("/studies/{id}/report.json/"),
    ] {
        let (head, body) = ask(address, &path).await;
        assert!(head.starts_with("HTTP/1.1 404 "), "{path}: {head}");
        assert!(!String::from_utf8_lossy(&body).contains("Doe"), "{path}");
    }
}

/// Shows RQ-68.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_is_not_to_say_whose_a_study_is_does_not() {
    let (studies, [id, ..]) = of_every_kind();
    let address = studies.serve(false).await;
    for path in ["/studies".to_owned(), format!("/studies/{id}")] {
        let page = page(address, &path).await;
        for part in ["Doe", PATIENT, "1950", "report.json", "report.txt"] {
            assert!(!page.contains(part), "{part} in {path}: {page}");
        }
        assert!(page.contains("/overlay-"), "its pictures are there: {page}");
    }
    for name in ["report.json", "report.txt", "report.pdf", "report.png"] {
        let (head, _) = ask(address, &format!("/studies/{id}/{name}")).await;
        assert!(head.starts_with("HTTP/1.1 404 "), "{name}: {head}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_list_has_pages() {
    let studies = Studies::new();
    let ids: Vec<_> = (0..30).map(|number| studies.accept(number)).collect();
    let address = studies.serve(true).await;
    for (query, holds, newer, older) in [
        ("", 18..30, None, Some(2)),
        ("?page=2", 6..18, Some(1), Some(3)),
        ("?page=3", 0..6, Some(2), None),
        ("?page=99999999999999999999", 18..30, None, Some(2)),
        ("?page=77", 0..6, Some(2), None),
        ("?page=0", 18..30, None, Some(2)),
    ] {
        let list = page(address, &format!("/studies{query}")).await;
        for (number, id) in ids.iter().enumerate() {
            let there = list.contains(&format!("href=\"/studies/{id}\""));
            assert_eq!(there, holds.contains(&number), "{query}: {id}");
        }
        let link = |page: Option<usize>, word: &str| match page {
            Some(page) => list.contains(&format!("href=\"/studies?page={page}\">{word}")),
            None => !list.contains(word),
        };
        assert!(link(newer, "← Newer") && link(older, "Older →"), "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_browser_shows_the_list_and_follows_a_link_to_a_study() {
    let Some(browser) = Browser::find() else {
        return;
    };
    let (studies, [id, ..]) = of_every_kind();
    let address = studies.serve(true).await;
    let folder = tempfile::tempdir().expect("a folder");
    let url = |path: &str| format!("http://{address}{path}");

    let list = browser.dom(&url("/studies")).await;
    assert!(list.contains(SHOWN), "the name is text, not markup: {list}");
    // The link as the browser has it.
    let link = list
        .split('"')
        .find(|part| *part == format!("/studies/{id}"))
        .expect("a link to the study");
    let study = browser.dom(&url(link)).await;
    assert!(study.contains(SHOWN) && study.contains(PATIENT), "{study}");
    assert!(!study.contains("<script"), "{study}");

    // On a computer, on a phone, in the dark: the outline of the tumour is on the picture, so it was fetched, decoded and drawn.
    for (name, path, (width, height), dark) in [
        ("list.png", "/studies", (1100, 1000), false),
        ("list-phone.png", "/studies", (390, 1400), false),
        ("list-dark.png", "/studies", (1100, 1000), true),
        ("study.png", link, (1100, 2000), false),
        ("study-phone.png", link, (390, 3600), false),
        ("study-dark.png", link, (1100, 2000), true),
    ] {
        let path_of_picture = kept(name, folder.path());
        let picture = browser
            .picture(&url(path), &path_of_picture, (width, height), dark)
            .await;
        let tumour = Class::Tumour.colour();
        let near = |pixel: &image::Rgb<u8>| {
            let far = pixel.0.iter().zip(tumour);
            far.map(|(a, b)| a.abs_diff(b)).max() < Some(45)
        };
        let outline = picture.pixels().filter(|pixel| near(pixel)).count();
        assert!(
            outline > 5,
            "{name}: {outline} pixels of the tumour's outline"
        );
    }
    assert_eq!(subject().patient_name, NAME);
}
