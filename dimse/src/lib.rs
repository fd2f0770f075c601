//! DICOM over a network: C-ECHO and C-STORE, as a server (SCP) and as a client (SCU), plain or inside TLS.
//!
//! * [`server`]: takes objects from peers that are on a list, and hands each on, piece by piece, as a part 10 file.
//! * [`client`]: sends part 10 files to an archive.
//! * [`syntax`]: the transfer syntaxes that are stored, and who this implementation says it is.
//! * [`tls`]: the house's certificates and keys from PEM files.
//!
//! Threads and blocking sockets, one thread an association. No length that a peer names is believed: whatever is read has a greatest size
//! and a moment at which it must be there. `docs/formats/dicom-network.md` is the conformance statement.
//!
//! For research use only, as all of Nephrobox.

pub mod client;
mod command;
mod part10;
mod pdu;
pub mod server;
pub mod syntax;
mod transport;
mod uid;

pub use nephrobox_tls as tls;
