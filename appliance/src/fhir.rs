//! The report for programs that speak FHIR: a `Bundle` of release 4 with a `DiagnosticReport`, an `Observation` for each measure of each side
//! and for each tumour, and the `Device` that measured.
//!
//! Written from a [`Report`] alone, and always to the same bytes. Codes are SNOMED CT and LOINC where they name the thing itself, and words
//! beside them say more; units are UCUM. Patient, study and order are named by their identifiers only: the box keeps no register of them.
//! The status is `preliminary`: nobody has looked at it, and it is for research use only, which report, observations and device say.

use nephrobox_shared::measure::{Placement, Side};
use nephrobox_shared::moment;
use nephrobox_shared::report::{Report, SideFindings, Subject, TumourFindings, VolumeChange};
use serde_json::{Map, Value, json};

use crate::output;
use crate::sheet::content::{Content, clean};

const SNOMED: &str = "http://snomed.info/sct";
const LOINC: &str = "http://loinc.org";
const UCUM: &str = "http://unitsofmeasure.org";

/// A unit: how people write it, and how UCUM does.
type Unit = (&'static str, &'static str);
const MILLILITRE: Unit = ("mL", "mL");
const SQUARE_MILLIMETRE: Unit = ("mm²", "mm2");
const MILLIMETRE: Unit = ("mm", "mm");
const PERCENT: Unit = ("%", "%");

/// A code and what it means.
type Code = (&'static str, &'static str);
const VOLUME: Code = ("118565006", "Volume");
const AREA: Code = ("42798000", "Area");
const LONG_AXIS: Code = ("103339001", "Long axis");
const SHORT_AXIS: Code = ("103340004", "Short axis");

/// A measure of a side: its name in ids, its words, its code, its unit, its value.
type Measure = (
    &'static str,
    &'static str,
    Option<Code>,
    Unit,
    fn(&SideFindings) -> Option<f64>,
);

const MEASURES: [Measure; 8] = [
    (
        "kidney-volume",
        "Volume of the kidney without its tumour",
        Some(VOLUME),
        MILLILITRE,
        |side| Some(side.kidney_volume_ml),
    ),
    (
        "tumour-volume",
        "Volume of the kidney's tumour",
        Some(VOLUME),
        MILLILITRE,
        |side| Some(side.tumour_volume_ml),
    ),
    (
        "whole-volume",
        "Volume of the kidney with its tumour",
        Some(VOLUME),
        MILLILITRE,
        |side| Some(side.kidney_and_tumour_volume_ml),
    ),
    (
        "kidney-area",
        "Largest area of the kidney without its tumour in a transverse slice",
        Some(AREA),
        SQUARE_MILLIMETRE,
        |side| Some(side.kidney_largest_area_mm2),
    ),
    (
        "tumour-area",
        "Largest area of the kidney's tumour in a transverse slice",
        Some(AREA),
        SQUARE_MILLIMETRE,
        |side| Some(side.tumour_largest_area_mm2),
    ),
    (
        "kidney-part",
        "Part of both kidneys' volume, without tumour",
        None,
        PERCENT,
        |side| side.kidney_volume_percent,
    ),
    (
        "tumour-in-plane",
        "Largest diameter of a tumour in a transverse slice",
        Some(LONG_AXIS),
        MILLIMETRE,
        |side| side.tumour_in_plane_diameter_mm,
    ),
    (
        "tumour-in-space",
        "Largest diameter of a tumour in space",
        None,
        MILLIMETRE,
        |side| side.tumour_largest_diameter_mm,
    ),
];

/// The report as a FHIR bundle, as JSON with a line break at its end.
#[must_use]
pub fn write(report: &Report) -> Vec<u8> {
    let mut json = format!("{:#}", bundle(report)).into_bytes();
    json.push(b'\n');
    json
}

