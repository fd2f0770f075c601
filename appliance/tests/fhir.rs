//! The FHIR bundle against the structure of release 4: elements, how often, of what type; references; codes and numbers.

#[path = "support/body.rs"]
mod body;

use std::collections::BTreeSet;

use body::{Patient, flagged};
use nephrobox::fhir;
use nephrobox_shared::report::Report;
use serde_json::Value;

/// An element: its name, its type, how often at least, and whether it is an array.
type Element = (&'static str, &'static str, usize, bool);

const ONE: usize = 1;
const ANY: usize = 0;

/// Of <https://hl7.org/fhir/R4/>, the elements that the bundle uses. A type that is not here is primitive. An element that is not here
/// is refused, whether or not FHIR knows it.
const TYPES: &[(&str, &[Element])] = &[
    (
        "Bundle",
        &[
            ("resourceType", "code", ONE, false),
            ("type", "code", ONE, false),
            ("entry", "Entry", ANY, true),
        ],
    ),
    (
        "Entry",
        &[
            ("fullUrl", "uri", ONE, false),
            ("resource", "Resource", ONE, false),
        ],
    ),
    (
        "DiagnosticReport",
        &[
            ("resourceType", "code", ONE, false),
            ("text", "Narrative", ANY, false),
            ("basedOn", "Reference", ANY, true),
            ("status", "code", ONE, false),
            ("category", "CodeableConcept", ANY, true),
            ("code", "CodeableConcept", ONE, false),
            ("subject", "Reference", ANY, false),
            ("effectiveDateTime", "dateTime", ANY, false),
            ("result", "Reference", ANY, true),
            ("imagingStudy", "Reference", ANY, true),
            ("conclusion", "string", ANY, false),
            ("presentedForm", "Attachment", ANY, true),
        ],
    ),
    (
        "Observation",
        &[
            ("resourceType", "code", ONE, false),
            ("status", "code", ONE, false),
            ("category", "CodeableConcept", ANY, true),
            ("code", "CodeableConcept", ONE, false),
            ("subject", "Reference", ANY, false),
            ("effectiveDateTime", "dateTime", ANY, false),
            ("valueQuantity", "Quantity", ANY, false),
            ("note", "Annotation", ANY, true),
            ("bodySite", "CodeableConcept", ANY, false),
            ("device", "Reference", ANY, false),
            ("derivedFrom", "Reference", ANY, true),
            ("component", "Component", ANY, true),
        ],
    ),
    (
        "Component",
        &[
            ("code", "CodeableConcept", ONE, false),
            ("valueQuantity", "Quantity", ANY, false),
            ("valueString", "string", ANY, false),
            ("valueInteger", "integer", ANY, false),
        ],
    ),
    (
        "Device",
        &[
            ("resourceType", "code", ONE, false),
            ("identifier", "Identifier", ANY, true),
            ("deviceName", "DeviceName", ANY, true),
            ("type", "CodeableConcept", ANY, false),
            ("version", "DeviceVersion", ANY, true),
            ("note", "Annotation", ANY, true),
        ],
    ),
    (
        "DeviceName",
        &[("name", "string", ONE, false), ("type", "code", ONE, false)],
    ),
    (
        "DeviceVersion",
        &[
            ("type", "CodeableConcept", ANY, false),
            ("value", "string", ONE, false),
        ],
    ),
    (
        "Narrative",
        &[("status", "code", ONE, false), ("div", "xhtml", ONE, false)],
    ),
    ("Annotation", &[("text", "markdown", ONE, false)]),
    (
        "Attachment",
        &[
            ("contentType", "code", ANY, false),
            ("url", "url", ANY, false),
            ("title", "string", ANY, false),
        ],
    ),
    (
        "CodeableConcept",
        &[
            ("coding", "Coding", ANY, true),
            ("text", "string", ANY, false),
        ],
    ),
    (
        "Coding",
        &[
            ("system", "uri", ANY, false),
            ("code", "code", ANY, false),
            ("display", "string", ANY, false),
        ],
    ),
    (
        "Quantity",
        &[
            ("value", "decimal", ANY, false),
            ("unit", "string", ANY, false),
            ("system", "uri", ANY, false),
            ("code", "code", ANY, false),
        ],
    ),
    (
        "Identifier",
        &[
            ("type", "CodeableConcept", ANY, false),
            ("system", "uri", ANY, false),
            ("value", "string", ANY, false),
            ("assigner", "Reference", ANY, false),
        ],
    ),
    (
        "Reference",
        &[
            ("reference", "string", ANY, false),
            ("type", "uri", ANY, false),
            ("identifier", "Identifier", ANY, false),
            ("display", "string", ANY, false),
        ],
    ),
];

