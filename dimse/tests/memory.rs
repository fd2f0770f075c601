//! Associations that are aborted, by the thousands, leave memory as it was. Alone in its program, since it looks at the whole process.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nephrobox_dimse::client::{Association, Context, Object, Remote};
use nephrobox_dimse::server::{Desk, Event, Offer, Peer, Refusal, Server, Settings, Sink};

const PATIENCE: Duration = Duration::from_mins(1);
/// What the process may have grown by. One connection that is not given back is some 10 KiB with its thread's stack.
const MOST_GROWTH_KIB: i64 = 8 << 10;

/// Counts the connections that are over; keeps nothing.
#[derive(Default)]
struct Counter(AtomicUsize);

struct Nowhere;

impl Sink for Nowhere {
    fn write(&mut self, _: &[u8]) -> std::io::Result<()> {
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<(), Refusal> {
        Ok(())
    }
}

impl Desk for Counter {
    fn begin(&self, _: &Offer) -> Result<Box<dyn Sink>, Refusal> {
        Ok(Box::new(Nowhere))
    }

    fn event(&self, event: Event) {
        if matches!(event, Event::Ended(..)) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
}

fn resident_kib() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// An association request as our own client makes it, caught on its way.
fn request(remote: &Remote) -> Vec<u8> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut remote = remote.clone();
    remote.port = listener.local_addr().unwrap().port();
    let caught = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut head = [0; 6];
        socket.read_exact(&mut head).unwrap();
        let mut body = vec![0; u32::from_be_bytes(head[2..].try_into().unwrap()) as usize];
        socket.read_exact(&mut body).unwrap();
        [head.to_vec(), body].concat()
    });
    let ct = |syntax: &&str| Context {
        sop_class_uid: "1.2.840.10008.5.1.4.1.1.2".into(),
        transfer_syntax: (*syntax).into(),
    };
    let contexts: Vec<_> = nephrobox_dimse::syntax::STORED.iter().map(ct).collect();
    assert!(Association::open(&remote, &contexts).is_err());
    caught.join().unwrap()
}

/// One of six ways to leave.
fn leave(address: SocketAddr, request: &[u8], way: usize) {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    // A server that has had enough closes before everything is said.
    let mut say = |bytes: &[u8]| socket.write_all(bytes).is_ok();
    let half = &request[..request.len() / 2];
    let abort = [7, 0, 0, 0, 0, 4, 0, 0, 0, 0];
    match way % 6 {
        0 => true,
        1 => say(half),
        2 => say(request),
        3 => say(request) && say(&abort),
        // An object that is begun and left.
        4 => say(request) && say(&[4, 0, 0, 0, 64, 0, 0, 0, 63, 252, 1, 1]) && say(&[0; 500]),
        _ => say(request) && say(&[4, 0, 255, 255, 255, 255]),
    };
}

#[test]
fn thousands_of_aborted_associations_leave_memory_flat() {
    if !cfg!(target_os = "linux") {
        eprintln!("skipped: resident memory is read from /proc");
        return;
    }
    let count = 10_000;
    let mut settings = Settings::new("NEPHROBOX");
    settings.peers = vec![Peer {
        name: "CT 1".into(),
        ae_title: "SCANNER".into(),
        address: None,
    }];
    settings.silence = PATIENCE;
    let desk = Arc::new(Counter::default());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = Server::start(listener, settings, Arc::clone(&desk) as Arc<dyn Desk>).unwrap();
    let remote = Remote::new("127.0.0.1", server.address().port(), "NEPHROBOX", "SCANNER");
    let request = request(&remote);
    // At most four at once, so that each is served to its end and none is turned away for want of a place.
    let wait = |gone: usize| {
        let begin = Instant::now();
        while desk.0.load(Ordering::SeqCst) < gone {
            assert!(begin.elapsed() < PATIENCE, "a connection does not end");
            std::thread::yield_now();
        }
    };
    let run = |ways: std::ops::Range<usize>| {
        for way in ways.clone() {
            wait((way + 1).saturating_sub(4));
            leave(server.address(), &request, way);
        }
        wait(ways.end);
    };
    // Threads' arenas and the allocator's own tables are there after the first few.
    let first = 200;
    run(0..first);
    let before = resident_kib();
    let begin = Instant::now();
    run(first..first + count);
    let after = resident_kib();
    println!(
        "{count} aborted associations in {:.1} s: {before} KiB before, {after} KiB after",
        begin.elapsed().as_secs_f64()
    );
    assert!(
        after - before < MOST_GROWTH_KIB,
        "grew from {before} to {after} KiB over {count} associations"
    );
    let mut association = Association::open(&remote, &[Context::echo()]).unwrap();
    association.echo().unwrap();
    association.release().unwrap();
}

#[test]
#[ignore = "a measurement, with the programs of dcmtk: cargo test --test memory -- --ignored --nocapture"]
fn storing_against_dcmtk() {
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
        .unwrap();
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
    for _ in 0..3 {
        println!(
            "{count} slices of 512 KiB, in s: storescu to storescp {:.2}, storescu to us {:.2}, us to storescp {:.2}, us to us {:.2}",
            storescu(port),
            storescu(ours),
            client(port),
            client(ours)
        );
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
