//! The line to a box: its options, which all commands that talk to one share, and what goes wrong on it, told for a person.

use std::fmt::Display;
use std::path::PathBuf;
use std::time::Duration;

use nephrobox_link::client::{Client, LinkError, Options, Progress};
use nephrobox_link::endpoint::Endpoint;
use nephrobox_link::message::{Code, Item, Refused, Reply, Request};
use nephrobox_link::tls::TlsFiles;

use crate::failure::{Exit, Failure, told};

/// Options of every command that talks to a box.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Line to the box")]
pub struct Line {
    /// Where the box is: `auto` for the USB serial port on which one answers, a port such as /dev/ttyACM0,
    /// or tcp://HOST:PORT.
    #[arg(long, env = "NEPHROBOX_PORT", default_value = "auto")]
    pub port: Endpoint,
    /// Speed at which a serial line begins, in bit/s; as in the box's configuration.
    #[arg(long, default_value_t = 115_200, value_parser = clap::value_parser!(u32).range(1200..=12_000_000))]
    pub baud: u32,
    /// Fastest speed to go up to if the box can, in bit/s.
    #[arg(long, default_value_t = 3_000_000, value_parser = clap::value_parser!(u32).range(1200..=12_000_000))]
    pub max_baud: u32,
    /// For tcp: this computer's certificate chain, PEM.
    #[arg(long, value_name = "FILE", requires_all = ["tls_key", "tls_ca"])]
    pub tls_cert: Option<PathBuf>,
    /// For tcp: the private key of the certificate, PEM.
    #[arg(long, value_name = "FILE", requires_all = ["tls_cert", "tls_ca"])]
    pub tls_key: Option<PathBuf>,
    /// For tcp: who may have signed the box's certificate, PEM.
    #[arg(long, value_name = "FILE", requires_all = ["tls_cert", "tls_key"])]
    pub tls_ca: Option<PathBuf>,
    /// How long to wait for a box that is silent or unplugged, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub patience: u64,
}

impl Line {
    /// Opens the line and greets the box. With `auto` it says on standard error which port it took.
    ///
    /// # Errors
    /// If there is no box, or one that speaks another protocol.
    pub fn connect(&self) -> Result<Client, Failure> {
        let tls = match (&self.tls_cert, &self.tls_key, &self.tls_ca) {
            (Some(certificate), Some(key), Some(ca)) => Some(TlsFiles {
                certificate: certificate.clone(),
                key: key.clone(),
                ca: ca.clone(),
            }),
            _ => None,
        };
        let options = Options {
            baud: self.baud,
            max_baud: self.max_baud.max(self.baud),
            patience: Duration::from_secs(self.patience),
            tls,
        };
        let client =
            Client::connect(&self.port, &options).map_err(|error| failed(&error, &self.port))?;
        if self.port == Endpoint::Auto {
            eprintln!(
                "found the box {} on {}",
                client.welcome().name,
                client.endpoint()
            );
        }
        Ok(client)
    }
}

/// Asks the box.
///
/// # Errors
/// If it refuses or cannot be reached.
pub fn ask(client: &mut Client, request: &Request) -> Result<Reply, Failure> {
    let asked = client.ask(request);
    asked.map_err(|error| failed(&error, client.endpoint()))
}

/// Fetches an object of at most `limit` bytes from the box.
///
/// # Errors
/// If it refuses or cannot be reached.
pub fn get(
    client: &mut Client,
    item: &Item,
    limit: u64,
    heard: &mut dyn FnMut(Progress),
) -> Result<Vec<u8>, Failure> {
    let got = client.get(item, limit, heard);
    got.map_err(|error| failed(&error, client.endpoint()))
}