/// Required bindings of codes.
const CODES: &[(&str, &[&str])] = &[
    ("Bundle.type", &["collection"]),
    (
        "DiagnosticReport.status",
        &["registered", "partial", "preliminary", "final"],
    ),
    (
        "Observation.status",
        &["registered", "preliminary", "final"],
    ),
    ("Narrative.status", &["generated"]),
    (
        "DeviceName.type",
        &["manufacturer-name", "model-name", "other"],
    ),
];

fn check(path: &str, kind: &str, value: &Value) {
    if kind == "Resource" {
        let kind = value["resourceType"]
            .as_str()
            .unwrap_or_else(|| panic!("{path} has no type"));
        assert!(
            ["DiagnosticReport", "Observation", "Device"].contains(&kind),
            "{path}: {kind}"
        );
        return check(path, kind, value);
    }
    let Some((_, elements)) = TYPES.iter().find(|(name, _)| *name == kind) else {
        return primitive(path, kind, value);
    };
    let fields = value
        .as_object()
        .unwrap_or_else(|| panic!("{path} is no {kind}: {value}"));
    assert!(!fields.is_empty(), "{path} is empty");
    for name in fields.keys() {
        assert!(
            elements.iter().any(|element| element.0 == name),
            "{path}.{name} is no element of {kind}"
        );
    }
    for &(name, of, least, many) in *elements {
        let place = format!("{path}.{name}");
        let Some(found) = fields.get(name) else {
            assert_eq!(least, 0, "{place} is missing");
            continue;
        };
        if let Some((_, codes)) = CODES
            .iter()
            .find(|(code, _)| *code == format!("{kind}.{name}"))
        {
            assert!(
                codes.contains(&found.as_str().unwrap_or_default()),
                "{place}: {found}"
            );
        }
        if many {
            let items = found
                .as_array()
                .unwrap_or_else(|| panic!("{place} is no array"));
            assert!(!items.is_empty(), "{place} is empty");
            for item in items {
                check(&place, of, item);
            }
        } else {
            check(&place, of, found);
        }
    }
    let values = fields
        .keys()
        .filter(|name| name.starts_with("value") && name.len() > 5);
    assert!(values.count() <= 1, "{path} has more than one value[x]");
}

fn primitive(path: &str, kind: &str, value: &Value) {
    match kind {
        "decimal" => assert!(value.is_number(), "{path}: {value}"),
        "integer" => assert!(value.is_i64(), "{path}: {value}"),
        _ => {
            let text = value
                .as_str()
                .unwrap_or_else(|| panic!("{path} is no {kind}: {value}"));
            assert!(!text.trim().is_empty(), "{path} is empty");
            let fits = match kind {
                "code" => text.trim() == text && !text.contains("  "),
                "uri" | "url" => !text.contains(char::is_whitespace),
                "dateTime" => text.len() == 10 && text.split('-').map(str::len).eq([4, 2, 2]),
                "xhtml" => {
                    text.starts_with("<div xmlns=\"http://www.w3.org/1999/xhtml\">")
                        && text.ends_with("</div>")
                }
                _ => true,
            };
            assert!(fits, "{path} is no {kind}: {text}");
        }
    }
}

/// Every `reference` within the bundle leads to one of its entries, and no entry is named twice.
fn check_references(bundle: &Value) {
    let entries = bundle["entry"].as_array().expect("entries");
    let urls: BTreeSet<_> = entries
        .iter()
        .map(|entry| entry["fullUrl"].as_str().expect("a url"))
        .collect();
    assert_eq!(urls.len(), entries.len(), "no two entries of one name");
    for url in &urls {
        let uuid = url.strip_prefix("urn:uuid:").expect("a UUID");
        assert!(
            uuid.split('-').map(str::len).eq([8, 4, 4, 4, 12]) && uuid.as_bytes()[14] == b'8',
            "{url}"
        );
    }
    let mut references = Vec::new();
    references_in(bundle, &mut references);
    assert!(references.len() > 10);
    for reference in references {
        assert!(urls.contains(reference), "{reference} is not in the bundle");
    }
}

