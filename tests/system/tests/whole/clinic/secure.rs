//! TLS with certificates on both sides, in both directions.

use nephrobox_dimse::client::{Association, Context, Tls};
use nephrobox_dimse::tls::{self, Identity};
use nephrobox_link::tls::TlsFiles;
use tempfile::TempDir;

use super::{Clinic, TestArchive, free_port, phantom, store};
use crate::certificates::certificates;

fn identity(files: &TlsFiles) -> Identity {
    Identity {
        certificate: files.certificate.clone(),
        key: files.key.clone(),
    }
}

/// Shows RQ-67.
#[test]
fn a_series_comes_and_its_objects_go_over_tls_and_who_has_no_certificate_stays_out() {
    let folder = TempDir::new().expect("a folder");
    let (here, there) = certificates(folder.path());
    let port = free_port();
    let more = format!(
        "certificate = {:?}\nkey = {:?}\nclient_ca = {:?}\n\
         [[archive]]\naddress = \"localhost:{port}\"\nae_title = \"ARCHIVE\"\nca = {:?}\n",
        here.certificate, here.key, here.ca, here.ca
    );
    let (clinic, client) = Clinic::running(&more);
    drop(client);
    let archive_tls = tls::server(&identity(&here), Some(&here.ca)).expect("certificates");
    let archive = TestArchive::start_with(port, &clinic.home.path("archive"), Some(archive_tls));

    let plain = clinic.remote("CT1");
    Association::open(&plain, &[Context::echo()]).expect_err("no TLS");
    let with = |own: Option<&Identity>| {
        let mut remote = plain.clone();
        remote.tls = Some(Tls {
            config: tls::client(&there.ca, own).expect("certificates"),
            name: Some("localhost".into()),
        });
        remote
    };
    Association::open(&with(None), &[Context::echo()]).expect_err("no certificate");
    let files = clinic.series("series", &phantom([false; 3], "2.25.880011"));
    store(&with(Some(&identity(&there))), &files);
    archive.wait_for(4);
}