/// A failure of the link as one of a command.
#[must_use]
pub fn failed(error: &LinkError, place: impl Display) -> Failure {
    let (exit, code) = match error {
        LinkError::Refused(refused) => return refusal(refused, place),
        LinkError::NoPorts | LinkError::NoBox { .. } => (Exit::Line, "no_box"),
        LinkError::SeveralBoxes { .. } => (Exit::Usage, "several_boxes"),
        LinkError::NoCertificates => (Exit::Usage, "certificate"),
        LinkError::Tls(_) => (Exit::Input, "certificate"),
        LinkError::Source(_) => (Exit::Input, "input"),
        LinkError::Mismatch(_) => (Exit::Line, "mismatch"),
        LinkError::Lost { .. } => (Exit::Line, "lost"),
        LinkError::TooLarge { .. } | LinkError::Damaged | LinkError::Nonsense => {
            (Exit::Line, "answer")
        }
        _ => (Exit::Line, "line"),
    };
    let remedy = "see that the box is on and plugged in, and try again";
    told(exit, error, place, remedy).coded(code)
}

/// What the box answers makes no sense after what was asked.
#[must_use]
pub fn nonsense(what: &str, place: impl Display) -> Failure {
    Failure::new(
        Exit::Line,
        format_args!("the box's answer makes no sense: {what}"),
        place,
        "bring box and nephroctl to the same release",
    )
    .coded("answer")
}

/// A refusal of the box: its own words, and what its code means for whoever asked.
fn refusal(refused: &Refused, place: impl Display) -> Failure {
    let (exit, hint) = consequence(refused.code);
    let words = refused.words.as_str();
    let (what, remedy) = words.rsplit_once("; ").unwrap_or((words, hint));
    Failure::new(exit, what, place, remedy).coded(refused.code.name())
}

/// The exit code of a refusal, and what to do where the box does not say.
fn consequence(code: Code) -> (Exit, &'static str) {
    match code {
        Code::BadRequest => (
            Exit::Refused,
            "bring box and nephroctl to the same release, and try again",
        ),
        Code::Unknown => (Exit::Refused, "see with `nephroctl scans` what the box has"),
        Code::Full => (
            Exit::Later,
            "fetch the results that wait on the box, or try again later",
        ),
        Code::Size => (Exit::Refused, "check that it is the right file"),
        Code::Hash => (
            Exit::Later,
            "send it again; if that happens often, change the cable",
        ),
        Code::Signature => (
            Exit::Refused,
            "sign the package with a key from the box's model.trusted_keys",
        ),
        Code::Version => (
            Exit::Refused,
            "export the model with a higher version, or make a permit with `nephroctl permit`",
        ),
        Code::Incompatible => (
            Exit::Refused,
            "export the model for this box, or update the box",
        ),
        Code::Package => (
            Exit::Refused,
            "check the package with `nephroctl verify`, and send it again",
        ),
        Code::Busy => (Exit::Later, "try again in a minute"),
        Code::NoModel => (Exit::Refused, "install a model with `nephroctl flash`"),
        Code::Disk => (
            Exit::Fault,
            "see `nephroctl status` and `nephroctl logs`, and check the box's disk",
        ),
        Code::Internal => (Exit::Fault, "see `nephroctl logs`, and report it with them"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_is_in_the_guide_with_its_exit_code() {
        let guide = include_str!("../../docs/nephroctl.md");
        for code in [
            Code::BadRequest,
            Code::Unknown,
            Code::Full,
            Code::Size,
            Code::Hash,
            Code::Signature,
            Code::Version,
            Code::Incompatible,
            Code::Package,
            Code::Busy,
            Code::NoModel,
            Code::Disk,
            Code::Internal,
        ] {
            let (exit, hint) = consequence(code);
            let row = format!("| `{}` | {} |", code.name(), exit.code());
            assert!(guide.contains(&row), "{row}");
            assert!(!hint.is_empty());
        }
    }

    #[test]
    fn a_refusal_keeps_the_boxs_words_and_gets_advice_where_there_is_none() {
        let refused = |code, words| refusal(&Refused::new(code, words), "/dev/ttyACM0").to_string();
        assert_eq!(
            refused(Code::Busy, "another client sends a scan"),
            "error[busy]: another client sends a scan\nwhere: /dev/ttyACM0\nto do: try again in a minute"
        );
        assert_eq!(
            refused(
                Code::Full,
                "there is no room for 80 MB; fetch 00000001-9f86d081 first"
            ),
            "error[full]: there is no room for 80 MB\nwhere: /dev/ttyACM0\nto do: fetch 00000001-9f86d081 first"
        );
    }
}
