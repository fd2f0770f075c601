//! The lines between a box and its tools, and the two ends of the protocol of [`nephrobox_shared::link`] on them.
//!
//! * [`endpoint`]: which line: a serial port (a pseudo-terminal is one too), or TCP with certificates on both sides.
//! * [`client`]: the tool's end. Blocking calls, which survive an unplugged line as long as they are told to.
//! * [`server`]: the box's end, which asks a [`server::Desk`] what to answer.
//! * [`serial`], [`tls`]: how lines are opened.
//! * [`cable`]: a serial cable between two programs on one machine, for trying and testing.
//!
//! For research use only, as all of Nephrobox.

pub mod cable;
pub mod client;
pub mod endpoint;
pub mod line;
pub mod serial;
pub mod server;
pub mod tls;
mod wire;

pub use nephrobox_shared::link::message;