/// Every reference within a value.
fn references_in<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("reference").and_then(Value::as_str));
            for value in fields.values() {
                references_in(value, found);
            }
        }
        Value::Array(items) => {
            for value in items {
                references_in(value, found);
            }
        }
        _ => {}
    }
}

fn reports() -> Vec<Report> {
    let mut nobody = Patient::EMPTY.report();
    nobody.subject = None;
    nobody.engine = None;
    let mut odd = Patient::NOW.report();
    let subject = odd.subject.as_mut().expect("a subject");
    subject.study_uid = "../etc".into();
    subject.study_date = "20261399".into();
    subject.patient_id = " ".into();
    subject.accession_number = String::new();
    odd.model.licence_notice = String::new();
    odd.model.name = "<a> & \u{1b}b".into();
    vec![Patient::NOW.report_with_change(), flagged(), nobody, odd]
}

#[test]
fn every_bundle_has_the_structure_of_release_4() {
    for report in reports() {
        let written = fhir::write(&report);
        let bundle: Value = serde_json::from_slice(&written).expect("JSON");
        check("Bundle", "Bundle", &bundle);
        check_references(&bundle);
        assert_eq!(written, fhir::write(&report), "the same bytes each time");
    }
}

#[test]
fn the_observations_are_the_reports_numbers() {
    let report = Patient::NOW.report_with_change();
    let bundle = fhir::bundle(&report);
    let observation = |words: &str| {
        let entries = bundle["entry"].as_array().expect("entries").iter();
        let mut found = entries
            .map(|entry| &entry["resource"])
            .filter(|resource| resource["code"]["text"] == words);
        let one = found
            .next()
            .unwrap_or_else(|| panic!("{words} is observed"));
        assert!(found.next().is_none(), "{words} once");
        one.clone()
    };
    let left = report.findings.sides.left;
    let kidney = observation("Volume of the kidney without its tumour, left");
    let value = kidney["valueQuantity"]["value"].as_f64().expect("a number");
    assert!((value - left.kidney_volume_ml).abs() <= 0.000_6);
    assert_eq!(kidney["valueQuantity"]["code"], "mL");
    assert_eq!(kidney["bodySite"]["coding"][0]["code"], "18639004");
    assert_eq!(kidney["effectiveDateTime"], "2026-03-01");
    assert_eq!(kidney["subject"]["identifier"]["value"], "P-00017");
    assert_eq!(
        kidney["derivedFrom"][0]["identifier"]["value"],
        "urn:oid:2.25.120260301"
    );

    let tumour = observation("Volume of the kidney's tumour, right");
    let difference = tumour["component"][1]["valueQuantity"]["value"]
        .as_f64()
        .expect("a difference");
    let change = report
        .change
        .as_ref()
        .expect("a change")
        .sides
        .right
        .tumour_volume;
    assert!((difference - change.difference_ml).abs() <= 0.000_6 && difference > 1.0);

    let tumours = report.findings.tumours.len();
    assert_eq!(tumours, 2);
    let first = &report.findings.tumours[0];
    let words = format!(
        "Kidney tumour 1 in slices {} to {}",
        first.first_slice, first.last_slice
    );
    let first = observation(&words);
    assert!(
        first.get("valueQuantity").is_none()
            && first["component"].as_array().expect("parts").len() >= 7
    );
    let text = serde_json::to_string(&bundle).expect("JSON");
    assert!(
        !text.contains("PHANTOM, PAULA") || text.contains("<pre>"),
        "a name stands in the narrative only"
    );
}

/// Shows RQ-32.
#[test]
fn the_report_says_that_it_is_for_research_and_flagged() {
    let bundle = fhir::bundle(&flagged());
    let report = &bundle["entry"][0]["resource"];
    assert_eq!(report["status"], "preliminary");
    let conclusion = report["conclusion"].as_str().expect("a conclusion");
    let lines: Vec<_> = conclusion.lines().collect();
    assert!(
        lines[0].starts_with("For research use only."),
        "{conclusion}"
    );
    assert!(lines[1].starts_with("FLAGGED: 2 serious"), "{conclusion}");
    assert!(lines[2].starts_with("serious: "), "{conclusion}");
    let results = report["result"].as_array().expect("results").len();
    let observations = bundle["entry"].as_array().expect("entries").len() - 2;
    assert_eq!(results, observations);
}
