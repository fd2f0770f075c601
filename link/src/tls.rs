//! TCP lines: TLS with certificates on both sides, so that each end knows the other.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use nephrobox_tls::TlsError;
use nephrobox_tls::{Identity, client, server};
use rustls::pki_types::ServerName;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::server::{About, Desk, Speeds, serve};

/// How long a peer may take to prove who it is.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Clients at once; further ones are closed.
const CLIENTS: usize = 8;

/// How long the box waits when the system has no connection for it, so that it does not spin.
const BREATH: Duration = Duration::from_millis(100);

/// Why a box ends a connection that has just begun.
const TURNED_AWAY: &str = "the box ended the connection at once, as it does while it serves as many clients as it can: try again later";

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

impl TlsFiles {
    fn own(&self) -> Identity {
        Identity {
            certificate: self.certificate.clone(),
            key: self.key.clone(),
        }
    }

    /// For the box: takes only clients whose certificate the CA has signed.
    ///
    /// # Errors
    /// Files that cannot be used.
    pub fn acceptor(&self) -> Result<TlsAcceptor, TlsError> {
        Ok(TlsAcceptor::from(server(&self.own(), Some(&self.ca))?))
    }

    /// For tools: takes only a box whose certificate the CA has signed for the host that was named.
    ///
    /// # Errors
    /// Files that cannot be used.
    pub fn connector(&self) -> Result<TlsConnector, TlsError> {
        Ok(TlsConnector::from(client(&self.ca, Some(&self.own()))?))
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
    let connected = connected.await;
    connected
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        .map_err(|error| match error.kind() {
            // Before anything is said, only this tells a client that there is no place.
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => {
                io::Error::new(error.kind(), TURNED_AWAY)
            }
            _ => error,
        })
}

/// Whether the system is short of something, rather than the listener broken.
fn is_short(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let short = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    Errno::from_io_error(error).is_some_and(|error| short.contains(&error))
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
            // The client has gone again before it was taken.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
            // There are too many files or too little memory, which passes.
            Err(error) if is_short(&error) => {
                sleep(BREATH).await;
                continue;
            }
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
