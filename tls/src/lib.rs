//! Who we are and whom we believe, from PEM files: the one place where certificates are read.
//!
//! Used by the line between box and tools (`link`) and by the DICOM network (`dimse`). TLS 1.2 and 1.3, by `rustls` with `ring`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// The longest PEM file that is read, in bytes: the certificates of all public authorities together have less than 1 MB.
const MOST_BYTES: u64 = 16 << 20;

/// Who we are: two PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Our certificate, and those between it and its CA.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Why certificates cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read, or holds nothing of its kind.
    #[error("{}: no {what} can be read from it: {reason}; it should be PEM", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What should be in it.
        what: &'static str,
        /// Why not.
        reason: String,
    },
    /// They contradict each other.
    #[error(
        "certificate and key cannot be used: {0}; make them again, and see that they belong together"
    )]
    Unusable(String),
}

/// For a server. With a CA of clients only those take part whose certificate it has signed; without, anybody does.
///
/// # Errors
/// Files that cannot be used.
pub fn server(own: &Identity, client_ca: Option<&Path>) -> Result<Arc<ServerConfig>, TlsError> {
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(unusable)?;
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(ca) => builder.with_client_cert_verifier(
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots(ca)?), provider())
                .build()
                .map_err(unusable)?,
        ),
    };
    let (chain, key) = own.read()?;
    let config = builder.with_single_cert(chain, key).map_err(unusable)?;
    Ok(Arc::new(config))
}

/// For a client that believes a remote whose certificate this CA has signed, and shows its own if it has one.
///
/// # Errors
/// Files that cannot be used.
pub fn client(ca: &Path, own: Option<&Identity>) -> Result<Arc<ClientConfig>, TlsError> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_root_certificates(roots(ca)?);
    let config = match own {
        None => builder.with_no_client_auth(),
        Some(own) => {
            let (chain, key) = own.read()?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(unusable)?
        }
    };
    Ok(Arc::new(config))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn unusable(error: impl std::fmt::Display) -> TlsError {
    TlsError::Unusable(error.to_string())
}

impl Identity {
    fn read(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
        let wrong = |reason| TlsError::File {
            path: self.key.clone(),
            what: "private key",
            reason,
        };
        plain(&self.key).map_err(wrong)?;
        let key =
            PrivateKeyDer::from_pem_file(&self.key).map_err(|error| wrong(error.to_string()))?;
        Ok((certificates(&self.certificate)?, key))
    }
}

fn roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| TlsError::File {
            path: path.to_owned(),
            what: "certificate",
            reason: error.to_string(),
        })?;
    }
    Ok(roots)
}

/// Whether a path is a file of a size that certificates have: on a pipe we would wait for ever, and a device may never end.
fn plain(path: &Path) -> Result<(), String> {
    let found = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if !found.is_file() {
        return Err("it is no file".into());
    }
    if found.len() > MOST_BYTES {
        return Err(format!("it has {} bytes", found.len()));
    }
    Ok(())
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let wrong = |reason: String| TlsError::File {
        path: path.to_owned(),
        what: "certificate",
        reason,
    };
    plain(path).map_err(wrong)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path)
        .map_err(|error| wrong(error.to_string()))?
        .collect();
    let found = found.map_err(|error| wrong(error.to_string()))?;
    if found.is_empty() {
        return Err(wrong("there is none".into()));
    }
    Ok(found)
}
