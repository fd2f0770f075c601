//! Over HTTP (STOW-RS, PS3.18 10.5): what goes over the wire, and what each answer means.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use nephrobox::config::{Config, Recipient};
use nephrobox::outbox::{Outbox, Sent, StowDestination, StowLimits};
use nephrobox::storage::Folder;
use tempfile::TempDir;

use super::{FILES, spool};

/// What the archive got.
struct Request {
    head: Vec<String>,
    body: Vec<u8>,
}

impl Request {
    fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.iter().filter_map(|line| line.split_once(": "));
        let mut named = lines.filter(|(key, _)| key.eq_ignore_ascii_case(name));
        named.next().map(|(_, value)| value)
    }

    /// The one part of the body.
    fn part(&self) -> &[u8] {
        let kind = self.header("content-type").expect("a type");
        assert!(
            kind.starts_with("multipart/related; type=\"application/dicom\"; "),
            "{kind}"
        );
        let boundary = kind.split_once("boundary=").expect("a boundary").1;
        let head = format!("--{boundary}\r\nContent-Type: application/dicom\r\n\r\n");
        let tail = format!("\r\n--{boundary}--\r\n");
        let part = self.body.strip_prefix(head.as_bytes()).expect("its head");
        part.strip_suffix(tail.as_bytes()).expect("its tail")
    }
}

fn read(stream: &TcpStream) -> Request {
    let mut reader = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a line");
        match line.trim_end() {
            "" => break,
            line => head.push(line.to_owned()),
        }
    }
    let mut request = Request {
        head,
        body: Vec::new(),
    };
    let length = request.header("content-length").expect("a length");
    request.body = vec![0; length.parse().expect("a number")];
    reader.read_exact(&mut request.body).expect("a body");
    request
}

/// An archive that gives these answers, one to each request.
fn archive(answers: &'static [(&'static str, &'static str)]) -> (u16, mpsc::Receiver<Request>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for (status, body) in answers {
            let (mut stream, _) = listener.accept().expect("a connection");
            tell.send(read(&stream)).expect("a test");
            let length = body.len();
            write!(
                stream,
                "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            )
            .expect("an answer");
        }
    });
    (port, told)
}

struct Bench {
    _home: TempDir,
    outbox: Outbox<Folder>,
    now: Instant,
}

impl Bench {
    fn new(port: u16, more: &str, files: &[(&str, &[u8])]) -> Self {
        Self::within(StowLimits::default(), port, more, files)
    }

    fn within(limits: StowLimits, port: u16, more: &str, files: &[(&str, &[u8])]) -> Self {
        let home = TempDir::new().expect("a folder");
        let more = more.replace("HOME", &home.path().display().to_string());
        std::fs::write(home.path().join("token"), "secret-word\n").expect("written");
        let text = format!("[[dicomweb]]\nurl = \"http://127.0.0.1:{port}/dicom-web/\"\n{more}");
        let config = Config::parse(&text).expect("right");
        let recipient = config.recipients().next().expect("one");
        let Recipient::DicomWeb(web) = recipient else {
            panic!("it is one");
        };
        let to = StowDestination::new(recipient.name(), web).within(limits);
        let spool = spool(home.path(), &recipient.name(), files);
        Self {
            outbox: Outbox::new(spool, vec![Box::new(to)]).expect("a known name"),
            _home: home,
            now: Instant::now(),
        }
    }

    /// A turn after every wait is over.
    fn turn(&mut self) -> Vec<Sent> {
        self.now += Duration::from_mins(10);
        self.outbox.turn(self.now).expect("a disk")
    }
}

fn confirmed(sent: &[Sent]) -> bool {
    matches!(sent, [Sent::Confirmed { .. }])
}

#[test]
fn each_object_is_posted_whole_and_everything_else_stays() {
    let (port, told) = archive(&[("200 OK", "{}"), ("200 OK", "{}"), ("200 OK", "{}")]);
    let mut bench = Bench::new(port, "token_file = \"HOME/token\"\n", &FILES);
    assert!(confirmed(&bench.turn()));
    let requests: Vec<Request> = told.try_iter().collect();
    let parts: Vec<&[u8]> = requests.iter().map(Request::part).collect();
    assert_eq!(parts, [FILES[1].1, FILES[2].1, FILES[3].1]);
    for request in &requests {
        assert_eq!(request.head[0], "POST /dicom-web/studies HTTP/1.1");
        assert_eq!(request.header("authorization"), Some("Bearer secret-word"));
        assert_eq!(request.header("accept"), Some("application/dicom+json"));
    }
    assert!(bench.turn().is_empty(), "once is enough");
}

#[test]
fn only_what_is_asked_for_is_sent() {
    let (port, told) = archive(&[("200 OK", "{}")]);
    let mut bench = Bench::new(port, "objects = [\"document\"]\n", &FILES);
    assert!(confirmed(&bench.turn()));
    let requests: Vec<Request> = told.try_iter().collect();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].part(), FILES[3].1);
    assert_eq!(requests[0].header("authorization"), None);
}

