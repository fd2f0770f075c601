//! The status page's server: requests as browsers and strangers send them.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::fault::{Fault, FaultCode};
use crate::snapshot::{ResultSummary, Snapshot};
use crate::spool::{Settings, Spool};
use crate::storage::Folder;

/// A shelf with nothing on it, and the folder that it is of.
fn empty_shelf() -> (Shelf, tempfile::TempDir) {
    let home = tempfile::tempdir().expect("a folder");
    let storage = Folder::open(home.path()).expect("a folder");
    let (spool, _) = Spool::open(storage, Settings::default()).expect("a queue");
    (Shelf::new(Arc::new(spool), true), home)
}

async fn served(shared: Shared, lifetime: Duration) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address");
    let limited = Limited {
        listener,
        room: Arc::new(Semaphore::new(2)),
        lifetime,
    };
    let (shelf, home) = empty_shelf();
    tokio::spawn(async move {
        let _home = home;
        axum::serve(limited, router(shared, shelf)).await
    });
    address
}

async fn ask(address: SocketAddr, method: &str, path: &str, host: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let request = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("an answer");
    String::from_utf8_lossy(&answer).into_owned()
}

fn well() -> Snapshot {
    Snapshot {
        started: true,
        active_model: Some("<b>demo</b> 3".into()),
        results: vec![ResultSummary {
            scan: "7f3a".into(),
            overlay_png: Some(Arc::from(&b"PNG!"[..])),
            ..ResultSummary::default()
        }],
        ..Snapshot::default()
    }
}

#[tokio::test]
async fn a_box_that_is_well() {
    let address = served(Shared::new(well()), LIFETIME).await;
    for (path, part) in [
        ("/", "&lt;b&gt;demo"),
        ("/health/live", "\"live\":true"),
        ("/health/ready", "\"ready\":true"),
        ("/metrics", "nephrobox_ready 1\n"),
        ("/overlay/7f3a", "PNG!"),
        ("/status.json", "\"scan\":\"7f3a\""),
        ("/studies", "No studies yet"),
    ] {
        let answer = ask(address, "GET", path, "localhost:9180").await;
        assert!(
            answer.starts_with("HTTP/1.1 200 ") && answer.contains(part),
            "{path}: {answer}"
        );
        assert!(
            answer.contains("content-security-policy: default-src 'none'")
                && !answer.contains("<script"),
            "{answer}"
        );
    }
    let head = ask(address, "HEAD", "/", "127.0.0.1").await;
    assert!(
        head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"),
        "{head}"
    );
}

/// Shows RQ-68.
#[tokio::test]
async fn nothing_can_be_changed_and_nobody_else_can_read() {
    let address = served(Shared::new(well()), LIFETIME).await;
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        for path in ["/", "/nowhere"] {
            let answer = ask(address, method, path, "localhost").await;
            assert!(
                answer.starts_with("HTTP/1.1 405 "),
                "{method} {path}: {answer}"
            );
        }
    }
    assert!(
        ask(address, "GET", "/", "evil.example")
            .await
            .starts_with("HTTP/1.1 421 ")
    );
    assert!(
        ask(address, "GET", "/overlay/none", "[::1]:9180")
            .await
            .starts_with("HTTP/1.1 404 ")
    );
    let open = TcpListener::bind("0.0.0.0:0").await.expect("a port");
    assert!(matches!(
        serve(open, Shared::new(well()), empty_shelf().0).await,
        Err(ServeError::NotLoopback(_))
    ));
}

/// Shows RQ-59.
#[tokio::test]
async fn not_ready_says_why_and_is_still_live() {
    let shared = Shared::new(Snapshot {
        started: true,
        limit_bytes: 10,
        used_bytes: 10,
        ..Snapshot::default()
    });
    shared.change(|state| {
        state.raise(Fault::new(FaultCode::DiskFull, "the disk is full"));
    });
    let address = served(shared, LIFETIME).await;
    let answer = ask(address, "GET", "/health/ready", "localhost").await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    for part in ["no model is active", "no room", "the disk is full"] {
        assert!(answer.contains(part), "{answer}");
    }
    assert!(
        ask(address, "GET", "/health/live", "localhost")
            .await
            .starts_with("HTTP/1.1 200 ")
    );
}

/// Shows RQ-73.
#[tokio::test]
async fn clients_that_say_nothing_lose_their_place() {
    // Long enough for the last request on a busy machine, short enough to wait for.
    let address = served(Shared::new(well()), Duration::from_millis(500)).await;
    let mut silent = Vec::new();
    for _ in 0..2 {
        silent.push(TcpStream::connect(address).await.expect("a connection"));
    }
    // Both places are taken; this one is answered only once they have been thrown out.
    let answer = ask(address, "GET", "/health/live", "localhost").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}
