//! A connection whose every read and write ends at a deadline, whatever the peer does.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::{ClientConnection, ConnectionCommon, ServerConnection, SideData, StreamOwned};

/// How much of what a peer still sends is read away before a connection is closed.
const LINGER_BYTES: usize = 1 << 20;

/// A socket with a deadline.
///
/// The deadline is a moment and not a duration per call, because TLS makes many calls for one byte of content: a peer that sends a byte
/// now and then would otherwise hold a place for as long as it likes.
pub(crate) struct Timed {
    socket: Arc<TcpStream>,
    deadline: Instant,
}

impl Timed {
    fn left(&self) -> io::Result<Duration> {
        match self.deadline.checked_duration_since(Instant::now()) {
            // Zero would mean "no timeout" to the socket.
            Some(left) if !left.is_zero() => Ok(left.max(Duration::from_millis(1))),
            _ => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

/// A socket's timeout comes as `WouldBlock` on Unix.
fn timed(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock => io::ErrorKind::TimedOut.into(),
        _ => error,
    }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.set_read_timeout(Some(self.left()?))?;
        (&*self.socket).read(buffer).map_err(timed)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.set_write_timeout(Some(self.left()?))?;
        (&*self.socket).write(bytes).map_err(timed)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A connection, plain or inside TLS.
pub(crate) enum Line {
    Plain(Timed),
    Server(Box<StreamOwned<ServerConnection, Timed>>),
    Client(Box<StreamOwned<ClientConnection, Timed>>),
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "plain",
            Self::Server(_) | Self::Client(_) => "TLS",
        })
    }
}

/// Goes through the handshake of either end.
fn shake_hands<S: SideData>(
    tls: &mut ConnectionCommon<S>,
    socket: Arc<TcpStream>,
    deadline: Instant,
) -> io::Result<Timed> {
    let mut timed = Timed { socket, deadline };
    while tls.is_handshaking() {
        tls.complete_io(&mut timed)?;
    }
    Ok(timed)
}

impl Line {
    /// Without TLS.
    pub(crate) fn plain(socket: Arc<TcpStream>, deadline: Instant) -> Self {
        Self::Plain(Timed { socket, deadline })
    }

    /// The server's end of TLS, after the handshake.
    pub(crate) fn server(
        mut tls: ServerConnection,
        socket: Arc<TcpStream>,
        deadline: Instant,
    ) -> io::Result<Self> {
        let timed = shake_hands(&mut tls, socket, deadline)?;
        Ok(Self::Server(Box::new(StreamOwned::new(tls, timed))))
    }

    /// The client's end of TLS, after the handshake.
    pub(crate) fn client(
        mut tls: ClientConnection,
        socket: Arc<TcpStream>,
        deadline: Instant,
    ) -> io::Result<Self> {
        let timed = shake_hands(&mut tls, socket, deadline)?;
        Ok(Self::Client(Box::new(StreamOwned::new(tls, timed))))
    }

    fn timed(&mut self) -> &mut Timed {
        match self {
            Self::Plain(timed) => timed,
            Self::Server(tls) => &mut tls.sock,
            Self::Client(tls) => &mut tls.sock,
        }
    }

    /// From now on every read and write fails with `TimedOut` at this moment.
    pub(crate) fn set_deadline(&mut self, deadline: Instant) {
        self.timed().deadline = deadline;
    }

    /// Says that nothing more comes, and waits for the peer to close, at most `patience`.
    ///
    /// A socket that is closed with unread bytes resets the connection, and the peer may lose what was sent to it last: the very
    /// rejection or abort that tells it why.
    pub(crate) fn close(mut self, patience: Duration) {
        self.set_deadline(Instant::now() + patience);
        match &mut self {
            Self::Plain(_) => {}
            Self::Server(tls) => tls.conn.send_close_notify(),
            Self::Client(tls) => tls.conn.send_close_notify(),
        }
        // A peer that is gone already is no matter here, nor below.
        let _ = self.flush();
        let timed = self.timed();
        if timed.socket.shutdown(Shutdown::Write).is_err() {
            return;
        }
        let mut rest = [0; 4096];
        let mut read = 0;
        while read < LINGER_BYTES {
            match timed.read(&mut rest) {
                Ok(some @ 1..) => read += some,
                _ => return,
            }
        }
    }
}

impl Read for Line {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(timed) => timed.read(buffer),
            Self::Server(tls) => tls.read(buffer),
            Self::Client(tls) => tls.read(buffer),
        }
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(timed) => timed.write(bytes),
            Self::Server(tls) => tls.write(bytes),
            Self::Client(tls) => tls.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(timed) => timed.flush(),
            Self::Server(tls) => tls.flush(),
            Self::Client(tls) => tls.flush(),
        }
    }
}