/// The bundle itself.
#[must_use]
pub fn bundle(report: &Report) -> Value {
    let shared = Shared::of(report);
    let mut observations = Vec::new();
    for side in Side::ALL {
        observations.extend(
            MEASURES
                .iter()
                .filter_map(|measure| shared.measure(report, side, measure)),
        );
    }
    let tumours = report.findings.tumours.iter().enumerate();
    observations.extend(tumours.map(|(index, tumour)| shared.tumour(index, tumour)));
    let results: Vec<Value> = observations
        .iter()
        .map(|(url, _)| json!({ "reference": url }))
        .collect();

    let mut entries = vec![
        (shared.url("report"), shared.report(report, &results)),
        (shared.device.clone(), device(report)),
    ];
    entries.extend(observations);
    let entries: Vec<Value> = entries
        .into_iter()
        .map(|(url, resource)| json!({ "fullUrl": url, "resource": resource }))
        .collect();
    pruned(json!({ "resourceType": "Bundle", "type": "collection", "entry": entries }))
        .unwrap_or_default()
}

/// What all resources name.
struct Shared {
    /// What ids are made from: the same scan, outlined by the same model in the same way.
    seed: String,
    device: String,
    notice: String,
    subject: Value,
    study: Value,
    effective: Value,
    order: Value,
}

impl Shared {
    fn of(report: &Report) -> Self {
        let scan = report.input.blake3.as_ref().unwrap_or(&report.input.file);
        let arithmetic = report.engine.as_ref().map(|engine| &engine.arithmetic);
        let seed = json!([scan, report.model.blake3, arithmetic, report.visited]).to_string();
        let named = report.subject.as_ref();
        Self {
            device: url(&seed, "device"),
            notice: clean(&report.notice),
            subject: named.map_or(Value::Null, patient),
            study: named.map_or(Value::Null, study),
            effective: named.map_or(Value::Null, |subject| date(&subject.study_date)),
            order: named.map_or(Value::Null, order),
            seed,
        }
    }

    fn url(&self, name: &str) -> String {
        url(&self.seed, name)
    }

    fn report(&self, report: &Report, results: &[Value]) -> Value {
        let content = Content::of(report);
        let flags = content
            .flags
            .iter()
            .map(|flag| format!("{}: {}", flag.severity.name(), flag.words));
        let first = [Some(content.notice.clone()), content.headline.clone()];
        let conclusion: Vec<String> = first.into_iter().flatten().chain(flags).collect();
        let page = crate::page::write(report);
        let page = page
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;");
        json!({
            "resourceType": "DiagnosticReport",
            "text": {
                "status": "generated",
                "div": format!("<div xmlns=\"http://www.w3.org/1999/xhtml\"><pre>{page}</pre></div>"),
            },
            "basedOn": [self.order],
            "status": "preliminary",
            "category": [{ "coding": [{
                "system": "http://terminology.hl7.org/CodeSystem/v2-0074", "code": "RAD", "display": "Radiology",
            }] }],
            "code": {
                "coding": [{ "system": LOINC, "code": "25045-6", "display": "CT Unspecified body region" }],
                "text": format!("{}, for research use only", content.title),
            },
            "subject": self.subject,
            "effectiveDateTime": self.effective,
            "result": results,
            "imagingStudy": [self.study],
            "conclusion": conclusion.join("\n"),
            "presentedForm": [{ "contentType": "application/pdf", "url": output::REPORT_PDF, "title": content.title }],
        })
    }

    /// What every observation says.
    fn observation(&self, code: Value, site: Value) -> Map<String, Value> {
        let fixed = json!({
            "resourceType": "Observation",
            "status": "preliminary",
            "category": [{ "coding": [{
                "system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "imaging", "display": "Imaging",
            }] }],
            "subject": self.subject,
            "effectiveDateTime": self.effective,
            "note": [{ "text": self.notice }],
            "device": { "reference": self.device },
            "derivedFrom": [self.study],
        });
        let mut fields = match fixed {
            Value::Object(fields) => fields,
            _ => Map::new(),
        };
        fields.insert("code".into(), code);
        fields.insert("bodySite".into(), site);
        fields
    }