#[test]
fn a_scan_that_was_no_series_needs_no_archive() {
    let mut bench = Bench::new(9, "", &FILES[..1]);
    assert!(confirmed(&bench.turn()));
}

/// Answers of an archive, and whether the object is stored. 202 says that something is to be read: a warning, or a failure.
#[test]
fn what_is_not_stored_is_sent_again_and_nothing_is_redirected() {
    const FAILED: &str =
        r#"{"00081198":{"vr":"SQ","Value":[{"00081197":{"vr":"US","Value":[272]}}]}}"#;
    const REMARK: &str =
        r#"{"00081199":{"vr":"SQ","Value":[{"00081196":{"vr":"US","Value":[45056]}}]}}"#;
    for (answers, stored) in [
        (&[("200 OK", "")][..], true),
        (&[("202 Accepted", REMARK)], true),
        (&[("202 Accepted", FAILED)], false),
        (&[("202 Accepted", "<xml/>")], false),
        (&[("400 Bad Request", "")], false),
        (&[("401 Unauthorized", "")], false),
        (&[("409 Conflict", FAILED)], false),
        (&[("503 Service Unavailable", "")], false),
        (
            &[("307 Temporary Redirect\r\nLocation: http://192.0.2.1/", "")],
            false,
        ),
    ] {
        let answers: &'static [_] = answers.to_vec().leak();
        let (port, _told) = archive(answers);
        let mut bench = Bench::new(port, "objects = [\"document\"]\n", &FILES);
        let sent = bench.turn();
        assert_eq!(confirmed(&sent), stored, "{answers:?}: {sent:?}");
        if let [Sent::Failed { reason, .. }] = &sent[..] {
            let status = &answers[0].0[..3];
            assert!(reason.contains(status) || status == "202", "{reason}");
        }
    }
}

/// An archive that takes a request, begins its answer with `head` and goes on with `more` for ever.
fn endless(head: &'static str, more: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        read(&stream);
        let mut written = stream.write_all(head.as_bytes());
        // Until the box has hung up.
        while written.is_ok() {
            std::thread::sleep(Duration::from_millis(20));
            written = stream.write_all(more.as_bytes());
        }
    });
    port
}

/// Every byte is a sign of life, so that only a limit of the whole ends it.
#[test]
fn an_answer_that_never_ends_is_given_up_and_the_object_counts_as_not_stored() {
    let limits = StowLimits {
        answer: Duration::from_secs(2),
        words: Duration::from_millis(300),
        ..StowLimits::default()
    };
    for (head, more) in [
        (
            "HTTP/1.1 202 Accepted\r\nContent-Length: 1000000\r\n\r\n",
            " ",
        ),
        (
            "HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n",
            "1\r\n \r\n",
        ),
        ("HTTP/1.1 202 Accepted\r\nX-Words: ", "a"),
    ] {
        let port = endless(head, more);
        let mut bench = Bench::within(limits, port, "objects = [\"document\"]\n", &FILES);
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || tell.send(bench.turn()));
        let sent = told.recv_timeout(Duration::from_secs(30)).expect("an end");
        assert!(
            matches!(sent[..], [Sent::Failed { .. }]),
            "{head}: {sent:?}"
        );
    }
}

/// An archive whose machine takes a connection and the box's bytes, and whose program is not there to read them.
#[test]
fn an_archive_that_does_not_read_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let limits = StowLimits {
        object: Duration::from_millis(300),
        ..StowLimits::default()
    };
    // More than the buffers of a connection take.
    let object = vec![7; 32 << 20];
    let files = [("report.json", &b"{}"[..]), (FILES[3].0, &object[..])];
    let mut bench = Bench::within(limits, port, "objects = [\"document\"]\n", &files);
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || tell.send(bench.turn()));
    let sent = told.recv_timeout(Duration::from_mins(1)).expect("an end");
    assert!(matches!(sent[..], [Sent::Failed { .. }]), "{sent:?}");
    drop(listener);
}

/// Shows RQ-49.
#[test]
fn an_archive_that_is_away_is_asked_again_until_it_is_back() {
    let (port, told) = archive(&[("500 Internal Server Error", ""), ("200 OK", "{}")]);
    let mut bench = Bench::new(port, "objects = [\"measurements\"]\n", &FILES);
    assert!(matches!(bench.turn()[..], [Sent::Failed { .. }]));
    assert!(confirmed(&bench.turn()));
    assert_eq!(told.try_iter().count(), 2);
    let mut bench = Bench::new(1, "", &FILES);
    assert!(
        matches!(bench.turn()[..], [Sent::Failed { .. }]),
        "nobody listens"
    );
}

#[test]
fn certificates_that_are_none_are_told_of_before_anything_is_sent() {
    let mut bench = Bench::new(9, "ca = \"HOME/token\"\n", &FILES);
    let sent = bench.turn();
    let [Sent::Failed { reason, .. }] = &sent[..] else {
        panic!("{sent:?}");
    };
    assert!(reason.contains("holds no certificate"), "{reason}");
}
