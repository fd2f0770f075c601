//! The line over the network: who is no tool, and tools without the right to come in.

use std::fs;
use std::io::{self, Write as _};
use std::net::{Shutdown, TcpStream};
use std::path::Path;

use nephrobox_dimse::tls::{Identity, client};
use nephrobox_link::tls::TlsFiles;
use rcgen::date_time_ymd;
use rustls::{ClientConnection, StreamOwned};

use super::site::{Site, told_to, until_the_end};
use crate::certificates::Authority;
use crate::ground::{Ground, Place};
use crate::row::{Given, Row, Section, Told, Way, refused, taken};
use crate::run::{self, REFUSAL_KIB};

pub(crate) const SECTION: Section = Section {
    title: "The line over the network",
    command: "nephroctl status --port tcp://HOST:PORT, and bytes to that port, to a box that runs",
    way: Way::Service(all),
};

#[rustfmt::skip]
const TOOLS: &[Row] = &[
    refused("a tool with a certificate of another authority", |p| status(p, "localhost", "other/tool", "own/ca"), 5, "certificate|ended the connection|alert"),
    refused("a tool with a certificate whose time is over", |p| status(p, "localhost", "own/past", "own/ca"), 5, "certificate|ended the connection|alert"),
    refused("a tool that trusts another authority", |p| status(p, "localhost", "own/tool", "other/ca"), 5, "certificate"),
    refused("a tool that meant another host", |p| status(p, "127.0.0.1", "own/tool", "own/ca"), 5, "certificate"),
    refused("a key that is not the certificate's", |p| call(p, "localhost", ["own/tool.pem", "own/past.key", "own/ca.pem"]), 3, "key"),
    taken("a tool that may come in, after all of these", |p| status(p, "localhost", "own/tool", "own/ca"), "box"),
];

/// Bytes to the port instead of a handshake.
type Noise = (&'static str, fn() -> Vec<u8>);

/// The first bytes of a client's hello.
const HELLO: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";

#[rustfmt::skip]
const NOISE: [Noise; 8] = [
    ("a request for a web page", || b"GET / HTTP/1.1\r\nHost: box\r\n\r\n".to_vec()),
    ("a request for a DICOM association", || [b"\x01\x00\x00\x00\x00\xcd\x00\x01".as_slice(), &[0x20; 200]].concat()),
    ("a frame of the line without TLS", || [b"\x01\x05\x03\x01\x01\x01\x00".as_slice(), &[0; 64]].concat()),
    ("1 MB of zeros", || vec![0; 1 << 20]),
    ("1 MB of ones", || vec![0xff; 1 << 20]),
    ("a hello that says nothing true", || [HELLO, &[7; 600]].concat()),
    ("a hello that is cut off", || HELLO.to_vec()),
    ("a record of 64 kB", || [b"\x16\x03\x01\xff\xff".as_slice(), &[1; 1 << 16]].concat()),
];

/// The certificates that rows name, in a folder; gives the box's own.
///
/// `own` holds those of the box's authority, one of them with its time over, `other` those of another authority.
pub(super) fn certificates(folder: &Path) -> TlsFiles {
    let (own, other) = (folder.join("own"), folder.join("other"));
    for folder in [&own, &other] {
        fs::create_dir_all(folder).expect("a folder");
    }
    let authority = Authority::new();
    authority.end(&own, "tool", |_| ());
    authority.end(&own, "past", |params| {
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
    });
    Authority::new().end(&other, "tool", |_| ());
    authority.end(&own, "localhost", |_| ())
}

/// Beside a row's folder: the box's port.
const PORT: &str = "port";

fn status(p: &Place<'_>, host: &str, own: &str, ca: &str) -> Given {
    let files = [
        format!("{own}.pem"),
        format!("{own}.key"),
        format!("{ca}.pem"),
    ];
    call(p, host, files.each_ref().map(String::as_str))
}

/// `nephroctl status` at a host, with certificate, key and authority.
fn call(p: &Place<'_>, host: &str, files: [&str; 3]) -> Given {
    let port = fs::read_to_string(p.aside(PORT)).expect("the port");
    let address = format!("tcp://{host}:{port}");
    let [certificate, key, ca] = files.map(|file| format!("tls/{file}"));
    Given::from(["status", "--patience", "5", "--port", &address])
        .and(["--tls-cert", &certificate, "--tls-key", &key])
        .and(["--tls-ca", &ca])
}

fn all(ground: &Ground) -> Vec<Result<Told, String>> {
    let mut site = Site::running(ground);
    let mut told: Vec<_> = NOISE.iter().map(|row| noise(&site, row)).collect();
    told.push(talker(&site));
    for row in TOOLS {
        let place = Place::new(ground, 1);
        std::os::unix::fs::symlink(&site.certificates, place.path("tls")).expect("a link");
        fs::write(place.aside(PORT), site.tls.to_string()).expect("written");
        let words = Given::from(["ctl"]).and((row.make)(&place)).0;
        let one = run::once(&place, row, &words, REFUSAL_KIB);
        told.push(one.map_err(|why| format!("{}: {why}", row.name)));
    }
    if let Err(why) = site.is_well() {
        told.push(Err(why));
    }
    told
}

fn ended(name: &str, what: &str) -> Told {
    Told {
        name: name.into(),
        answer: "ended".into(),
        what: what.into(),
        remedy: String::new(),
    }
}

/// Says something to the port, and waits for its end.
fn noise(site: &Site, &(name, bytes): &Noise) -> Result<Told, String> {
    let failed = |error: io::Error| format!("{name}: {error}");
    let answer = told_to(site.tls, &bytes()).map_err(failed)?;
    // An alert of TLS, or nothing: no word for whom has not proved who he is. A reset may overtake the alert.
    match answer.first() {
        None | Some(0x15) => Ok(ended(name, "")),
        Some(other) => Err(format!("{name}: a record of type {other} comes back")),
    }
}

/// A tool that may come in, and then says nothing that has a meaning.
fn talker(site: &Site) -> Result<Told, String> {
    const NAME: &str = "1 MB by chance, from a tool that may come in";
    let own = site.certificates.join("own");
    let identity = Identity {
        certificate: own.join("tool.pem"),
        key: own.join("tool.key"),
    };
    let talk = || -> Result<(), Box<dyn std::error::Error>> {
        let config = client(&own.join("ca.pem"), Some(&identity))?;
        let connection = ClientConnection::new(config, "localhost".try_into()?)?;
        let socket = TcpStream::connect(("127.0.0.1", site.tls))?;
        let mut stream = StreamOwned::new(connection, socket);
        let mut state = 7_u32;
        let next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        let bytes: Vec<u8> = std::iter::repeat_with(next).take(1 << 20).collect();
        stream.write_all(&bytes)?;
        stream.conn.send_close_notify();
        stream.flush()?;
        stream.sock.shutdown(Shutdown::Write)?;
        until_the_end(&mut stream.sock)?;
        Ok(())
    };
    talk().map_err(|error| format!("{NAME}: {error}"))?;
    Ok(ended(NAME, ""))
}
