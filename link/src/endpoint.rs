//! Which line to a box.

use std::convert::Infallible;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// A line to a box. As text: `auto`, `tcp://HOST:PORT`, or a port's path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A serial port or pseudo-terminal.
    Serial(PathBuf),
    /// A network address, `host:port`; the connection is TLS with certificates on both sides.
    Tcp(String),
    /// The serial port on which a box answers.
    Auto,
}

impl FromStr for Endpoint {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match (text, text.strip_prefix("tcp://")) {
            ("auto", _) => Self::Auto,
            (_, Some(address)) => Self::Tcp(address.to_owned()),
            _ => Self::Serial(text.into()),
        })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Serial(path) => write!(out, "{}", path.display()),
            Self::Tcp(address) => write!(out, "tcp://{address}"),
            Self::Auto => out.write_str("auto"),
        }
    }
}

/// The serial ports of this machine that a box may be at: USB ports, sorted.
///
/// Ports of the mainboard are left out, since asking a modem or an instrument there for a box may disturb it.
#[must_use]
pub fn candidates() -> Vec<PathBuf> {
    let is_usb = |name: &str| {
        ["ttyACM", "ttyUSB"]
            .iter()
            .any(|kind| name.starts_with(kind))
    };
    let entries = std::fs::read_dir("/dev").into_iter().flatten().flatten();
    let mut ports: Vec<_> = entries
        .filter(|entry| entry.file_name().to_str().is_some_and(is_usb))
        .map(|entry| entry.path())
        .collect();
    ports.sort();
    ports
}
