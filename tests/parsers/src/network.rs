//! The DICOM network: what a peer may say to the box.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use nephrobox_dimse::server::{Desk, Event, Offer, Peer, Refusal, Server, Settings, Sink};

/// Keeps nothing.
struct Nowhere;

impl Desk for Nowhere {
    fn begin(&self, _offer: &Offer) -> Result<Box<dyn Sink>, Refusal> {
        Ok(Box::new(Self))
    }

    fn event(&self, _event: Event) {}
}

impl Sink for Nowhere {
    fn write(&mut self, _bytes: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<(), Refusal> {
        Ok(())
    }
}

static SERVER: LazyLock<Server> = LazyLock::new(|| {
    let mut settings = Settings::new("NEPHROBOX");
    settings.peers = vec![Peer {
        name: "scanner".into(),
        ae_title: "SCANNER".into(),
        address: None,
    }];
    settings.max_associations = 64;
    settings.silence = Duration::from_secs(10);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    Server::start(listener, settings, Arc::new(Nowhere)).expect("it starts")
});

/// Everything that one peer says on one connection.
pub fn dicom_network(bytes: &[u8]) {
    let mut stream = TcpStream::connect(SERVER.address()).expect("a server that is well");
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .expect("a socket");
    // The server may hang up in the middle, which is its good right.
    if stream.write_all(bytes).is_ok() {
        let _ = stream.shutdown(Shutdown::Write);
    }
    let mut answer = Vec::new();
    if let Err(error) = stream.read_to_end(&mut answer) {
        let kind = error.kind();
        assert!(
            !matches!(kind, io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut),
            "the server neither answers nor hangs up"
        );
    }
}
