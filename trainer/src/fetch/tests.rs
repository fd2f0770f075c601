//! Against a server on loopback that behaves as badly as servers do.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::*;

/// The file on the server: long enough to be cut in the middle.
fn content() -> Vec<u8> {
    (0..200_000_u32)
        .flat_map(|i| (i.wrapping_mul(2_654_435_761) >> 24).to_le_bytes())
        .collect()
}

/// How the server answers one request.
#[derive(Clone, Debug)]
enum Answer {
    /// The file, or the range asked for.
    Whole,
    /// So many bytes of what was asked for, then the connection closes.
    Drop(usize),
    /// The whole file, whatever range was asked for.
    IgnoreRange,
    /// Announces so many bytes more or fewer than it sends.
    Lie(i64),
    /// A range that nobody asked for.
    WrongRange,
    /// A status without the file.
    Status(u16),
    /// Another file.
    Other(&'static [u8]),
}

struct Server {
    url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Answers one request after the other as told, the last one for ever.
    fn start(file: Vec<u8>, answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/file", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&requests);
        std::thread::spawn(move || {
            for (i, stream) in listener.incoming().enumerate() {
                let answer = answers[i.min(answers.len() - 1)].clone();
                let Ok(stream) = stream else { return };
                let head = head(&stream);
                log.lock().unwrap().push(head.clone());
                // The client may hang up first.
                let _ = reply(stream, &head, &file, &answer);
            }
        });
        Self { url, requests }
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    fn item(&self, file: &[u8]) -> Item {
        use md5::{Digest, Md5};
        let md5 = super::hex(&Md5::digest(file));
        Item {
            path: "a/file.bin".into(),
            urls: vec![self.url.clone()],
            check: Check::Md5(md5),
        }
    }
}

fn head(stream: &TcpStream) -> String {
    let mut text = String::new();
    let mut reader = BufReader::new(stream);
    while reader.read_line(&mut text).is_ok_and(|n| n > 2) {}
    text.to_lowercase()
}

fn reply(mut to: TcpStream, head: &str, file: &[u8], answer: &Answer) -> std::io::Result<()> {
    let asked = head.split("range: bytes=").nth(1);
    let asked: Option<usize> = asked.and_then(|r| r.split('-').next()?.parse().ok());
    let ranged = asked.filter(|_| !matches!(answer, Answer::IgnoreRange | Answer::Lie(_)));
    let from = ranged.unwrap_or(0);
    let total = file.len();
    if let Answer::Status(status) = answer {
        return write!(
            to,
            "HTTP/1.1 {status} No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"
        );
    }
    if from >= total {
        return write!(
            to,
            "HTTP/1.1 416 No\r\nContent-Range: bytes */{total}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
    }
    let body: &[u8] = match answer {
        Answer::Other(other) => other,
        _ => &file[from..],
    };
    let announced = match answer {
        Answer::Lie(more) => (body.len() as i64 + more) as usize,
        _ => body.len(),
    };
    let range = match (ranged, answer) {
        (Some(_), Answer::WrongRange) => {
            format!("Content-Range: bytes 7-{}/{total}\r\n", total - 1)
        }
        (Some(from), _) => format!("Content-Range: bytes {from}-{}/{total}\r\n", total - 1),
        (None, _) => String::new(),
    };
    let status = if ranged.is_some() {
        "206 Partial Content"
    } else {
        "200 OK"
    };
    write!(
        to,
        "HTTP/1.1 {status}\r\nETag: \"one\"\r\n{range}Content-Length: {announced}\r\nConnection: close\r\n\r\n"
    )?;
    let sent = match answer {
        Answer::Drop(n) => &body[..(*n).min(body.len())],
        _ => body,
    };
    to.write_all(sent)
}

fn quick() -> Policy {
    Policy {
        attempts: 3,
        pause: Duration::from_millis(1),
        ..Policy::default()
    }
}

fn run(items: &[Item], folder: &Path) -> Summary {
    fetch(items, folder, quick(), |_| {}).unwrap()
}

/// Names of all files below `folder`.
fn files(folder: &Path) -> Vec<String> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path));
        } else {
            all.push(path.file_name().unwrap().to_string_lossy().into_owned());
        }
    }
    all.sort();
    all
}