    fn measure(&self, report: &Report, side: Side, measure: &Measure) -> Option<(String, Value)> {
        let &(name, words, code, unit, value) = measure;
        let value = value(report.findings.sides.get(side))?;
        let mut observation = self.observation(
            concept(code, &format!("{words}, {}", side.name())),
            site(side),
        );
        observation.insert("valueQuantity".into(), quantity(value, unit));
        let change = report.change.as_ref().and_then(|change| {
            let date = moment::date(&clean(&change.study_date));
            let side = change.sides.get(side);
            let volume = match name {
                "kidney-volume" => side.kidney_volume,
                "tumour-volume" => side.tumour_volume,
                _ => return None,
            };
            Some(changed(&date, &volume))
        });
        observation.insert("component".into(), change.unwrap_or_default());
        let name = format!("{name}-{}", side.name());
        Some((self.url(&name), observation.into()))
    }

    fn tumour(&self, index: usize, tumour: &TumourFindings) -> (String, Value) {
        let place = match tumour.placement {
            Placement::Right => site(Side::Right),
            Placement::Left => site(Side::Left),
            Placement::Divided => {
                json!({ "coding": [coding(SNOMED, ("64033007", "Kidney"))], "text": "across the midline" })
            }
        };
        let words = format!(
            "Kidney tumour {} in slices {} to {}",
            index + 1,
            tumour.first_slice,
            tumour.last_slice
        );
        let length = |code, words: &str, mm| {
            component(
                concept(code, words),
                "valueQuantity",
                quantity(mm, MILLIMETRE),
            )
        };
        let renal = &tumour.renal;
        let points = |words: &str, points: Option<u8>| {
            points.map(|points| component(json!({ "text": words }), "valueInteger", points.into()))
        };
        let letter = renal.anterior.letter.as_deref().map(clean);
        let components = [
            Some(component(
                concept(Some(VOLUME), "Volume"),
                "valueQuantity",
                quantity(tumour.volume_ml, MILLILITRE),
            )),
            Some(length(
                Some(LONG_AXIS),
                "Largest diameter in a transverse slice",
                tumour.in_plane_diameter.length_mm,
            )),
            Some(length(
                Some(SHORT_AXIS),
                "Perpendicular to it in that slice",
                tumour.in_plane_perpendicular.length_mm,
            )),
            Some(length(
                None,
                "Largest diameter in space",
                tumour.largest_diameter.length_mm,
            )),
            points("R.E.N.A.L.: R, radius", renal.radius.points),
            points(
                "R.E.N.A.L.: E, exophytic, approximate",
                renal.exophytic.points,
            ),
            letter.map(|letter| {
                component(
                    json!({ "text": "R.E.N.A.L.: A, anterior or posterior" }),
                    "valueString",
                    letter.into(),
                )
            }),
            points(
                "R.E.N.A.L.: L, location, approximate",
                renal.location.points,
            ),
        ];
        let mut observation = self.observation(json!({ "text": words }), place);
        observation.insert(
            "component".into(),
            components.into_iter().flatten().collect(),
        );
        (self.url(&format!("tumour-{index}")), observation.into())
    }
}

/// The model and the program as one device.
fn device(report: &Report) -> Value {
    let (model, program) = (&report.model, &report.program);
    let note = |words: &str| json!({ "text": clean(words) });
    let scores = format!("Test split: {}", model.test_scores);
    let licence = format!("Licence of the training data: {}", model.licence_notice);
    let notes = [report.notice.as_str(), &scores, &licence].map(note);
    json!({
        "resourceType": "Device",
        "identifier": [{ "type": { "text": "BLAKE3 of the model package" }, "value": clean(&model.blake3) }],
        "deviceName": [{ "name": clean(&model.name), "type": "model-name" }],
        "type": { "text": "Program that outlines kidneys and kidney tumours on CT" },
        "version": [
            { "type": { "text": "model" }, "value": model.version.to_string() },
            { "type": { "text": "program" }, "value": clean(&format!("{} {}", program.name, program.version)) },
        ],
        "note": notes,
    })
}

fn patient(subject: &Subject) -> Value {
    let id = clean(&subject.patient_id);
    if id.trim().is_empty() {
        return Value::Null;
    }
    json!({
        "type": "Patient",
        "identifier": { "value": id, "assigner": { "display": clean(&subject.patient_id_issuer) } },
    })
}

