//! Opening lines, for the first time and again.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::Options;
use super::error::LinkError;
use super::session::{Broken, Session};
use crate::endpoint::{Endpoint, candidates};
use crate::line::Line;
use crate::{serial, tls};

/// How long a box may take to answer a greeting. A box that was left at a higher speed needs its time of silence first.
const GREETING: Duration = Duration::from_secs(8);
/// How long a second box may take to answer after the first one.
const OTHERS: Duration = Duration::from_secs(1);
/// How often a line that is gone is looked for.
const AGAIN: Duration = Duration::from_millis(300);

/// Opens a line and greets the box; tells which line it was.
pub(super) async fn open(
    endpoint: &Endpoint,
    options: &Options,
) -> Result<(Endpoint, Session), LinkError> {
    match endpoint {
        Endpoint::Auto => find(candidates(), options).await,
        named => Ok((named.clone(), greet(named, options).await?)),
    }
}

/// Tries ports at once and takes the one at which a box answers.
async fn find(ports: Vec<PathBuf>, options: &Options) -> Result<(Endpoint, Session), LinkError> {
    if ports.is_empty() {
        return Err(LinkError::NoPorts);
    }
    let place = ports
        .iter()
        .map(|port| port.display().to_string())
        .collect::<Vec<_>>()
        .join(", ");
    let mut tries = tokio::task::JoinSet::new();
    for port in ports {
        let options = options.clone();
        tries.spawn(async move {
            let endpoint = Endpoint::Serial(port);
            let session = greet(&endpoint, &options).await;
            (endpoint, session)
        });
    }
    let mut found = Vec::new();
    loop {
        // Once one has answered, others that could answer too have had the same time.
        let wait = if found.is_empty() {
            GREETING * 2
        } else {
            OTHERS
        };
        let Ok(Some(tried)) = timeout(wait, tries.join_next()).await else {
            break;
        };
        match tried {
            Ok((endpoint, Ok(session))) => found.push((endpoint, session)),
            // A box that cannot be spoken with is worth more than silence elsewhere.
            Ok((_, Err(error @ LinkError::Mismatch(_)))) => return Err(error),
            _ => {}
        }
    }
    match found.len() {
        0 => Err(LinkError::NoBox { place }),
        1 => Ok(found.swap_remove(0)),
        _ => {
            let mut places: Vec<_> = found
                .iter()
                .map(|(endpoint, _)| endpoint.to_string())
                .collect();
            places.sort();
            Err(LinkError::SeveralBoxes {
                places: places.join(", "),
            })
        }
    }
}

async fn greet(endpoint: &Endpoint, options: &Options) -> Result<Session, LinkError> {
    let place = endpoint.to_string();
    let (line, baud): (Box<dyn Line>, u32) = match endpoint {
        Endpoint::Serial(path) => {
            let line = serial::open(path, options.baud);
            let line = line.map_err(|source| LinkError::Open {
                place: place.clone(),
                source,
            })?;
            (Box::new(line), options.baud)
        }
        Endpoint::Tcp(address) => {
            let files = options.tls.as_ref().ok_or(LinkError::NoCertificates)?;
            let line = tls::connect(&files.connector()?, address).await;
            let line = line.map_err(|source| LinkError::Open {
                place: place.clone(),
                source,
            })?;
            (Box::new(line), 0)
        }
        Endpoint::Auto => return Err(LinkError::NoPorts),
    };
    let begun = Session::begin(line, baud, options.max_baud, GREETING).await;
    begun.map_err(|error| match error {
        Broken::Fatal(error) => error,
        Broken::Line(error) if error.kind() == io::ErrorKind::TimedOut => {
            LinkError::NoBox { place }
        }
        Broken::Line(source) => LinkError::Open { place, source },
    })
}

/// Opens a lost line again, for as long as patience lasts.
pub(super) async fn again(
    endpoint: &Endpoint,
    options: &Options,
    lost: Option<io::Error>,
) -> Result<Session, LinkError> {
    let until = Instant::now() + options.patience;
    loop {
        // A box that answers wrongly is not worth waiting for; one that does not answer is.
        match greet(endpoint, options).await {
            Ok(session) => return Ok(session),
            Err(LinkError::Open { .. } | LinkError::NoBox { .. }) => {}
            Err(error) => return Err(error),
        }
        if Instant::now() >= until {
            let earlier = io::Error::other("in an earlier call");
            return Err(self::lost(endpoint, options, &lost.unwrap_or(earlier)));
        }
        sleep(AGAIN).await;
    }
}

/// The error for a line that stays lost.
pub(super) fn lost(endpoint: &Endpoint, options: &Options, reason: &io::Error) -> LinkError {
    LinkError::Lost {
        place: endpoint.to_string(),
        reason: reason.to_string(),
        patience_s: options.patience.as_secs(),
    }
}
