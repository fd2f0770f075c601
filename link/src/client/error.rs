//! What can go wrong between a tool and a box.

use std::io;

use nephrobox_shared::link::message::{Mismatch, PROTOCOL, Refused};

use crate::tls::TlsError;

/// Why a call fails.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(
    clippy::large_enum_variant,
    reason = "a refusal is a message, and those need no heap"
)]
pub enum LinkError {
    /// The box answered that it will not.
    #[error("{}", .0.words)]
    Refused(Refused),
    /// The line cannot be opened.
    #[error("{place}: the line cannot be opened: {source}; {}", at_the_line(.place))]
    Open {
        /// Which line.
        place: String,
        /// Why.
        source: io::Error,
    },
    /// There is no port that a box could be at.
    #[error("this machine has no USB serial port; plug the box in, or name its line with --port")]
    NoPorts,
    /// No box answered.
    #[error(
        "{place}: no box answers; see that it is switched on, and that its configuration names this line at this speed"
    )]
    NoBox {
        /// Which line, or lines.
        place: String,
    },
    /// Several boxes answered.
    #[error("boxes answer at {places}; name one of them with --port")]
    SeveralBoxes {
        /// Where.
        places: String,
    },
    /// Box and tool speak different protocols.
    #[error("{}", mismatch(.0))]
    Mismatch(Mismatch),
    /// The line was lost and did not come back.
    #[error(
        "{place}: the line was lost ({reason}) and did not come back to stay within {patience_s} s; plug it in again and repeat the command, which goes on where it was"
    )]
    Lost {
        /// Which line.
        place: String,
        /// How it was lost.
        reason: String,
        /// How long was waited, in seconds.
        patience_s: u64,
    },
    /// The network line has no certificates.
    #[error("a network line needs certificates; name them with --tls-cert, --tls-key and --tls-ca")]
    NoCertificates,
    /// Certificates cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// What is to be sent cannot be read.
    #[error("what is to be sent cannot be read: {0}; see that the file is still there")]
    Source(io::Error),
    /// An object is larger than can be.
    #[error("the box sends {bytes} bytes where at most {limit} are taken; ask for less")]
    TooLarge {
        /// Its bytes.
        bytes: u64,
        /// The most.
        limit: u64,
    },
    /// What came is not what the box hashed.
    #[error("what the box sent did not arrive whole; repeat the command")]
    Damaged,
    /// The box answered with something that is no answer to the question.
    #[error(
        "the box gave an answer that does not belong to the question; update the older one of box and tool"
    )]
    Nonsense,
}

/// What to look at where a line cannot be opened.
fn at_the_line(place: &str) -> &'static str {
    if place.starts_with("tcp://") {
        "see that the box is on and can be reached there, and that the certificate of each end is valid now and signed by the authority that the other \
         end names"
    } else {
        "see that the box is plugged in, that no other program uses the line, and that you may use it"
    }
}

fn mismatch(box_side: &Mismatch) -> String {
    let Mismatch {
        protocol,
        schema,
        software,
        ..
    } = box_side;
    let who = match protocol.cmp(&PROTOCOL) {
        std::cmp::Ordering::Less => "update the box's program",
        std::cmp::Ordering::Greater => "update this tool",
        std::cmp::Ordering::Equal => "install tool and box from the same release",
    };
    format!(
        "the box ({software}) speaks protocol {protocol} with messages {schema:016x}, this tool protocol {PROTOCOL} with messages {:016x}; {who}",
        nephrobox_shared::link::message::SCHEMA
    )
}
