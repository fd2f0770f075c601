//! The HTTP server of the status page: loopback only, read-only, few connections, each short.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::extract::{FromRef, Path, RawQuery, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::serve::Listener;
use axum::{Json, Router};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};

use super::shelf::{Found, Shelf, served_as};
use super::{metrics, page, readiness, studies};
use crate::snapshot::Shared;
use crate::spool::ScanId;

/// Connections at once; further ones wait.
const CONNECTIONS: usize = 32;
/// The longest a connection may last. Every answer is ready at once, so only a stuck client needs more.
const LIFETIME: Duration = Duration::from_secs(15);
/// Silence of the worker after which the box does not count as live. A slice takes seconds on the slowest device.
const SILENCE: Duration = Duration::from_mins(1);

/// Why the page is not served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Others could reach the address.
    #[error("{0}: others can reach this address; listen on 127.0.0.1 or [::1]")]
    NotLoopback(SocketAddr),
    /// The socket failed.
    #[error("the status page's socket failed: {0}; see whether another program uses its port")]
    Socket(#[from] io::Error),
}

/// Serves status page, studies, health and metrics until the future is dropped.
///
/// # Errors
/// The listener is not on loopback, or fails.
pub async fn serve(listener: TcpListener, shared: Shared, shelf: Shelf) -> Result<(), ServeError> {
    let address = listener.local_addr()?;
    if !address.ip().is_loopback() {
        return Err(ServeError::NotLoopback(address));
    }
    let limited = Limited {
        listener,
        room: Arc::new(Semaphore::new(CONNECTIONS)),
        lifetime: LIFETIME,
    };
    axum::serve(limited, router(shared, shelf)).await?;
    Ok(())
}

/// What the pages are made of.
#[derive(Clone)]
struct Sources {
    shared: Shared,
    shelf: Shelf,
}

impl FromRef<Sources> for Shared {
    fn from_ref(sources: &Sources) -> Self {
        sources.shared.clone()
    }
}

fn router(shared: Shared, shelf: Shelf) -> Router {
    Router::new()
        .route(
            "/",
            get(|State(shared): State<Shared>| async move { Html(page::html(&shared.get())) }),
        )
        .route("/overlay/{scan}", get(overlay))
        .route("/studies", get(list))
        .route("/studies/{scan}", get(study))
        .route("/studies/{scan}/{file}", get(file))
        .route("/health/live", get(live))
        .route("/health/ready", get(is_ready))
        .route(
            "/status.json",
            get(|State(shared): State<Shared>| async move { Json(shared.get()) }),
        )
        .route("/metrics", get(scrape))
        // Browsers ask for it unasked, and tell whoever looks into their log that it is missing.
        .route("/favicon.ico", get(async || StatusCode::NO_CONTENT))
        .layer(from_fn(guard))
        .with_state(Sources { shared, shelf })
}

async fn list(State(sources): State<Sources>, RawQuery(query): RawQuery) -> Response {
    let page = query
        .as_deref()
        .and_then(|query| query.strip_prefix("page=")?.parse().ok())
        .unwrap_or(1);
    let Sources { shared, shelf } = sources;
    let name = shared.get().name;
    let page = shelf.read(move |shelf| {
        let list = shelf.list(page).ok()?;
        Some(studies::list(&name, &list, shelf.shows_identity()))
    });
    page.await
        .flatten()
        .map_or_else(unreadable, |page| Html(page).into_response())
}

async fn study(State(sources): State<Sources>, Path(scan): Path<String>) -> Response {
    // What is no id names no study, and gets no further than this.
    let Ok(id) = scan.parse::<ScanId>() else {
        return unknown();
    };
    let Sources { shared, shelf } = sources;
    let name = shared.get().name;
    let page = shelf.read(move |shelf| {
        let study = shelf.study(id).ok()?;
        Some(study.map(|study| studies::study(&name, &study, shelf.shows_identity())))
    });
    match page.await.flatten() {
        Some(Some(page)) => Html(page).into_response(),
        Some(None) => unknown(),
        None => unreadable(),
    }
}

