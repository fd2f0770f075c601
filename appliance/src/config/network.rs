//! The sections about DICOM and about where results go: what they hold, and from TOML to them.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::output;

use super::read::{address, elements};
use super::reader::{Problems, Table};

/// The box's title if the configuration gives none.
pub(crate) const AE_TITLE: &str = "NEPHROBOX";

/// The DICOM network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Dicom {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The box's application entity title.
    pub ae_title: String,
    /// Who may send series.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub peers: Vec<Peer>,
    /// Seconds without a slice before a series is taken.
    pub quiet_s: u64,
    /// Associations at once.
    pub max_associations: usize,
    /// Bytes of the largest protocol unit.
    pub max_pdu_bytes: u32,
    /// Bytes of the largest object.
    pub max_object_bytes: u64,
    /// Seconds of silence that an association may last.
    pub timeout_s: u64,
    /// Certificate and key; without them associations are not encrypted.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
}

/// What proves who the box is, PEM files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tls {
    /// The certificate chain.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Who must have signed a client's certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_ca: Option<PathBuf>,
}

/// Somebody who may send series.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Peer {
    /// The title that it calls itself.
    pub ae_title: String,
    /// Where it has to call from, if that matters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
}

/// Where all results go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Destination {
    /// Into a folder.
    Folder {
        /// The folder.
        path: PathBuf,
    },
    /// Back over the line that the scan came from.
    Line,
}

/// An archive that gets DICOM objects by C-STORE.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Archive {
    /// Host and port.
    pub address: String,
    /// Its title.
    pub ae_title: String,
    /// Who signed its certificate; without it the association is not encrypted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// What is sent.
    pub objects: BTreeSet<Object>,
}

/// An archive that gets DICOM objects by STOW-RS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DicomWeb {
    /// Root of its web service, without a slash at the end.
    pub url: String,
    /// File with a bearer token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    /// Who signed its certificate, instead of whom the system trusts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// What is sent.
    pub objects: BTreeSet<Object>,
}

/// Anyone whom results are sent to.
#[derive(Debug, Clone, Copy)]
pub enum Recipient<'a> {
    /// Gets all files.
    Destination(&'a Destination),
    /// Gets DICOM objects by C-STORE.
    Archive(&'a Archive),
    /// Gets them by STOW-RS.
    DicomWeb(&'a DicomWeb),
}

/// The most recipients of results; each that has them stands on a scan's record.
pub(crate) const RECIPIENTS: usize = 16;
/// The longest name of a recipient, in bytes: it stands whole on records and in lines of the audit log.
pub(crate) const NAME: usize = 250;
/// The name of tools on any line, as destination.
pub(crate) const LINE: &str = "line";

impl Recipient<'_> {
    /// The name by which queue, log and audit know it: a folder's path, an archive's title and address, "line" for tools on lines.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Destination(Destination::Folder { path }) => path.display().to_string(),
            Self::Destination(Destination::Line) => LINE.to_owned(),
            Self::Archive(Archive {
                address, ae_title, ..
            }) => format!("dicom {ae_title} at {address}"),
            Self::DicomWeb(DicomWeb { url, .. }) => format!("dicomweb {url}"),
        }
    }
}

/// A DICOM object among the results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Object {
    /// The label map.
    Segmentation,
    /// The structured report.
    Measurements,
    /// The page as a picture.
    Picture,
    /// The page as a PDF.
    Document,
}

impl Object {
    /// All of them, in the order in which they are sent: the report refers to the segmentation.
    pub const ALL: [Self; 4] = [
        Self::Segmentation,
        Self::Measurements,
        Self::Picture,
        Self::Document,
    ];

    /// Its file among the results.
    #[must_use]
    pub fn file(self) -> &'static str {
        match self {
            Self::Segmentation => output::SEGMENTATION_DCM,
            Self::Measurements => output::MEASUREMENTS_DCM,
            Self::Picture => output::PICTURE_DCM,
            Self::Document => output::DOCUMENT_DCM,
        }
    }

    /// Its name in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Segmentation => "segmentation",
            Self::Measurements => "measurements",
            Self::Picture => "picture",
            Self::Document => "document",
        }
    }
}

/// What results hold beyond the usual.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Results {
    /// Whether the report is written as FHIR too.
    pub fhir: bool,
    /// Whether the segmentation keeps empty frames.
    pub empty_frames: bool,
}

pub(super) fn dicom(table: &mut Table<'_, '_>, p: &mut Problems<'_>) -> Option<Dicom> {
    let listen = address(table, p);
    let ae_title = title(table, p).unwrap_or_else(|| AE_TITLE.to_owned());
    let peers = elements(table, "peers", p, peer);
    let quiet_s = table.number("quiet_s", 2..3601, p).unwrap_or(60);
    let max_associations = table.number("max_associations", 1..65, p).unwrap_or(8);
    let max_pdu_bytes = table
        .number("max_pdu_bytes", 4096..1_048_577, p)
        .unwrap_or(65_536);
    let max_object_bytes = table.size("max_object_bytes", p).unwrap_or(64_000_000);
    if max_object_bytes == 0 {
        p.add(
            table.at("max_object_bytes"),
            "dicom.max_object_bytes is 0: no object could be taken",
            "give a size such as \"64 MB\"",
        );
    }
    let timeout_s = table.number("timeout_s", 5..601, p).unwrap_or(30);
    let tls = tls(table, p);
    Some(Dicom {
        listen: listen?,
        ae_title,
        peers,
        quiet_s,
        max_associations: max_associations as usize,
        max_pdu_bytes: max_pdu_bytes as u32,
        max_object_bytes,
        timeout_s,
        tls,
    })
}

