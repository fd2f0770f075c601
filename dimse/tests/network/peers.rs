//! dcmtk at the other end. Skipped, and said so, where it is not installed.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use dicom_dictionary_std::uids;
use nephrobox_dimse::client::{Association, Context, Object, Remote, Tls};
use nephrobox_dimse::syntax::STORED;
use nephrobox_dimse::tls;

use crate::objects::{data_set, slice};
use crate::secure::Ca;
use crate::support::{PATIENCE, Running, ct, run, settings};

/// Whether dcmtk's programs are there; says so if not.
fn installed(program: &str) -> bool {
    let found = Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok();
    if !found {
        eprintln!("skipped: {program} is not installed (Debian: dcmtk)");
    }
    found
}

/// Runs one of dcmtk's clients against our server.
fn client(program: &str, running: &Running, options: &[&str], files: &[PathBuf]) -> bool {
    let output = Command::new(program)
        .args(["-v", "-aet", "SCANNER", "-aec", "NEPHROBOX"])
        .args(options)
        .args(["127.0.0.1", &running.address().port().to_string()])
        .args(files)
        .output()
        .unwrap();
    println!("{}", String::from_utf8_lossy(&output.stderr));
    output.status.success()
}

fn write(folder: &Path, syntax: &str, number: usize) -> PathBuf {
    let path = folder.join(format!("{number}.dcm"));
    std::fs::write(&path, slice(syntax, &format!("2.25.{number}"), 128)).unwrap();
    path
}

#[test]
fn echoscu_is_answered() {
    if !installed("echoscu") {
        return;
    }
    let running = run(settings());
    assert!(client("echoscu", &running, &[], &[]));
    assert!(client("echoscu", &running, &["--repeat", "20"], &[]));
    assert!(client("echoscu", &running, &["--propose-pc", "128"], &[]));
    assert!(!client("echoscu", &running, &["-aec", "SOMEBODY"], &[]));
}

/// The option of storescu that proposes a syntax. There is none for JPEG lossless of any predictor (.4.57).
const STORESCU: [(&str, &str); 9] = [
    (uids::IMPLICIT_VR_LITTLE_ENDIAN, "-xi"),
    (uids::EXPLICIT_VR_LITTLE_ENDIAN, "-xe"),
    (uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, "-xd"),
    (uids::JPEG_LOSSLESS_SV1, "-xs"),
    (uids::JPEGLS_LOSSLESS, "-xt"),
    (uids::JPEGLS_NEAR_LOSSLESS, "-xu"),
    (uids::JPEG2000_LOSSLESS, "-xv"),
    (uids::JPEG2000, "-xw"),
    (uids::RLE_LOSSLESS, "-xr"),
];

#[test]
fn storescu_sends_every_syntax_that_it_can_propose() {
    if !installed("storescu") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for (syntax, option) in STORESCU {
        let running = run(settings());
        let files = [1, 2, 3].map(|number| write(folder.path(), syntax, number));
        // Without -R it proposes 120 contexts of all kinds, with it only what the files need.
        for options in [&[option][..], &[option, "-R"], &[option, "+C"]] {
            assert!(client("storescu", &running, options, &files), "{options:?}");
            let kept = std::mem::take(&mut *running.shelf.stored.lock().unwrap());
            assert_eq!(kept.len(), 3, "{options:?}");
            for (offer, kept) in kept {
                assert_eq!(offer.transfer_syntax, syntax);
                assert!(
                    dicom_object::from_reader(kept.as_slice()).is_ok() || syntax.ends_with(".99")
                );
            }
        }
    }
}

#[test]
fn storescu_hears_of_every_refusal() {
    if !installed("storescu") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), uids::EXPLICIT_VR_LITTLE_ENDIAN, 1);
    let mut stranger = settings();
    stranger.peers.clear();
    let mut small = settings();
    small.max_object_bytes = 1000;
    for (what, settings) in [("on no list", stranger), ("too large", small)] {
        let running = run(settings);
        assert!(
            !client("storescu", &running, &[], std::slice::from_ref(&file)),
            "{what}"
        );
        assert!(running.shelf.stored.lock().unwrap().is_empty());
        running.is_well();
    }
    // JPEG as in photographs is not taken.
    let running = run(settings());
    let photograph = write(folder.path(), uids::JPEG_BASELINE8_BIT, 2);
    assert!(!client("storescu", &running, &["-xy"], &[photograph]));
    assert!(client(
        "storescu",
        &running,
        &["--abort"],
        std::slice::from_ref(&file)
    ));
    running.is_well();
}

