//! The lines to tools: a serial port and a TLS listener, each client at a desk of its own.

use std::net::SocketAddr;
use std::sync::Arc;

use nephrobox_link::serial::{self, serve_port};
use nephrobox_link::server::{About, Speeds};
use nephrobox_link::tls::{Peer, TlsFiles, serve_clients};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;

use super::core::Core;
use super::vital::Vitals;
use crate::config::{Config, Serial, Tcp};
use crate::desk::BoxDesk;
use crate::failure::{Exit, Failure, told};
use crate::fault::FaultCode;

/// Name of the serial line in records.
const SERIAL: &str = "serial";
/// Name of the network line in records.
const TCP: &str = "tcp";
/// The lines that are configured, with what has to be had before anything starts.
pub(super) struct Lines {
    tcp: Option<(TcpListener, TlsAcceptor)>,
    serial: Option<Serial>,
}

impl Lines {
    /// Takes the address to listen on. A serial port that is not there is waited for later.
    ///
    /// # Errors
    /// Certificates that cannot be used, an address that is taken.
    pub(super) async fn open(config: &Config) -> Result<Self, Failure> {
        let tcp = match &config.tcp {
            Some(tcp) => Some(bind(tcp).await?),
            None => None,
        };
        let serial = config.serial.clone();
        Ok(Self { tcp, serial })
    }

    /// Serves them.
    pub(super) fn serve(self, core: &Arc<Core>, vitals: &Vitals) -> Vec<AbortHandle> {
        let tcp = self.tcp.map(|tcp| listen(core, vitals, tcp));
        let serial = self.serial.map(|serial| port(core, vitals, serial));
        tcp.into_iter().chain(serial).collect()
    }
}

fn about(core: &Core) -> About {
    About {
        software: concat!("nephrobox ", env!("CARGO_PKG_VERSION")).into(),
        name: core.config.identity.name.clone(),
    }
}

fn port(core: &Arc<Core>, vitals: &Vitals, serial: Serial) -> AbortHandle {
    let (core, guard) = (Arc::clone(core), vitals.guard("serial line"));
    let serving = tokio::spawn(async move {
        let _guard = guard;
        let (first, fastest) = (serial.baud, serial.max_baud);
        let desk = || BoxDesk::new(Arc::clone(&core), SERIAL);
        let about = about(&core);
        let heard = |news: serial::News<'_>| match news {
            serial::News::Open => {
                tracing::info!(line = SERIAL, "the port is open");
                core.clear(FaultCode::SerialPort);
            }
            serial::News::Gone(error) => {
                tracing::warn!(line = SERIAL, %error, "the port is gone; it is looked for");
                let message = format!("the serial port is gone ({error}); plug it in again");
                core.raise(FaultCode::SerialPort, message);
            }
            serial::News::Fault(error) => {
                tracing::error!(line = SERIAL, %error, "a session ended in a fault; the line goes on");
            }
        };
        serve_port(
            &serial.device,
            Speeds { first, fastest },
            &about,
            desk,
            heard,
        )
        .await
    });
    serving.abort_handle()
}

async fn bind(tcp: &Tcp) -> Result<(TcpListener, TlsAcceptor), Failure> {
    let files = TlsFiles {
        certificate: tcp.certificate.clone(),
        key: tcp.key.clone(),
        ca: tcp.client_ca.clone(),
    };
    let acceptor = files.acceptor().map_err(|error| {
        let remedy = "check certificate, key and client_ca in section tcp of the configuration";
        told(Exit::Service, &error, "section tcp", remedy)
    })?;
    let listener = TcpListener::bind(tcp.listen).await.map_err(|error| {
        let remedy = "see which program has this port, or change tcp.listen in the configuration";
        told(Exit::Service, &error, tcp.listen, remedy)
    })?;
    Ok((listener, acceptor))
}

fn listen(core: &Arc<Core>, vitals: &Vitals, tcp: (TcpListener, TlsAcceptor)) -> AbortHandle {
    let (core, guard) = (Arc::clone(core), vitals.guard("network line"));
    let (listener, acceptor) = tcp;
    let serving = tokio::spawn(async move {
        let _guard = guard;
        let about = about(&core);
        let desk = || BoxDesk::new(Arc::clone(&core), TCP);
        let heard = |address: SocketAddr, peer: Peer<'_>| match peer {
            Peer::Arrived => tracing::info!(line = TCP, %address, "a client is here"),
            Peer::Gone(error) => {
                tracing::info!(line = TCP, %address, %error, "a client is gone");
            }
        };
        let error = serve_clients(listener, acceptor, about, desk, heard).await;
        tracing::error!(line = TCP, %error, "the line has ended");
    });
    serving.abort_handle()
}