fn tls(table: &mut Table<'_, '_>, p: &mut Problems<'_>) -> Option<Tls> {
    let [certificate, key, client_ca] =
        ["certificate", "key", "client_ca"].map(|name| table.path(name, p));
    let at = ["certificate", "key", "client_ca"]
        .iter()
        .find_map(|name| table.at(name))?;
    if let (Some(certificate), Some(key)) = (certificate, key) {
        return Some(Tls {
            certificate,
            key,
            client_ca,
        });
    }
    p.add(
        Some(at),
        "dicom.certificate and dicom.key belong together",
        "give both, or neither of them and no client_ca",
    );
    None
}

fn peer(table: &mut Table<'_, '_>, p: &mut Problems<'_>) -> Option<Peer> {
    let ae_title = title(table, p);
    let ae_title = table.need("ae_title", ae_title, p);
    let text = table.text("address", p);
    let address = text.as_deref().and_then(|text| text.parse().ok());
    if let (Some(text), None) = (&text, address) {
        p.add(
            table.at("address"),
            format!("{} is {text:?}", table.full("address")),
            "give an address such as \"192.0.2.20\"; names are not looked up",
        );
    }
    Some(Peer {
        ae_title: ae_title?,
        address,
    })
}

fn title(table: &mut Table<'_, '_>, p: &mut Problems<'_>) -> Option<String> {
    let title = table.text("ae_title", p)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || [' ', '-', '_'].contains(&c);
    if title.trim() == title && (1..17).contains(&title.len()) && title.chars().all(plain) {
        return Some(title);
    }
    p.add(
        table.at("ae_title"),
        format!("{} is {title:?}", table.full("ae_title")),
        "give 1 to 16 letters, digits, spaces, - and _",
    );
    None
}

pub(super) fn destination(table: &mut Table<'_, '_>, p: &mut Problems<'_>) -> Option<Destination> {
    let kind = table.word("kind", &["folder", "line"], p);
    let kind = table.need("kind", kind, p);
    let path = table.path("path", p);
    if kind? == "folder" {
        let path = table.need("path", path, p)?;
        return Some(Destination::Folder { path });
    }
    if let Some(at) = table.at("path") {
        p.add(
            Some(at),
            format!("{} has no meaning with kind line", table.full("path")),
            "remove it",
        );
    }
    Some(Destination::Line)
}

pub(super) fn archive(table: &mut Table<'_, '_>, p: &mut Problems<'_>) -> Option<Archive> {
    let address = host(table, p);
    let address = table.need("address", address, p);
    let ae_title = title(table, p);
    let ae_title = table.need("ae_title", ae_title, p);
    let ca = table.path("ca", p);
    let objects = objects(table, p);
    Some(Archive {
        address: address?,
        ae_title: ae_title?,
        ca,
        objects,
    })
}

pub(super) fn web(table: &mut Table<'_, '_>, p: &mut Problems<'_>) -> Option<DicomWeb> {
    let url = url(table, p);
    let url = table.need("url", url, p);
    let [ca, token_file] = ["ca", "token_file"].map(|name| table.path(name, p));
    let objects = objects(table, p);
    Some(DicomWeb {
        url: url?,
        token_file,
        ca,
        objects,
    })
}

/// The folder that a destination fills.
pub(super) fn folder_of(destination: &Destination) -> Option<&Path> {
    match destination {
        Destination::Folder { path } => Some(path),
        Destination::Line => None,
    }
}

fn host(table: &mut Table<'_, '_>, p: &mut Problems<'_>) -> Option<String> {
    let text = table.text("address", p)?;
    let port = text
        .rsplit_once(':')
        .filter(|(host, _)| !host.is_empty() && !host.contains(char::is_whitespace))
        .and_then(|(_, port)| port.parse::<u16>().ok());
    if port.is_some_and(|port| port != 0) {
        return Some(text);
    }
    p.add(
        table.at("address"),
        format!("{} is {text:?}", table.full("address")),
        "give host and port, such as \"192.0.2.30:104\"",
    );
    None
}

fn url(table: &mut Table<'_, '_>, p: &mut Problems<'_>) -> Option<String> {
    let text = table.text("url", p)?;
    let rest = ["http://", "https://"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme));
    // A name with @ would hand a password to whoever reads the configuration's copy in a log.
    let plain = |c: char| c.is_ascii_graphic() && !['@', '?', '#', '"', '<', '>'].contains(&c);
    if rest.is_some_and(|rest| !rest.is_empty() && rest.chars().all(plain)) {
        return Some(text.trim_end_matches('/').to_owned());
    }
    p.add(
        table.at("url"),
        format!("{} is {text:?}", table.full("url")),
        "give the web service's root, such as \"https://archive.example/dicom-web\", without name and password",
    );
    None
}

fn objects(table: &mut Table<'_, '_>, p: &mut Problems<'_>) -> BTreeSet<Object> {
    let named = table.raw("objects").is_some();
    let mut objects = BTreeSet::new();
    for (name, value) in table.list("objects", p) {
        let word = value.get_ref().as_str();
        match Object::ALL
            .iter()
            .find(|object| Some(object.name()) == word)
        {
            Some(&object) => {
                objects.insert(object);
            }
            None => p.add(
                Some(value.span()),
                format!("{name} is no object"),
                format!("give some of {}", Object::ALL.map(Object::name).join(", ")),
            ),
        }
    }
    if named && objects.is_empty() {
        p.add(
            table.at("objects"),
            format!("{} names nothing", table.full("objects")),
            "name at least one object, or leave it out for all",
        );
    }
    if named { objects } else { Object::ALL.into() }
}

pub(super) fn results(table: &mut Table<'_, '_>, p: &mut Problems<'_>) -> Results {
    Results {
        fhir: table.switch("fhir", p).unwrap_or(false),
        empty_frames: table.switch("empty_frames", p).unwrap_or(false),
    }
}
