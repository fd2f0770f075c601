//! Serial ports, and pseudo-terminals, which are opened the same way.

use std::convert::Infallible;
use std::io;
use std::path::Path;
use std::time::Duration;

use tokio_serial::{SerialPort, SerialPortBuilderExt, SerialStream};

use crate::line::Line;
use crate::server::{About, Desk, Speeds, serve};

/// How often a port that is gone is looked for.
const AGAIN: Duration = Duration::from_millis(500);

/// Opens a port for this program alone, raw, 8 data bits, no parity, one stop bit, no flow control.
///
/// # Errors
/// When the port is not there, in use, or not for this user.
pub fn open(path: &Path, baud: u32) -> io::Result<SerialStream> {
    let name = path.to_str().ok_or(io::ErrorKind::InvalidFilename)?;
    // The crate locks the port's file; a killed program gives that lock back.
    let opened = tokio_serial::new(name, baud).open_native_async();
    let mut stream = opened.map_err(|error| {
        // The system's words for it speak of typewriters.
        let plain = std::fs::metadata(path).is_ok_and(|found| found.is_file() || found.is_dir());
        if plain {
            io::Error::new(io::ErrorKind::InvalidInput, "it is no serial port")
        } else {
            error.into()
        }
    })?;
    if path.starts_with("/dev/pts") {
        // On a pseudo-terminal the mark of exclusive use outlives a killed program, and nobody else gets in again.
        stream.set_exclusive(false)?;
    }
    Ok(stream)
}

impl Line for SerialStream {
    fn set_baud(&mut self, baud: u32) -> io::Result<()> {
        self.set_baud_rate(baud).map_err(io::Error::from)
    }
}

/// What became of a port, for whoever logs it.
#[derive(Debug)]
pub enum News<'a> {
    /// It is open and waits for a tool.
    Open,
    /// It is gone, or cannot be opened; it is looked for again. Told once, not at every try.
    Gone(&'a io::Error),
    /// The desk ended in a panic; a new one takes the port.
    Fault(&'a io::Error),
}

/// Serves a port for ever: a USB port that comes back is opened again, and a desk that has died in a panic is replaced by a new one.
pub async fn serve_port<D: Desk>(
    path: &Path,
    speeds: Speeds,
    about: &About,
    mut desk: impl FnMut() -> D,
    mut heard: impl FnMut(News<'_>),
) -> Infallible {
    let mut at_work = desk();
    let mut gone = false;
    loop {
        let error = match open(path, speeds.first) {
            Ok(line) => {
                gone = false;
                heard(News::Open);
                let (back, error) = serve(line, speeds, about, at_work).await;
                let died = back.is_none();
                at_work = back.unwrap_or_else(&mut desk);
                if died {
                    heard(News::Fault(&error));
                    tokio::time::sleep(AGAIN).await;
                    continue;
                }
                error
            }
            Err(error) => error,
        };
        if !gone {
            gone = true;
            heard(News::Gone(&error));
        }
        tokio::time::sleep(AGAIN).await;
    }
}