#[test]
fn a_dropped_connection_goes_on_where_it_stopped() {
    let file = content();
    let server = Server::start(
        file.clone(),
        vec![Answer::Drop(300_000), Answer::Drop(1), Answer::Whole],
    );
    let folder = tempfile::tempdir().unwrap();
    let summary = run(&[server.item(&file)], folder.path());
    assert_eq!(
        (summary.fetched, summary.failed.len()),
        (1, 0),
        "{summary:?}"
    );
    assert_eq!(
        std::fs::read(folder.path().join("a/file.bin")).unwrap(),
        file
    );
    assert_eq!(files(folder.path()), ["fetched.json", "file.bin"]);
    let requests = server.requests();
    assert_eq!(requests.len(), 3);
    assert!(
        requests[1].contains("range: bytes=300000-") && requests[1].contains("if-range: \"one\""),
        "{requests:?}"
    );
    assert!(requests[2].contains("range: bytes=300001-"), "{requests:?}");
}

/// The second run finds a part of the first; the third finds the file whole and asks nobody.
#[test]
fn a_later_run_goes_on_and_one_after_that_has_nothing_to_do() {
    let file = content();
    let drop = Answer::Drop(100_000);
    let answers = vec![drop.clone(), Answer::Status(404), Answer::Whole];
    let server = Server::start(file.clone(), answers);
    let folder = tempfile::tempdir().unwrap();
    let items = [server.item(&file)];
    assert_eq!(run(&items, folder.path()).failed.len(), 1);
    assert!(!folder.path().join("a/file.bin").exists());
    assert_eq!(run(&items, folder.path()).fetched, 1);
    assert!(server.requests()[2].contains("range: bytes=100000-"));
    assert_eq!(run(&items, folder.path()).whole, 1);
    assert_eq!(server.requests().len(), 3);
    // Unless the file is hashed again, and is another one by now.
    let changed = vec![0_u8; file.len()];
    std::fs::write(folder.path().join("a/file.bin"), changed).unwrap();
    let rehash = Policy {
        rehash: true,
        ..quick()
    };
    let summary = fetch(&items, folder.path(), rehash, |_| {}).unwrap();
    assert!(
        matches!(summary.failed[0].1, FetchError::Existing { .. }),
        "{summary:?}"
    );
}

#[test]
fn a_server_that_ignores_ranges_starts_anew() {
    let file = content();
    let server = Server::start(
        file.clone(),
        vec![Answer::Drop(300_000), Answer::IgnoreRange],
    );
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(run(&[server.item(&file)], folder.path()).fetched, 1);
    assert_eq!(
        std::fs::read(folder.path().join("a/file.bin")).unwrap(),
        file
    );
}

#[test]
fn a_server_that_sends_another_range_starts_anew() {
    let file = content();
    let server = Server::start(
        file.clone(),
        vec![Answer::Drop(300_000), Answer::WrongRange, Answer::Whole],
    );
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(run(&[server.item(&file)], folder.path()).fetched, 1);
    assert_eq!(
        std::fs::read(folder.path().join("a/file.bin")).unwrap(),
        file
    );
    assert!(
        !server.requests()[2].contains("range:"),
        "nothing of the confused part is kept"
    );
}

/// Too long: it never becomes whole. Too short: it is, and the checksum differs. Neither leaves a file.
#[test]
fn a_server_that_lies_about_lengths_is_given_up() {
    let file = content();
    for (lie, wanted) in [(1000, "the connection broke off"), (-1000, "its MD5 is")] {
        let server = Server::start(file.clone(), vec![Answer::Lie(lie)]);
        let folder = tempfile::tempdir().unwrap();
        let summary = run(&[server.item(&file)], folder.path());
        let error = summary.failed[0].1.to_string();
        assert!(error.contains(wanted), "{lie}: {error}");
        assert!(!folder.path().join("a/file.bin").exists(), "{lie}");
        assert!(server.requests().len() <= 5, "{lie}: tried for ever");
    }
}

/// A status is said with what to do; a server's trouble is tried again, a missing file is not.
#[test]
fn statuses_are_errors_with_advice() {
    let file = content();
    for (status, requests, wanted) in [
        (404, 1, "--sources"),
        (403, 1, "login"),
        (500, 3, "try again later"),
    ] {
        let server = Server::start(file.clone(), vec![Answer::Status(status)]);
        let folder = tempfile::tempdir().unwrap();
        let summary = run(&[server.item(&file)], folder.path());
        let error = summary.failed[0].1.to_string();
        assert!(
            error.contains(&status.to_string()) && error.contains(wanted),
            "{error}"
        );
        assert_eq!(server.requests().len(), requests, "{status}");
        assert!(files(folder.path()).is_empty());
    }
}

