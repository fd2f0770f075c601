//! Which line to a box.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// A line to a box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A serial port or pseudo-terminal.
    Serial(PathBuf),
    /// A network address; the connection is TLS with certificates on both sides.
    Tcp(String),
    /// The first serial port on which a box answers.
    Auto,
}
