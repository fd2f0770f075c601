//! How fast objects are stored, beside dcmtk's `storescu` and `storescp`: `cargo run --release -p nephrobox-dimse --example storing`.
//!
//! Each side is tried with the other's, in the same run. Nobody waits for the disk: `storescp` does not, and so the server here does not.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nephrobox_dimse::client::{Association, Object, Remote};
use nephrobox_dimse::server::{Desk, Event, Offer, Peer, Refusal, Server, Settings, Sink};

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let count = 300;
    let mut paths = Vec::new();
    for number in 0..count {
        let path = folder.path().join(format!("{number}.dcm"));
        std::fs::write(&path, slice(number)).unwrap();
        paths.push(path);
    }
    let received = folder.path().join("received");
    std::fs::create_dir(&received).unwrap();
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let mut theirs = std::process::Command::new("storescp")
        .args(["-pdu", "131072", "+B", "-od"])
        .arg(&received)
        .arg(port.to_string())
        .spawn()
        .expect("storescp of dcmtk");
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut settings = Settings::new("NEPHROBOX");
    settings.any_called_title = true;
    settings.peers = vec![Peer {
        name: "all".into(),
        ae_title: "STORESCU".into(),
        address: None,
    }];
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = Server::start(
        listener,
        settings,
        Arc::new(Files(received.clone(), AtomicUsize::new(0))),
    )
    .unwrap();
    let ours = server.address().port();
    let storescu = |port: u16| {
        let begin = Instant::now();
        let sent = std::process::Command::new("storescu")
            .args(["-xe", "-R", "127.0.0.1", &port.to_string()])
            .args(&paths)
            .status()
            .unwrap();
        assert!(sent.success());
        begin.elapsed().as_secs_f64()
    };
    let client = |port: u16| {
        let begin = Instant::now();
        let remote = Remote::new("127.0.0.1", port, "ANY-SCP", "STORESCU");
        let context = Object::open(&paths[0]).unwrap().context();
        let mut association = Association::open(&remote, &[context]).unwrap();
        for path in &paths {
            association.store(&mut Object::open(path).unwrap()).unwrap();
        }
        association.release().unwrap();
        begin.elapsed().as_secs_f64()
    };
    println!(
        "{count} slices of 512 KiB on one association, in s; in brackets, how many times as fast as the peer alone"
    );
    for _ in 0..3 {
        let peer = storescu(port);
        let others = [
            ("storescu to us", storescu(ours)),
            ("us to storescp", client(port)),
            ("us to us", client(ours)),
        ];
        let others = others.map(|(road, took)| format!("{road} {took:.2} ({:.2})", peer / took));
        println!("storescu to storescp {peer:.2}, {}", others.join(", "));
    }
    theirs.kill().unwrap();
    theirs.wait().unwrap();
}

/// Writes files as storescp does, without waiting for the disk.
struct Files(std::path::PathBuf, AtomicUsize);

impl Desk for Files {
    fn begin(&self, _: &Offer) -> Result<Box<dyn Sink>, Refusal> {
        let number = self.1.fetch_add(1, Ordering::SeqCst);
        let file = std::fs::File::create(self.0.join(format!("ours-{number}"))).unwrap();
        Ok(Box::new(ToFile(std::io::BufWriter::new(file))))
    }

    fn event(&self, _: Event) {}
}

struct ToFile(std::io::BufWriter<std::fs::File>);

impl Sink for ToFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.0.write_all(bytes)
    }

    fn finish(mut self: Box<Self>) -> Result<(), Refusal> {
        self.0.flush().unwrap();
        Ok(())
    }
}

/// A CT slice of 512 x 512 pixels.
fn slice(number: usize) -> Vec<u8> {
    use dicom_core::{DataElement, VR, value::PrimitiveValue};
    use dicom_dictionary_std::tags;
    let instance = format!("2.25.{}", number + 1);
    let text = |tag, value: &str| DataElement::new(tag, VR::UI, PrimitiveValue::from(value));
    let pixels = PrimitiveValue::U16(vec![1000; 512 * 512].into());
    let object = dicom_object::InMemDicomObject::from_element_iter([
        text(tags::SOP_CLASS_UID, "1.2.840.10008.5.1.4.1.1.2"),
        text(tags::SOP_INSTANCE_UID, &instance),
        text(tags::STUDY_INSTANCE_UID, "2.25.9"),
        text(tags::SERIES_INSTANCE_UID, "2.25.8"),
        DataElement::new(tags::BITS_ALLOCATED, VR::US, PrimitiveValue::from(16_u16)),
        DataElement::new(tags::PIXEL_DATA, VR::OW, pixels),
    ]);
    let meta = dicom_object::FileMetaTableBuilder::new()
        .transfer_syntax("1.2.840.10008.1.2.1")
        .media_storage_sop_class_uid("1.2.840.10008.5.1.4.1.1.2")
        .media_storage_sop_instance_uid(instance);
    let mut bytes = Vec::new();
    object
        .with_meta(meta)
        .unwrap()
        .write_all(&mut bytes)
        .unwrap();
    bytes
}
