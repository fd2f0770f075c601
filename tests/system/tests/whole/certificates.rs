//! Certificates for both ends of a line over the network.

use std::fs;
use std::path::Path;

use nephrobox_link::tls::TlsFiles;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

/// Who signs certificates.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }

    /// A certificate for a host, changed by `change` before it is signed, in a folder: `HOST.pem`, `HOST.key` and `ca.pem`.
    pub(crate) fn end(
        &self,
        folder: &Path,
        host: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> TlsFiles {
        let files = TlsFiles {
            certificate: folder.join(format!("{host}.pem")),
            key: folder.join(format!("{host}.key")),
            ca: folder.join("ca.pem"),
        };
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec![host.into()]).expect("parameters");
        change(&mut params);
        let certificate = params.signed_by(&key, &self.0).expect("signed");
        fs::write(&files.certificate, certificate.pem()).expect("written");
        fs::write(&files.key, key.serialize_pem()).expect("written");
        fs::write(&files.ca, self.0.pem()).expect("written");
        files
    }
}

/// Certificates of box and tool in a folder, signed by one authority.
pub(crate) fn certificates(folder: &Path) -> (TlsFiles, TlsFiles) {
    let authority = Authority::new();
    let end = |host| authority.end(folder, host, |_| ());
    (end("localhost"), end("tool"))
}