fn study(subject: &Subject) -> Value {
    let uid = subject.study_uid.trim();
    let digits = !uid.is_empty()
        && uid.len() <= 64
        && uid
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.');
    if !digits {
        return Value::Null;
    }
    json!({
        "type": "ImagingStudy",
        "identifier": { "system": "urn:dicom:uid", "value": format!("urn:oid:{uid}") },
    })
}

fn order(subject: &Subject) -> Value {
    let number = clean(&subject.accession_number);
    if number.trim().is_empty() {
        return Value::Null;
    }
    json!({
        "type": "ServiceRequest",
        "identifier": {
            "type": { "coding": [{
                "system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "ACSN", "display": "Accession ID",
            }] },
            "value": number,
        },
    })
}

/// A study's date. Its time is left out: FHIR wants a time zone with it, and DICOM rarely has one.
fn date(dicom: &str) -> Value {
    moment::days_since_1970(dicom).map_or(Value::Null, |_| moment::date(dicom).into())
}

fn site(side: Side) -> Value {
    let code = match side {
        Side::Right => ("9846003", "Right kidney"),
        Side::Left => ("18639004", "Left kidney"),
    };
    json!({ "coding": [coding(SNOMED, code)], "text": format!("{} kidney", side.name()) })
}

fn coding(system: &str, (code, display): Code) -> Value {
    json!({ "system": system, "code": code, "display": display })
}

fn concept(code: Option<Code>, words: &str) -> Value {
    let codings: Vec<Value> = code.map(|code| coding(SNOMED, code)).into_iter().collect();
    json!({ "coding": codings, "text": words })
}

/// A quantity to a thousandth, which is finer than anything is measured. No number, no quantity.
fn quantity(value: f64, (unit, code): Unit) -> Value {
    let value = (value * 1000.0).round() / 1000.0;
    if !value.is_finite() {
        return Value::Null;
    }
    json!({ "value": value, "unit": unit, "system": UCUM, "code": code })
}

fn component(code: Value, kind: &str, value: Value) -> Value {
    let fields = [("code".to_owned(), code), (kind.to_owned(), value)];
    Value::Object(fields.into_iter().collect())
}

fn changed(date: &str, change: &VolumeChange) -> Value {
    let part = |words: String, value, unit| {
        component(
            json!({ "text": words }),
            "valueQuantity",
            quantity(value, unit),
        )
    };
    let mut parts = vec![
        part(
            format!("Volume in the study of {date}"),
            change.earlier_ml,
            MILLILITRE,
        ),
        part(
            format!("Difference to the study of {date}"),
            change.difference_ml,
            MILLILITRE,
        ),
    ];
    parts.extend(change.difference_percent.map(|percent| {
        part(
            format!("Difference in percent of the study of {date}"),
            percent,
            PERCENT,
        )
    }));
    parts.into()
}

/// A name for a resource that follows from what it is: a UUID of version 8 (RFC 9562: bits of one's own choice).
fn url(seed: &str, name: &str) -> String {
    let mut hasher = blake3::Hasher::new_derive_key("nephrobox 2026 FHIR resource");
    hasher.update(&(seed.len() as u64).to_le_bytes());
    hasher.update(seed.as_bytes());
    hasher.update(name.as_bytes());
    let mut uuid = [0; 16];
    uuid.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    uuid[6] = uuid[6] & 0x0f | 0x80;
    uuid[8] = uuid[8] & 0x3f | 0x80;
    let hex = format!("{:032x}", u128::from_be_bytes(uuid));
    format!(
        "urn:uuid:{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}

/// FHIR knows neither null nor what is empty: such fields are left out.
fn pruned(value: Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::String(words) => (!words.trim().is_empty()).then_some(words.into()),
        Value::Array(items) => {
            let items: Vec<_> = items.into_iter().filter_map(pruned).collect();
            (!items.is_empty()).then_some(items.into())
        }
        Value::Object(fields) => {
            let fields: Map<_, _> = fields
                .into_iter()
                .filter_map(|(name, value)| Some((name, pruned(value)?)))
                .collect();
            (!fields.is_empty()).then_some(fields.into())
        }
        other => Some(other),
    }
}