async fn file(
    State(sources): State<Sources>,
    Path((scan, file)): Path<(String, String)>,
) -> Response {
    let (Ok(id), Some(file)) = (scan.parse::<ScanId>(), served_as(&file)) else {
        return unknown();
    };
    // The report's files say whose it is, as the page does.
    if !sources.shelf.shows_identity() && file.identifies {
        return unknown();
    }
    match sources.shelf.read(move |shelf| shelf.file(id, file)).await {
        Some(Found::File(bytes)) => {
            let manner = if file.save { "attachment" } else { "inline" };
            let disposition = format!("{manner}; filename=\"{id}-{}\"", file.name);
            let kind = (header::CONTENT_TYPE, file.kind.to_owned());
            let headers = [kind, (header::CONTENT_DISPOSITION, disposition)];
            (headers, bytes).into_response()
        }
        Some(Found::Nothing) => unknown(),
        Some(Found::Unreadable(why)) => {
            let words = format!("This file cannot be shown: {why}.");
            let page = Html(studies::trouble(&words));
            (StatusCode::INTERNAL_SERVER_ERROR, page).into_response()
        }
        None => unreadable(),
    }
}

fn unknown() -> Response {
    let page = studies::trouble("There is no such study, or no such file of it, on this box.");
    (StatusCode::NOT_FOUND, Html(page)).into_response()
}

fn unreadable() -> Response {
    let page = studies::trouble("The studies cannot be read; see the faults on the status page.");
    (StatusCode::INTERNAL_SERVER_ERROR, Html(page)).into_response()
}

async fn overlay(State(shared): State<Shared>, Path(scan): Path<String>) -> Response {
    let picture = shared
        .get()
        .results
        .into_iter()
        .find(|result| result.scan == scan)
        .and_then(|result| result.overlay_png);
    match picture {
        Some(png) => ([(header::CONTENT_TYPE, "image/png")], png.to_vec()).into_response(),
        None => (StatusCode::NOT_FOUND, "no picture of this scan\n").into_response(),
    }
}

fn verdict(good: bool) -> StatusCode {
    if good {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    }
}

async fn live(State(shared): State<Shared>) -> Response {
    let silence = shared.pulse().silence();
    let live = !shared.get().started || silence < SILENCE;
    let body = serde_json::json!({ "live": live, "silent_s": silence.as_secs() });
    (verdict(live), Json(body)).into_response()
}

async fn is_ready(State(shared): State<Shared>) -> Response {
    let answer = readiness(&shared.get());
    (verdict(answer.ready), Json(answer)).into_response()
}

async fn scrape(State(shared): State<Shared>) -> Response {
    (
        [(header::CONTENT_TYPE, metrics::CONTENT_TYPE)],
        metrics::text(&shared.get()),
    )
        .into_response()
}

/// Lets only reading through, only under a name of this machine, and closes what browsers leave open.
async fn guard(request: Request, next: Next) -> Response {
    // A page elsewhere could let its own name point here and read the answer; the name gives it away.
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let mut response = if ![Method::GET, Method::HEAD].contains(request.method()) {
        (
            StatusCode::METHOD_NOT_ALLOWED,
            [(header::ALLOW, "GET, HEAD")],
            "this page can only be read\n",
        )
            .into_response()
    } else if host.is_some_and(|host| !is_local(host)) {
        (
            StatusCode::MISDIRECTED_REQUEST,
            "ask for localhost, 127.0.0.1 or [::1]\n",
        )
            .into_response()
    } else {
        next.run(request).await
    };
    for (name, value) in [
        (
            "content-security-policy",
            "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        ),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-resource-policy", "same-origin"),
        ("cache-control", "no-store"),
    ] {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

fn is_local(host: &str) -> bool {
    let name = host
        .rsplit_once(':')
        .filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()))
        .map_or(host, |(name, _)| name);
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name == "localhost"
        || address
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// A listener that holds connections back when there are many.
struct Limited {
    listener: TcpListener,
    room: Arc<Semaphore>,
    lifetime: Duration,
}

impl Listener for Limited {
    type Io = Timed;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Timed, SocketAddr) {
        loop {
            let Ok(room) = Arc::clone(&self.room).acquire_owned().await else {
                // The semaphore is never closed.
                std::future::pending::<()>().await;
                continue;
            };
            let (stream, address) = Listener::accept(&mut self.listener).await;
            return (
                Timed {
                    stream,
                    end: Box::pin(sleep(self.lifetime)),
                    _room: room,
                },
                address,
            );
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that ends after its time.
struct Timed {
    stream: TcpStream,
    end: Pin<Box<Sleep>>,
    _room: OwnedSemaphorePermit,
}

impl Timed {
    fn in_time(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.end.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for Timed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.in_time(cx)?;
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl AsyncWrite for Timed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.in_time(cx)?;
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes));
        Poll::Ready(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
#[path = "serve_tests.rs"]
mod tests;
