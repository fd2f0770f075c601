//! Results to an archive by C-STORE.

use std::io::{self, BufReader};
use std::path::PathBuf;

use nephrobox_dimse::client::{Association, Context, Object, Remote, RequestError, Tls};
use nephrobox_dimse::tls;

use super::{Delivery, Destination, Results};
use crate::config::Archive;
use crate::spool::ScanId;

/// An archive that takes objects by C-STORE.
#[derive(Debug)]
pub struct ArchiveDestination {
    name: String,
    archive: Archive,
    calling: String,
    own: Option<tls::Identity>,
}

impl ArchiveDestination {
    /// An archive by the name that the configuration gives it, the title that the box goes by, and what proves who the box is. Certificates
    /// are read at every delivery, so that they can be renewed.
    pub fn new(
        name: impl Into<String>,
        archive: &Archive,
        calling: &str,
        own: Option<tls::Identity>,
    ) -> Self {
        Self {
            name: name.into(),
            archive: archive.clone(),
            calling: calling.to_owned(),
            own,
        }
    }

    fn remote(&self) -> io::Result<Remote> {
        let (host, port) = self
            .archive
            .address
            .rsplit_once(':')
            .ok_or_else(|| io::Error::other("its address has no port"))?;
        let port = port.parse().map_err(io::Error::other)?;
        // Brackets are for people, around an address of IPv6.
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let mut remote = Remote::new(host, port, &self.archive.ae_title, &self.calling);
        if let Some(ca) = &self.archive.ca {
            remote.tls = Some(Tls {
                config: tls::client(&PathBuf::from(ca), self.own.as_ref())
                    .map_err(io::Error::other)?,
                name: None,
            });
        }
        Ok(remote)
    }
}

impl Destination for ArchiveDestination {
    fn name(&self) -> &str {
        &self.name
    }

    /// Sends one object after the other. One that the archive has already is sent again, and is the same object.
    fn deliver(&self, _id: ScanId, results: &Results<'_>) -> io::Result<Delivery> {
        let mut objects = Vec::new();
        for object in &self.archive.objects {
            if let Some((_, file)) = results.open(object.file())? {
                objects.push(Object::read(BufReader::new(file))?);
            }
        }
        // A scan that was no series has nothing for an archive.
        if objects.is_empty() {
            return Ok(Delivery::Confirmed);
        }
        let mut contexts: Vec<Context> = objects.iter().map(Object::context).collect();
        contexts.dedup();
        let mut association =
            Association::open(&self.remote()?, &contexts).map_err(io::Error::other)?;
        for object in &mut objects {
            let stored = association.store(object).map_err(not_stored)?;
            // Not its comment: an archive may name the patient there, and that is for no log.
            if let Some((status, _)) = stored.warning {
                tracing::warn!(
                    destination = self.name,
                    status = format!("{status:04X}"),
                    "stored with a remark"
                );
            }
        }
        // Every object has been confirmed by now; how the peer says farewell changes nothing.
        if let Err(error) = association.release() {
            tracing::debug!(destination = self.name, %error, "the association was not released");
        }
        Ok(Delivery::Confirmed)
    }
}

/// What the box's log and status may say of a refusal: the archive's comment may name the patient, its status does not.
fn not_stored(error: RequestError) -> io::Error {
    match error {
        RequestError::Status { status, .. } => io::Error::other(format!(
            "the archive answers status {status:04X} to an object; its own log says why"
        )),
        other => io::Error::other(other),
    }
}
