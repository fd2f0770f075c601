//! The network line: each end must prove who it is.

use std::io::Cursor;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::mpsc;

use crate::support::{Memory, bytes};
use nephrobox_link::client::{Client, LinkError, Options};
use nephrobox_link::endpoint::Endpoint;
use nephrobox_link::message::{Item, Object, cut};
use nephrobox_link::server::About;
use nephrobox_link::tls::{TlsFiles, serve_clients};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::net::TcpListener;

/// A CA, and files of one end whose certificate it has signed for `host`.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }

    fn end(&self, folder: &Path, host: &str, trusts: &Authority) -> TlsFiles {
        let files = TlsFiles {
            certificate: folder.join(format!("{host}.pem")),
            key: folder.join(format!("{host}.key")),
            ca: folder.join(format!("{host}.ca")),
        };
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![host.into()]).expect("parameters");
        let certificate = params.signed_by(&key, &self.0).expect("signed");
        std::fs::write(&files.certificate, certificate.pem()).expect("written");
        std::fs::write(&files.key, key.serialize_pem()).expect("written");
        std::fs::write(&files.ca, trusts.0.pem()).expect("written");
        files
    }
}

/// A box on a free port of this machine.
fn serve(files: &TlsFiles, desk: Memory) -> SocketAddr {
    let acceptor = files.acceptor().expect("an acceptor");
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.expect("a runtime").block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            tell.send(listener.local_addr().expect("an address"))
                .expect("a listener");
            let about = About {
                software: "test box".into(),
                name: "bench".into(),
            };
            serve_clients(listener, acceptor, about, move || desk.clone(), |_, _| {}).await;
        });
    });
    told.recv().expect("an address")
}

fn connect(address: SocketAddr, tls: TlsFiles) -> Result<Client, LinkError> {
    let options = Options {
        tls: Some(tls),
        ..Options::default()
    };
    Client::connect(
        &Endpoint::Tcp(format!("localhost:{}", address.port())),
        &options,
    )
}

#[test]
fn two_clients_with_certificates_get_in_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new();
    let desk = Memory::default();
    let address = serve(
        &authority.end(folder.path(), "localhost", &authority),
        desk.clone(),
    );
    let tool = authority.end(folder.path(), "tool", &authority);
    let mut one = connect(address, tool.clone()).expect("in");
    let mut other = connect(address, tool).expect("in");
    let object = bytes(2_000_000);
    let scan = Object::Scan {
        name: cut("x"),
        fast: false,
    };
    let id = one
        .put(&scan, &mut Cursor::new(&object), &mut |_| {})
        .expect("kept");
    let item = Item::Result {
        scan: id,
        name: cut("x"),
    };
    assert_eq!(
        other.get(&item, 4 << 20, &mut |_| {}).expect("there"),
        object
    );
}

/// Shows RQ-67.
#[test]
fn strangers_do_not_get_in_and_are_not_spoken_to() {
    let folder = tempfile::tempdir().expect("a folder");
    let (ours, theirs) = (Authority::new(), Authority::new());
    let address = serve(
        &ours.end(folder.path(), "localhost", &ours),
        Memory::default(),
    );
    // A tool that another authority has signed, though it trusts the box.
    let stranger = connect(address, theirs.end(folder.path(), "stranger", &ours));
    assert!(matches!(stranger, Err(LinkError::Open { .. })));
    // A box that is not the one the tool trusts.
    let careful = connect(address, ours.end(folder.path(), "careful", &theirs));
    assert!(matches!(careful, Err(LinkError::Open { .. })));
    // No certificates at all.
    let nobody = Client::connect(&Endpoint::Tcp(address.to_string()), &Options::default());
    assert!(matches!(nobody, Err(LinkError::NoCertificates)));
}

#[test]
fn files_that_hold_no_certificate_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new();
    let mut files = authority.end(folder.path(), "localhost", &authority);
    files.certificate = files.key.clone();
    let error = files.acceptor().err().expect("refused").to_string();
    assert!(
        error.contains("localhost.key: no certificate can be read"),
        "{error}"
    );
}
