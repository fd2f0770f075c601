//! TCP lines: TLS with certificates on both sides, so that each end knows the other.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::server::{About, Desk, Speeds, serve};

/// How long a peer may take to prove who it is.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Clients at once; further ones are closed.
const CLIENTS: usize = 8;

/// Where the certificates of one end lie, PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// This end's certificate chain.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Who may have signed the other end's certificate.
    pub ca: PathBuf,
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

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let wrong = |reason: String| TlsError::File {
        path: path.to_owned(),
        what: "certificate",
        reason,
    };
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path)
        .map_err(|error| wrong(error.to_string()))?
        .collect();
    let found = found.map_err(|error| wrong(error.to_string()))?;
    if found.is_empty() {
        return Err(wrong("there is none".into()));
    }
    Ok(found)
}

impl TlsFiles {
    fn own(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|error| TlsError::File {
            path: self.key.clone(),
            what: "private key",
            reason: error.to_string(),
        })?;
        Ok((certificates(&self.certificate)?, key))
    }

    fn roots(&self) -> Result<Arc<RootCertStore>, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&self.ca)? {
            roots
                .add(certificate)
                .map_err(|error| TlsError::Unusable(error.to_string()))?;
        }
        Ok(Arc::new(roots))
    }

    /// For the box: takes only clients whose certificate the CA has signed.
    ///
    /// # Errors
    /// Files that cannot be used.
    pub fn acceptor(&self) -> Result<TlsAcceptor, TlsError> {
        let unusable = |error: &dyn std::fmt::Display| TlsError::Unusable(error.to_string());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(self.roots()?, Arc::clone(&provider))
                .build()
                .map_err(|error| unusable(&error))?;
        let (chain, key) = self.own()?;
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(&error))?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .map_err(|error| unusable(&error))?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// For tools: takes only a box whose certificate the CA has signed for the host that was named.
    ///
    /// # Errors
    /// Files that cannot be used.
    pub fn connector(&self) -> Result<TlsConnector, TlsError> {
        let unusable = |error: &dyn std::fmt::Display| TlsError::Unusable(error.to_string());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let (chain, key) = self.own()?;
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(&error))?
            .with_root_certificates(self.roots()?)
            .with_client_auth_cert(chain, key)
            .map_err(|error| unusable(&error))?;
        Ok(TlsConnector::from(Arc::new(config)))
    }
}

/// Connects to a box at `host:port`.
pub(crate) async fn connect(
    connector: &TlsConnector,
    address: &str,
) -> io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let (host, _) = address.rsplit_once(':').ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            "the address has no port; write HOST:PORT",
        )
    })?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let connected = timeout(HANDSHAKE, async {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        connector.connect(name, stream).await
    });
    connected
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// What became of a client, for whoever logs it.
#[derive(Debug)]
pub enum Peer<'a> {
    /// It has proved who it is.
    Arrived,
    /// It has gone, or did not get in.
    Gone(&'a io::Error),
}

/// Serves clients until the future is dropped, each with a desk of its own.
///
/// # Errors
/// Returns only when the listener fails.
pub async fn serve_clients<D: Desk>(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    about: About,
    mut desk: impl FnMut() -> D,
    heard: impl Fn(SocketAddr, Peer<'_>) + Clone + Send + 'static,
) -> io::Error {
    let room = Arc::new(Semaphore::new(CLIENTS));
    let mut clients = tokio::task::JoinSet::new();
    loop {
        while clients.try_join_next().is_some() {}
        let (stream, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            // The client has gone again before it was taken; or there are too many files, which passes.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
            Err(error) => return error,
        };
        let Ok(place) = Arc::clone(&room).try_acquire_owned() else {
            heard(address, Peer::Gone(&io::ErrorKind::QuotaExceeded.into()));
            continue;
        };
        let (acceptor, about, heard, desk) =
            (acceptor.clone(), about.clone(), heard.clone(), desk());
        clients.spawn(async move {
            let _place = place;
            let accepted = async {
                stream.set_nodelay(true)?;
                acceptor.accept(stream).await
            };
            let error = match timeout(HANDSHAKE, accepted).await {
                Ok(Ok(line)) => {
                    heard(address, Peer::Arrived);
                    serve(line, Speeds::default(), &about, desk).await.1
                }
                Ok(Err(error)) => error,
                Err(_) => io::ErrorKind::TimedOut.into(),
            };
            heard(address, Peer::Gone(&error));
        });
    }
}