#[test]
fn a_server_in_trouble_is_tried_again() {
    let file = content();
    let server = Server::start(
        file.clone(),
        vec![Answer::Status(503), Answer::Status(429), Answer::Whole],
    );
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(run(&[server.item(&file)], folder.path()).fetched, 1);
}

#[test]
fn a_wrong_file_leaves_nothing_behind() {
    let file = content();
    let server = Server::start(file.clone(), vec![Answer::Other(b"<html>login</html>")]);
    let folder = tempfile::tempdir().unwrap();
    let summary = run(&[server.item(&file)], folder.path());
    assert!(
        matches!(summary.failed[0].1, FetchError::Content { .. }),
        "{summary:?}"
    );
    assert!(files(folder.path()).is_empty());
}

/// The next address is tried, and nothing of the first one's part is mixed with it.
#[test]
fn the_next_address_takes_over() {
    let file = content();
    let (bad, good) = (
        Server::start(
            vec![7; 500_000],
            vec![Answer::Drop(1000), Answer::Status(404)],
        ),
        Server::start(file.clone(), vec![Answer::Whole]),
    );
    let folder = tempfile::tempdir().unwrap();
    let mut item = good.item(&file);
    item.urls.insert(0, bad.url.clone());
    assert_eq!(run(&[item], folder.path()).fetched, 1);
    assert_eq!(
        std::fs::read(folder.path().join("a/file.bin")).unwrap(),
        file
    );
    assert!(!good.requests()[0].contains("range:"));
}

#[test]
fn one_missing_file_does_not_keep_the_others() {
    let file = content();
    let missing = Server::start(file.clone(), vec![Answer::Status(404)]);
    let there = Server::start(file.clone(), vec![Answer::Whole]);
    let mut second = there.item(&file);
    second.path = "b.bin".into();
    let folder = tempfile::tempdir().unwrap();
    let summary = run(&[missing.item(&file), second], folder.path());
    assert_eq!((summary.fetched, summary.failed.len()), (1, 1));
}

#[test]
fn nobody_listening_is_an_error_that_names_the_address() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/x", listener.local_addr().unwrap());
    drop(listener);
    let item = Item {
        path: "x".into(),
        urls: vec![url.clone()],
        check: Check::Md5(String::new()),
    };
    let folder = tempfile::tempdir().unwrap();
    let summary = run(&[item], folder.path());
    assert!(
        summary.failed[0].1.to_string().contains(&url),
        "{summary:?}"
    );
}

/// Where no checksum is published, gzip's own has to hold and a NIfTI header to come out.
#[test]
fn a_scan_without_a_checksum_is_checked_by_its_own() {
    let mut header = vec![0_u8; 348];
    header[344..348].copy_from_slice(b"n+1\0");
    let packed = |bytes: &[u8]| {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        out.write_all(bytes).unwrap();
        out.finish().unwrap()
    };
    let scan: Vec<u8> = header.iter().copied().chain(content()).collect();
    let whole = packed(&scan);
    let mut damaged = whole.clone();
    let end = damaged.len() - 6;
    damaged[end] ^= 1; // in gzip's checksum
    for (name, bytes, right) in [
        ("whole", whole.clone(), true),
        ("cut", whole[..whole.len() - 100].to_vec(), false),
        ("damaged", damaged, false),
        ("no NIfTI", packed(&content()), false),
        ("a page", b"<html></html>".to_vec(), false),
    ] {
        let server = Server::start(bytes, vec![Answer::Whole]);
        let item = Item {
            path: "imaging.nii.gz".into(),
            urls: vec![server.url.clone()],
            check: Check::NiftiGz,
        };
        let folder = tempfile::tempdir().unwrap();
        let summary = run(&[item], folder.path());
        assert_eq!(summary.fetched == 1, right, "{name}: {summary:?}");
        assert_eq!(
            folder.path().join("imaging.nii.gz").exists(),
            right,
            "{name}"
        );
    }
}
