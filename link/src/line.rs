//! What every line has in common.

use std::io;

use tokio::io::{AsyncRead, AsyncWrite};

/// Bytes both ways.
pub trait Line: AsyncRead + AsyncWrite + Send + Unpin {
    /// Changes the speed, in bit/s.
    ///
    /// # Errors
    /// Lines without a speed refuse, and ports that cannot.
    fn set_baud(&mut self, baud: u32) -> io::Result<()>;
}

impl<L: Line + ?Sized> Line for Box<L> {
    fn set_baud(&mut self, baud: u32) -> io::Result<()> {
        (**self).set_baud(baud)
    }
}

/// Lines that are as fast as they are.
macro_rules! without_speed {
    ($($line:ty),+) => {
        $(impl Line for $line {
            fn set_baud(&mut self, _baud: u32) -> io::Result<()> {
                Err(io::ErrorKind::Unsupported.into())
            }
        })+
    };
}

without_speed!(
    tokio::io::DuplexStream,
    tokio_rustls::client::TlsStream<tokio::net::TcpStream>,
    tokio_rustls::server::TlsStream<tokio::net::TcpStream>
);
