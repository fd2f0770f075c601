//! Who may connect, and how much of everything there may be.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::syntax::CT_IMAGE_STORAGE;
use crate::uid::{is_title, is_uid};

/// Somebody who may store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// What events call it.
    pub name: String,
    /// The title that it calls itself by, exactly so.
    pub ae_title: String,
    /// Where it connects from; none: from anywhere.
    pub address: Option<IpAddr>,
}

impl Peer {
    /// Whether it may connect from there. An IPv4 address that a socket gives as IPv6 is the same address.
    pub fn is_at(&self, address: IpAddr) -> bool {
        self.address
            .is_none_or(|own| own.to_canonical() == address.to_canonical())
    }
}

/// What a server takes. Begin with [`Settings::new`].
#[derive(Clone)]
#[non_exhaustive]
pub struct Settings {
    /// The server's own title.
    pub ae_title: String,
    /// Peers may call the server by any title; otherwise only by its own.
    pub any_called_title: bool,
    /// Who may store. Everybody else may only echo; with an empty list that is everybody.
    pub peers: Vec<Peer>,
    /// Associations at once, 1 to 256. One more is refused with "local limit exceeded". Addresses that no peer has get half of them at most.
    pub max_associations: usize,
    /// The greatest P-DATA PDU, in bytes, 4,096 to 1,048,576.
    pub max_pdu: u32,
    /// The greatest data set of one object, in bytes.
    pub max_object_bytes: u64,
    /// How long TLS and the association request may take together, and how long a peer is waited for after a rejection or release
    /// (at most five seconds of it).
    pub negotiation: Duration,
    /// How long a PDU may be under way after the one before, and an answer be waiting to be read.
    pub silence: Duration,
    /// How long an association may last in all.
    pub association: Duration,
    /// TLS for every connection; plain ones are refused then.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// The SOP classes that may be stored.
    pub storage: Vec<String>,
}

impl Settings {
    /// A server of this title that lets everybody echo and nobody store: 8 associations, PDUs of 128 KiB, objects of 64 MiB, 10 s to
    /// negotiate, 60 s of silence, 30 minutes in all, no TLS, CT Image Storage only.
    pub fn new(ae_title: impl Into<String>) -> Self {
        Self {
            ae_title: ae_title.into(),
            any_called_title: false,
            peers: Vec::new(),
            max_associations: 8,
            max_pdu: 128 << 10,
            max_object_bytes: 64 << 20,
            negotiation: Duration::from_secs(10),
            silence: Duration::from_mins(1),
            association: Duration::from_mins(30),
            tls: None,
            storage: vec![CT_IMAGE_STORAGE.to_owned()],
        }
    }

    /// Says what cannot be meant so.
    ///
    /// # Errors
    /// A title, UID or number outside its range.
    pub fn check(&self) -> Result<(), BadSetting> {
        let titles = self.peers.iter().map(|peer| &peer.ae_title);
        for title in titles.chain([&self.ae_title]) {
            if !is_title(title) {
                return Err(BadSetting::Title(title.clone()));
            }
        }
        if let Some(class) = self.storage.iter().find(|class| !is_uid(class)) {
            return Err(BadSetting::StorageClass(class.clone()));
        }
        let numbers = [
            (
                "associations at once",
                self.max_associations as u64,
                1..=256,
            ),
            (
                "greatest PDU in bytes",
                self.max_pdu.into(),
                4 << 10..=1 << 20,
            ),
            (
                "greatest object in bytes",
                self.max_object_bytes,
                1..=1 << 40,
            ),
        ];
        for (what, value, range) in numbers {
            if !range.contains(&value) {
                return Err(BadSetting::Number {
                    what,
                    value,
                    least: *range.start(),
                    greatest: *range.end(),
                });
            }
        }
        let times = [
            ("time to negotiate", self.negotiation),
            ("time of silence", self.silence),
            ("time of an association", self.association),
        ];
        for (what, time) in times {
            if time.is_zero() || time > Duration::from_hours(24) {
                return Err(BadSetting::Time { what, time });
            }
        }
        Ok(())
    }
}

/// A setting that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadSetting {
    /// No application entity title.
    #[error(
        "{0:?} is no AE title; give 1 to 16 printable ASCII characters without a backslash and without spaces at the ends"
    )]
    Title(String),
    /// No UID.
    #[error("{0:?} is no SOP class; give a UID such as 1.2.840.10008.5.1.4.1.1.2")]
    StorageClass(String),
    /// A number out of its range.
    #[error("{what}: {value} is out of range; give {least} to {greatest}")]
    Number {
        /// Which.
        what: &'static str,
        /// Its value.
        value: u64,
        /// The least there can be.
        least: u64,
        /// The greatest there can be.
        greatest: u64,
    },
    /// A time out of its range.
    #[error("{what}: {time:?} is out of range; give more than nothing and at most 24 hours")]
    Time {
        /// Which.
        what: &'static str,
        /// Its value.
        time: Duration,
    },
}