/// dcmtk's server in a folder, killed when it is dropped.
struct StoreScp {
    process: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl StoreScp {
    fn start(options: &[&str]) -> Self {
        // It takes no port 0; another program may take a free port first, and then it ends at once.
        (0..20)
            .find_map(|_| Self::at_a_free_port(options))
            .expect("storescp does not start")
    }

    fn at_a_free_port(options: &[&str]) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let mut process = Command::new("storescp")
            .args(options)
            .args(["-aet", "ARCHIVE", "+B", "+xa", "-od"])
            .arg(folder.path())
            .arg(port.to_string())
            .spawn()
            .unwrap();
        let begin = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            if process.try_wait().unwrap().is_some() {
                return None;
            }
            assert!(begin.elapsed() < PATIENCE, "storescp does not listen");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        Some(Self {
            process,
            port,
            folder,
        })
    }

    fn remote(&self) -> Remote {
        let mut remote = Remote::new("127.0.0.1", self.port, "ARCHIVE", "NEPHROBOX");
        remote.negotiation = PATIENCE;
        remote.silence = PATIENCE;
        remote
    }

    /// The data sets of what it has stored.
    fn stored(&self) -> Vec<Vec<u8>> {
        let files = std::fs::read_dir(self.folder.path()).unwrap();
        files
            .map(|file| data_set(&std::fs::read(file.unwrap().path()).unwrap()).to_vec())
            .collect()
    }
}

impl Drop for StoreScp {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Sends one object of every syntax, and finds each as it was sent.
fn send_all(archive: &StoreScp, remote: &Remote) {
    let mut contexts: Vec<_> = STORED.iter().map(|syntax| ct(syntax)).collect();
    contexts.push(Context::echo());
    let mut association = Association::open(remote, &contexts).unwrap();
    association.echo().unwrap();
    let mut sent = Vec::new();
    for (syntax, number) in STORED.iter().zip(1..) {
        let file = slice(syntax, &format!("2.25.{number}"), 300);
        if association.accepts(&ct(syntax)) {
            association
                .store(&mut Object::read(file.as_slice()).unwrap())
                .unwrap();
            sent.push(data_set(&file).to_vec());
        } else {
            println!("dcmtk does not take {syntax}");
        }
    }
    association.release().unwrap();
    assert!(sent.len() >= 9, "{} syntaxes were accepted", sent.len());
    let mut stored = archive.stored();
    stored.sort();
    sent.sort();
    assert!(stored == sent, "what storescp stored is not what was sent");
}

#[test]
fn storescp_stores_what_our_client_sends() {
    if !installed("storescp") {
        return;
    }
    let archive = StoreScp::start(&[]);
    send_all(&archive, &archive.remote());
}

#[test]
fn storescp_inside_tls_stores_what_our_client_sends() {
    if !installed("storescp") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let ca = Ca::new(folder.path(), "ca");
    let (theirs, ours) = (ca.sign("localhost"), ca.sign("nephrobox"));
    let archive = StoreScp::start(&[
        "+tls",
        theirs.key.to_str().unwrap(),
        theirs.certificate.to_str().unwrap(),
        "+cf",
        ca.file().to_str().unwrap(),
    ]);
    let mut remote = archive.remote();
    remote.tls = Some(Tls {
        config: tls::client(&ca.file(), Some(&ours)).unwrap(),
        name: Some("localhost".into()),
    });
    send_all(&archive, &remote);
}

#[test]
fn storescu_inside_tls_is_served() {
    if !installed("storescu") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (ca, other) = (
        Ca::new(folder.path(), "ca"),
        Ca::new(folder.path(), "other"),
    );
    let file = write(folder.path(), uids::EXPLICIT_VR_LITTLE_ENDIAN, 1);
    let mut settings = settings();
    settings.tls = Some(tls::server(&ca.sign("localhost"), Some(&ca.file())).unwrap());
    let running = run(settings);
    let trusted = ca.file();
    for (signer, wanted) in [(&ca, true), (&other, false)] {
        let own = signer.sign("scanner");
        let options = [
            "+tls",
            own.key.to_str().unwrap(),
            own.certificate.to_str().unwrap(),
            "+cf",
            trusted.to_str().unwrap(),
        ];
        let sent = client("storescu", &running, &options, std::slice::from_ref(&file));
        assert_eq!(sent, wanted);
        assert_eq!(
            running.shelf.stored.lock().unwrap().drain(..).count(),
            usize::from(wanted)
        );
    }
}
