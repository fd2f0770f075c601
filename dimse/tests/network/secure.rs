//! TLS: who is believed, and who is not.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dicom_dictionary_std::uids;
use nephrobox_dimse::client::{Association, Context, LineError, Object, OpenError, Remote, Tls};
use nephrobox_dimse::server::{Denial, End, Event};
use nephrobox_dimse::tls::{self, Identity, TlsError};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use crate::objects::slice;
use crate::support::{Running, run, settings};

/// A CA in a folder, and what it signs.
pub(crate) struct Ca {
    folder: PathBuf,
    name: &'static str,
    issuer: Issuer<'static, KeyPair>,
}

impl Ca {
    pub(crate) fn new(folder: &Path, name: &'static str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        let certificate = params.self_signed(&key).unwrap();
        let ca = Self {
            folder: folder.to_owned(),
            name,
            issuer: Issuer::new(params, key),
        };
        std::fs::write(ca.file(), certificate.pem()).unwrap();
        ca
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder.join(format!("{}.pem", self.name))
    }

    /// A certificate for a host or a client.
    pub(crate) fn sign(&self, host: &str) -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, host);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let file = |kind| self.folder.join(format!("{}-{host}.{kind}.pem", self.name));
        std::fs::write(file("cert"), certificate.pem()).unwrap();
        std::fs::write(file("key"), key.serialize_pem()).unwrap();
        Identity {
            certificate: file("cert"),
            key: file("key"),
        }
    }
}

fn secure(own: &Identity, client_ca: Option<&Path>) -> Running {
    let mut settings = settings();
    settings.tls = Some(tls::server(own, client_ca).unwrap());
    run(settings)
}

fn remote(running: &Running, ca: &Ca, own: Option<&Identity>) -> Remote {
    let mut remote = running.remote();
    remote.tls = Some(Tls {
        config: tls::client(&ca.file(), own).unwrap(),
        name: None,
    });
    remote
}

#[test]
fn an_object_goes_through_tls_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let ca = Ca::new(folder.path(), "ca");
    let own = ca.sign("scanner");
    for client_ca in [None, Some(ca.file())] {
        let running = secure(&ca.sign("127.0.0.1"), client_ca.as_deref());
        let file = slice(uids::EXPLICIT_VR_LITTLE_ENDIAN, "2.25.77", 512);
        let mut object = Object::read(file.as_slice()).unwrap();
        let remote = remote(&running, &ca, client_ca.as_ref().map(|_| &own));
        let mut association =
            Association::open(&remote, &[object.context(), Context::echo()]).unwrap();
        association.echo().unwrap();
        association.store(&mut object).unwrap();
        association.release().unwrap();
        assert_eq!(running.shelf.end(), End::Released);
        let kept = &running.shelf.stored.lock().unwrap()[0].1;
        assert_eq!(
            crate::objects::data_set(kept),
            crate::objects::data_set(&file)
        );
    }
}

#[test]
fn a_server_with_the_certificate_of_somebody_else_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    let (ca, other) = (
        Ca::new(folder.path(), "ca"),
        Ca::new(folder.path(), "other"),
    );
    for wrong in [other.sign("127.0.0.1"), ca.sign("another.example")] {
        let running = secure(&wrong, None);
        let error =
            Association::open(&remote(&running, &ca, None), &[Context::echo()]).unwrap_err();
        assert!(matches!(error, OpenError::Tls { .. }), "{error}");
        running
            .shelf
            .wait(|event| matches!(event, Event::Refused(_, Denial::Tls)).then_some(()));
    }
}

#[test]
fn a_server_may_go_by_another_name_than_its_host() {
    let folder = tempfile::tempdir().unwrap();
    let ca = Ca::new(folder.path(), "ca");
    let running = secure(&ca.sign("box.example"), None);
    let mut remote = remote(&running, &ca, None);
    remote.tls.as_mut().unwrap().name = Some("box.example".into());
    Association::open(&remote, &[Context::echo()])
        .unwrap()
        .release()
        .unwrap();
}

/// Shows RQ-67.
#[test]
fn a_client_without_the_right_certificate_gets_no_association() {
    let folder = tempfile::tempdir().unwrap();
    let (ca, other) = (
        Ca::new(folder.path(), "ca"),
        Ca::new(folder.path(), "other"),
    );
    let running = secure(&ca.sign("127.0.0.1"), Some(&ca.file()));
    for wrong in [None, Some(other.sign("scanner"))] {
        let remote = remote(&running, &ca, wrong.as_ref());
        // In TLS 1.3 the server looks at it after the client is done: the client hears of it with its first answer.
        let error = Association::open(&remote, &[Context::echo()]).unwrap_err();
        assert!(
            matches!(
                error,
                OpenError::Tls { .. } | OpenError::Line(LineError::Lost(_))
            ),
            "{error}"
        );
        running
            .shelf
            .wait(|event| matches!(event, Event::Refused(_, Denial::Tls)).then_some(()));
        running.shelf.events.lock().unwrap().clear();
    }
}

#[test]
fn plain_and_tls_do_not_understand_each_other_and_nobody_hangs() {
    let folder = tempfile::tempdir().unwrap();
    let ca = Ca::new(folder.path(), "ca");
    let tls_server = secure(&ca.sign("127.0.0.1"), None);
    let error = Association::open(&tls_server.remote(), &[Context::echo()]).unwrap_err();
    assert!(matches!(error, OpenError::Line(_)), "{error}");
    tls_server
        .shelf
        .wait(|event| matches!(event, Event::Refused(_, Denial::Tls)).then_some(()));

    let plain = run(settings());
    let error = Association::open(&remote(&plain, &ca, None), &[Context::echo()]).unwrap_err();
    assert!(matches!(error, OpenError::Tls { .. }), "{error}");
    plain.is_well();
}

#[test]
fn files_that_are_no_certificates_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let ca = Ca::new(folder.path(), "ca");
    let (one, other) = (ca.sign("one"), ca.sign("other"));
    let nothing = folder.path().join("nothing.pem");
    std::fs::write(&nothing, "no certificate").unwrap();
    let no_key = Identity {
        key: nothing.clone(),
        ..one.clone()
    };
    let no_certificate = Identity {
        certificate: nothing.clone(),
        ..one.clone()
    };
    for wrong in [no_key, no_certificate] {
        let error = tls::server(&wrong, None).unwrap_err();
        assert!(
            matches!(&error, TlsError::File { path, .. } if *path == nothing),
            "{error}"
        );
    }
    let mixed = Identity {
        key: other.key,
        ..one
    };
    assert!(matches!(
        tls::server(&mixed, None),
        Err(TlsError::Unusable(_))
    ));
    assert!(tls::client(&nothing, None).is_err());
    assert!(tls::client(&folder.path().join("missing.pem"), None).is_err());
    let good: Arc<_> = tls::client(&ca.file(), None).unwrap();
    drop(good);
}
