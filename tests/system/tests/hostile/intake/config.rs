//! Configurations that are none, or contradict themselves.

use std::fs;

use crate::row::{Given, Row, Section, refused, taken};
use crate::run::REFUSAL_KIB;

pub(crate) const SECTION: Section = Section::of_program(
    "The configuration",
    "nephrobox config check FILE",
    |_, given| Given::from(["box", "config", "check"]).and(given).0,
    REFUSAL_KIB,
    ROWS,
);

/// A configuration of this text.
macro_rules! toml {
    ($text:expr) => {
        |p| p.file("box.toml", $text)
    };
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    refused("a file that is not there", |_| ["nowhere.toml"].into(), 2, "cannot be read"),
    refused("a folder", |p| { fs::create_dir(p.path("box.toml")).expect("a folder"); p.path("box.toml").into() }, 2, "cannot be read"),
    refused("a pipe that nobody writes into", |p| p.pipe("box.toml"), 2, "cannot be read"),
    refused("a device without end", |_| ["/dev/zero"].into(), 2, "cannot be read"),
    refused("1 TB of nothing", |p| p.sparse("box.toml", b"[box]\n", 1 << 40), 2, "cannot be read"),
    refused("no UTF-8", toml!(b"[box]\nname = \"\xff\xfe\"\n"), 2, "UTF-8"),
    refused("a photograph (PNG)", toml!([b"\x89PNG\r\n\x1a\n".as_slice(), &[0x49; 400]].concat()), 2, "UTF-8"),
    refused("a text", toml!("Dear box,\nplease be quick.\n"), 2, "line 1"),
    refused("NUL bytes", toml!("[box]\nname = \"a\0b\"\n"), 2, "line 2"),
    refused("brackets, 100,000 deep", toml!(format!("a = {}", "[".repeat(100_000))), 2, "line 1"),
    refused("tables, 100,000 deep", toml!(format!("a{} = 1", ".a".repeat(100_000))), 2, "recursion limit"),
    refused("inline tables, 50,000 deep", toml!(format!("a = {}", "{a=".repeat(50_000))), 2, "line 1"),
    refused("10,000 mistakes", toml!((0..10_000).map(|n| format!("key{n} = {n}")).collect::<Vec<_>>().join("\n")), 2, "10000 mistakes"),
    refused("one section twice", toml!("[box]\nname = \"a\"\n[box]\nname = \"b\"\n"), 2, "line 3"),
    refused("one key twice", toml!("[box]\nname = \"a\"\nname = \"b\"\n"), 2, "line 3"),
    refused("a text that does not end", toml!("[box]\nname = \"a\n"), 2, "line 2"),
    refused("a number beyond 64 bits", toml!("[spool]\nmax_bytes = 99999999999999999999999999\n"), 2, "line 2"),
    refused("a negative number", toml!("[compute]\nthreads = -1\n"), 2, "compute.threads"),
    refused("NaN", toml!("[folder]\nwatch = \"/srv/a\"\nquiet_s = nan\n"), 2, "folder.quiet_s"),
    refused("2^63 bytes of room", toml!("[spool]\nmax_bytes = \"9223372036854775807 TB\"\n"), 2, "spool.max_bytes"),
    refused("a list in place of a section", toml!("box = [1, 2, 3]\n"), 2, "not a table"),
    refused("a section in place of a text", toml!("[box.name]\nfirst = 1\n"), 2, "box.name is of type table"),
    refused("a key that does not exist, with commands to the terminal", toml!("[box]\n\"\\u001b[2J\\n\" = 1\n"), 2, "not a key"),
    refused("a value with commands to the terminal", toml!("[box]\nname = \"\\u001b[2J\\r\\n\"\n"), 2, "box.name"),
    refused("1 MB of comments", toml!("# nothing\n".repeat(100_000)), 2, "1000000 bytes"),
    refused("a name of 200 kB", toml!(format!("[box]\nname = \"{}\"\n", "a".repeat(200_000))), 2, "box.name"),
    refused("a name that is a path", toml!("[box]\nname = \"../../etc\"\n"), 2, "box.name"),
    refused("a state folder that is no absolute path", toml!("[box]\nstate = \"../state\"\n"), 2, "absolute path"),
    refused("a watched folder within the state folder", toml!("[box]\nstate = \"/srv/a\"\n[folder]\nwatch = \"/srv/a/../a/in\"\n"), 2, "overlap|\"..\"|absolute"),
    refused("results into the watched folder", toml!("[folder]\nwatch = \"/srv/a\"\n[[destination]]\nkind = \"folder\"\npath = \"/srv/a/out\"\n"), 2, "apart|looks there"),
    refused("a serial port that is no device", toml!("[serial]\ndevice = \"/etc/passwd\"\n"), 2, "serial.device"),
    refused("a speed of 10^9 bit/s", toml!("[serial]\ndevice = \"/dev/ttyS0\"\nbaud = 1000000000\n"), 2, "serial.baud"),
    refused("a status page for everybody", toml!("[status]\nlisten = \"0.0.0.0:80\"\n"), 2, "others can reach"),
    refused("a port beyond 65,535", toml!("[status]\nlisten = \"127.0.0.1:99999\"\n"), 2, "status.listen"),
    refused("a title of 17 letters", toml!("[dicom]\nlisten = \"127.0.0.1:104\"\nae_title = \"AAAAAAAAAAAAAAAAA\"\n"), 2, "dicom.ae_title"),
    refused("a title with a backslash", toml!("[dicom]\nlisten = \"127.0.0.1:104\"\npeers = [{ ae_title = \"CT\\\\1\" }]\n"), 2, "ae_title"),
    refused("objects of 1 TB", toml!("[dicom]\nlisten = \"127.0.0.1:104\"\nmax_object_bytes = \"1 TB\"\nmax_pdu_bytes = 4000000000\n"), 2, "dicom.max_pdu_bytes"),
    refused("a trusted key that is a secret one", toml!(format!("[model]\ntrusted_keys = [{{ key = \"nephrobox-secret-1:{}\" }}]\n", "0".repeat(64))), 2, "secret key"),
    refused("a trusted key that proves nothing", toml!(format!("[model]\ntrusted_keys = [{{ key = \"nephrobox-key-1:{}\" }}]\n", "0".repeat(64))), 2, "proves"),
    refused("an address with a password", toml!("[[dicomweb]]\nurl = \"https://me:secret@archive/web\"\n"), 2, "password"),
    refused("an address that is a file", toml!("[[dicomweb]]\nurl = \"file:///etc/passwd\"\n"), 2, "dicomweb"),
    refused("65,536 threads", toml!("[compute]\nthreads = 65536\n"), 2, "compute.threads"),
    refused("a device that does not exist", toml!("[compute]\ndevice = \"abacus\"\n"), 2, "compute.device"),
    refused("keeping scans for 0 days", toml!("[privacy]\nretention_days = 0\n"), 2, "privacy.retention_days"),
    refused("a level of the log that does not exist", toml!("[log]\nlevel = \"everything\"\n"), 2, "log.level"),
    taken("nothing at all", toml!(b""), "nothing wrong"),
    taken("a byte order mark and Windows' line ends", toml!("\u{feff}[box]\r\nname = \"a\"\r\n"), "nothing wrong"),
    taken("200 kB of comments", toml!("# nothing\n".repeat(20_000)), "nothing wrong"),
];
