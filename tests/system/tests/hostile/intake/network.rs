//! What a peer on the hospital's network sends.

use dicom_core::VR;
use dicom_core::value::PrimitiveValue;
use dicom_core::{DataElement, Tag};
use dicom_dictionary_std::{tags, uids};
use nephrobox_dimse::client::{Association, Context, Object, Remote, RequestError};

use super::site::{MOST_BYTES, Site, told_to};
use crate::ground::{Ground, MARKS, slices};
use crate::row::{Section, Told, Way};
use crate::series::SliceFile;

pub(crate) const SECTION: Section = Section {
    title: "DICOM over the network",
    command: "C-STORE to a box that runs, from a peer on its list",
    way: Way::Service(all),
};

/// Bytes on a connection, and what kind of answer there must be.
struct Noise(&'static str, fn() -> Vec<u8>, &'static str);

/// An object on an association, and the status that there must be.
struct Bad(&'static str, fn() -> Vec<u8>, &'static str);

#[rustfmt::skip]
const NOISE: &[Noise] = &[
    Noise("a request for a web page", || b"GET / HTTP/1.1\r\nHost: box\r\n\r\n".to_vec(), "aborted"),
    Noise("the first words of TLS", || [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".as_slice(), &[7; 600]].concat(), "aborted"),
    Noise("1 MB of zeros", || vec![0; 1 << 20], "aborted"),
    Noise("1 MB of ones", || vec![0xff; 1 << 20], "aborted"),
    Noise("a request that says it has 4 GB", || [b"\x01\x00\xff\xff\xff\xff".as_slice(), &[0; 4096]].concat(), "aborted"),
    Noise("a request without content", || b"\x01\x00\x00\x00\x00\x00".to_vec(), "aborted"),
    Noise("data before any request", || b"\x04\x00\x00\x00\x00\x04\x00\x00\x00\x00".to_vec(), "aborted"),
];

#[rustfmt::skip]
const BAD: &[Bad] = &[
    Bad("an object without a data set", || head(&plain(|_| ())).to_vec(), "C000"),
    Bad("a data set of zeros", || with_body(&[0; 4096]), "C000"),
    Bad("a data set of ones", || with_body(&[0xff; 4096]), "C000"),
    Bad("half of a data set", || { let whole = plain(|_| ()); let at = head(&whole).len(); whole[..at + 60].to_vec() }, "C000"),
    Bad("no series", || plain(|s| { s.object.remove_element(tags::SERIES_INSTANCE_UID); }), "C000"),
    Bad("no study", || plain(|s| { s.object.remove_element(tags::STUDY_INSTANCE_UID); }), "C000"),
    Bad("no identifier", || plain(|s| { s.object.remove_element(tags::SOP_INSTANCE_UID); }), "C000"),
    Bad("sequences within sequences, 50,000 deep", || with_body(&[9, 0, 0x10, 0x10, b'S', b'Q', 0, 0, 255, 255, 255, 255, 254, 255, 0, 224, 255, 255, 255, 255].repeat(50_000)), "C000"),
    Bad("a text of 4 GB", || with_body(b"\x08\x00\x05\x00UT\0\0\xff\xff\xff\xfe"), "C000"),
    Bad("an object larger than the box takes", || plain(|s| { s.object.put(DataElement::new(Tag(9, 0x1010), VR::OB, PrimitiveValue::from(vec![7_u8; MOST_BYTES as usize]))); }), "A700"),
    Bad("UIDs that are paths upwards", || plain(|s| for tag in [tags::STUDY_INSTANCE_UID, tags::SERIES_INSTANCE_UID] { s.text(tag, VR::UI, "../../../../tmp/evil"); }), "0000"),
    Bad("UIDs of 60,000 digits", || plain(|s| s.text(tags::SERIES_INSTANCE_UID, VR::UI, &"2.25.9".repeat(10_000))), "C000|0000"),
    Bad("a name of 60 kB with commands to the terminal", || plain(|s| { s.text(tags::PATIENT_NAME, VR::PN, &"Zzyzx\u{1b}[2J".repeat(6000)); s.text(tags::SERIES_INSTANCE_UID, VR::UI, "2.25.338811.3"); }), "0000"),
    Bad("an MR image", || plain(|s| { s.text(tags::MODALITY, VR::CS, "MR"); s.text(tags::SERIES_INSTANCE_UID, VR::UI, "2.25.338811.4"); }), "0000"),
    Bad("a count of 4 billion slices", || plain(|s| { s.text(tags::NUMBER_OF_SERIES_RELATED_INSTANCES, VR::IS, "4294967295"); s.text(tags::SERIES_INSTANCE_UID, VR::UI, "2.25.338811.5"); }), "0000"),
];

/// A slice of the phantom, spoilt.
fn plain(spoil: impl FnOnce(&mut SliceFile)) -> Vec<u8> {
    let mut slice = slices().swap_remove(3);
    spoil(&mut slice);
    slice.encode()
}

/// What comes before the data set.
fn head(bytes: &[u8]) -> &[u8] {
    let length = u32::from_le_bytes([bytes[140], bytes[141], bytes[142], bytes[143]]);
    &bytes[..144 + length as usize]
}

fn with_body(body: &[u8]) -> Vec<u8> {
    [head(&plain(|_| ())), body].concat()
}

fn all(ground: &Ground) -> Vec<Result<Told, String>> {
    let mut site = Site::running(ground);
    let mut told: Vec<_> = NOISE.iter().map(|row| noise(&site, row)).collect();
    told.push(stranger(&site));
    told.push(photograph(&site));
    told.extend(BAD.iter().map(|row| object(&site, row)));
    // A whole series after all of it.
    told.push(sound(&site));
    if let Err(why) = site.is_well() {
        told.push(Err(why));
    }
    told
}

fn one(name: &str, answer: &str, what: impl Into<String>) -> Told {
    let what = what.into();
    let (what, remedy) = what.rsplit_once("; ").unwrap_or((&what, ""));
    Told {
        name: name.into(),
        answer: answer.into(),
        what: what.into(),
        remedy: remedy.into(),
    }
}

/// Says something to the port, and waits for its end.
fn noise(site: &Site, row: &Noise) -> Result<Told, String> {
    let answer = told_to(site.port, &(row.1)()).map_err(|error| format!("{}: {error}", row.0))?;
    // A reset may overtake the words before it.
    match answer.first() {
        Some(7) | None => Ok(one(row.0, row.2, "")),
        Some(3) => Ok(one(row.0, "rejected", "")),
        Some(other) => Err(format!("{}: a PDU of type {other}", row.0)),
    }
}

fn remote(site: &Site, calling: &str) -> Remote {
    Remote::new("127.0.0.1", site.port, "NEPHROBOX", calling)
}

/// Somebody who is on no list.
fn stranger(site: &Site) -> Result<Told, String> {
    let name = "a series from a title that is on no list";
    let object = Object::read(std::io::Cursor::new(plain(|_| ()))).map_err(|e| e.to_string())?;
    match Association::open(&remote(site, "STRANGER"), &[object.context()]) {
        Err(error) => Ok(one(name, "rejected", error.to_string())),
        Ok(_) => Err(format!("{name}: it is taken")),
    }
}

/// A transfer syntax that is not read.
fn photograph(site: &Site) -> Result<Told, String> {
    let name = "images in a compression that loses";
    let context = Context {
        sop_class_uid: uids::CT_IMAGE_STORAGE.into(),
        transfer_syntax: uids::JPEG_BASELINE8_BIT.into(),
    };
    let opened = Association::open(&remote(site, "CT1"), std::slice::from_ref(&context));
    match opened {
        Ok(association) if association.accepts(&context) => Err(format!("{name}: it is taken")),
        Ok(_) => Ok(one(
            name,
            "context refused",
            "transfer syntax not supported",
        )),
        Err(error) => Ok(one(name, "rejected", error.to_string())),
    }
}

/// Stores an object; the association must go on.
fn object(site: &Site, row: &Bad) -> Result<Told, String> {
    let failed = |why: String| format!("{}: {why}", row.0);
    let mut object =
        Object::read(std::io::Cursor::new((row.1)())).map_err(|e| failed(e.to_string()))?;
    let contexts = [object.context(), Context::echo()];
    let mut association =
        Association::open(&remote(site, "CT1"), &contexts).map_err(|e| failed(e.to_string()))?;
    let (status, words) = match association.store(&mut object) {
        Ok(_) => ("0000".to_owned(), String::new()),
        Err(RequestError::Status { status, comment }) => (format!("{status:04X}"), comment),
        Err(error) => return Err(failed(error.to_string())),
    };
    association
        .echo()
        .map_err(|e| failed(format!("the association is over: {e}")))?;
    association.release().map_err(|e| failed(e.to_string()))?;
    if MARKS.iter().any(|mark| words.contains(mark)) {
        return Err(failed(format!("it names the patient: {words}")));
    }
    if row.2.split('|').any(|wanted| wanted == status) {
        return Ok(one(row.0, &status, words));
    }
    Err(failed(format!("status {status} {words}, not {}", row.2)))
}

/// The phantom's series.
fn sound(site: &Site) -> Result<Told, String> {
    let name = "and a sound series after all of these";
    let failed = |why: String| format!("{name}: {why}");
    let mut objects = Vec::new();
    for slice in slices() {
        let read = Object::read(std::io::Cursor::new(slice.encode()));
        objects.push(read.map_err(|e| failed(e.to_string()))?);
    }
    let contexts = [objects[0].context()];
    let mut association =
        Association::open(&remote(site, "CT1"), &contexts).map_err(|e| failed(e.to_string()))?;
    for object in &mut objects {
        association
            .store(object)
            .map_err(|e| failed(e.to_string()))?;
    }
    association.release().map_err(|e| failed(e.to_string()))?;
    Ok(one(name, "0000", ""))
}
