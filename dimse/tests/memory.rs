//! Associations that are aborted, by the thousands, leave memory as it was. Alone in its program, since it looks at the whole process.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nephrobox_dimse::client::{Association, Context, Remote};
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
