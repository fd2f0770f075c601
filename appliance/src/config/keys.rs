//! Every key of the configuration, once: what the checker knows, the example shows and `docs/config.md` lists.

use std::fmt::Write as _;

/// One key.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// The section in brackets.
    pub section: &'static str,
    /// Its name.
    pub name: &'static str,
    /// What holds without it, in words; empty where it has to be given.
    pub default: &'static str,
    /// A value, as TOML.
    pub example: &'static str,
    /// What it means.
    pub meaning: &'static str,
}

/// One section.
#[derive(Debug, Clone, Copy)]
pub struct Section {
    /// The name in brackets.
    pub name: &'static str,
    /// Whether it may stand several times, in double brackets.
    pub many: bool,
    /// What it is for, and what holds without it.
    pub meaning: &'static str,
}

/// The sections, in the order of the example.
pub const SECTIONS: &[Section] = &[
    section(
        "box",
        "Who this box is and where it keeps what it must not lose.",
    ),
    section(
        "serial",
        "Scans and models over a serial line. Off without this section.",
    ),
    section(
        "tcp",
        "The same over the network, with certificates on both sides. Off without this section.",
    ),
    section(
        "folder",
        "A folder that is watched for scans. Off without this section.",
    ),
    section(
        "dicom",
        "Series from scanners and archives over the hospital's network (DICOM C-STORE). Off without this section.",
    ),
    section("spool", "How much room scans and results may take."),
    Section {
        name: "destination",
        many: true,
        meaning: "Where results go; may stand several times. Without one they stay on the box until they are fetched.",
    },
    Section {
        name: "archive",
        many: true,
        meaning: "An archive that gets the results of series as DICOM objects, by C-STORE; may stand several times.",
    },
    Section {
        name: "dicomweb",
        many: true,
        meaning: "The same over HTTP, by STOW-RS; may stand several times.",
    },
    section("results", "What results hold beyond the usual."),
    section("model", "Whose models the box takes."),
    section("compute", "How the network runs."),
    section("panel", "The screen at the box. Off without targets."),
    section(
        "status",
        "Status page, health and metrics over HTTP. Off without this section.",
    ),
    section(
        "privacy",
        "How long scans and results are kept. Without it, as long as there is room.",
    ),
    section("log", "What the box writes about itself."),
];

const fn section(name: &'static str, meaning: &'static str) -> Section {
    Section {
        name,
        many: false,
        meaning,
    }
}

/// The keys, section by section.
#[rustfmt::skip]
pub const KEYS: &[Key] = &[
    key("box", "name", "nephrobox", "\"nephrobox\"", "Shown on panel, page and reports; 1 to 64 letters, digits, - and _."),
    key("box", "state", "/var/lib/nephrobox", "\"/var/lib/nephrobox\"", "Folder of queue, models, logs and audit; absolute."),
    key("box", "silent", "false", "false", "Silent mode: scans are taken, segmented and kept, and nothing is sent to any destination, not later either."),
    key("serial", "device", "", "\"/dev/ttyGS0\"", "The port; a path below /dev."),
    key("serial", "baud", "115200", "115_200", "Speed at the start of a session, in bit/s."),
    key("serial", "max_baud", "as baud", "3_000_000", "Fastest speed both ends may agree on, in bit/s; not below baud."),
    key("tcp", "listen", "", "\"192.0.2.10:7443\"", "Address and port to listen on."),
    key("tcp", "certificate", "", "\"/etc/nephrobox/box.pem\"", "The box's certificate chain, PEM."),
    key("tcp", "key", "", "\"/etc/nephrobox/box.key\"", "The private key of the certificate, PEM."),
    key("tcp", "client_ca", "", "\"/etc/nephrobox/clients.pem\"", "Only clients with a certificate signed by one of these get in, PEM."),
    key("folder", "watch", "", "\"/srv/scans\"", "The folder; absolute, and outside of box.state."),
    key("folder", "quiet_s", "10", "10", "A scan is taken when it has not changed for this long, in seconds; 1 to 3600."),
    key("dicom", "listen", "", "\"192.0.2.10:11112\"", "Address and port to listen on."),
    key("dicom", "ae_title", "NEPHROBOX", "\"NEPHROBOX\"", "The box's own application entity title; 1 to 16 letters, digits, spaces, - and _. Destinations are called with it too."),
    key("dicom", "peers", "none", "[{ ae_title = \"CT1\", address = \"192.0.2.20\" }]", "Who may send series: by title, and by address if one is given. Everybody else may only ask whether the box is there (C-ECHO)."),
    key("dicom", "quiet_s", "60", "60", "A series is taken when nothing of it has come for this long, in seconds, or as soon as its files' own count is in; 2 to 3600."),
    key("dicom", "max_associations", "8", "8", "Associations at once; 1 to 64."),
    key("dicom", "max_pdu_bytes", "65536", "65_536", "Largest protocol unit that is read, in bytes; 4096 to 1048576."),
    key("dicom", "max_object_bytes", "64 MB", "\"64 MB\"", "Largest object that is taken."),
    key("dicom", "timeout_s", "30", "30", "Silence after which an association is given up, in seconds; 5 to 600."),
    key("dicom", "certificate", "no TLS", "\"/etc/nephrobox/box.pem\"", "The box's certificate chain, PEM; with it peers must speak TLS."),
    key("dicom", "key", "no TLS", "\"/etc/nephrobox/box.key\"", "The private key of the certificate, PEM."),
    key("dicom", "client_ca", "any client", "\"/etc/nephrobox/peers.pem\"", "Only peers with a certificate signed by one of these get in, PEM."),
    key("spool", "max_bytes", "20 GB", "\"20 GB\"", "Most room of queue and results together."),
    key("spool", "keep_free_bytes", "1 GB", "\"1 GB\"", "Room left free on the disk; scans are refused before it is touched."),
    key("spool", "max_scan_bytes", "4 GB", "\"4 GB\"", "Largest scan that is accepted; not above max_bytes."),
    key("destination", "kind", "", "\"folder\"", "folder, or line: back over the line the scan came from."),
    key("destination", "path", "", "\"/srv/results\"", "The folder of kind folder; absolute."),
    key("archive", "address", "", "\"192.0.2.30:104\"", "Its host and port."),
    key("archive", "ae_title", "", "\"ARCHIVE\"", "Its application entity title."),
    key("archive", "ca", "no TLS", "\"/etc/nephrobox/archive-ca.pem\"", "Who signed its certificate, PEM; with it the box speaks TLS, and shows dicom.certificate if there is one."),
    key("archive", "objects", "all", "[\"segmentation\", \"measurements\", \"picture\", \"document\"]", "What is sent."),
    key("dicomweb", "url", "", "\"https://archive.example/dicom-web\"", "Root of its web service; /studies is added."),
    key("dicomweb", "token_file", "none", "\"/etc/nephrobox/archive.token\"", "File with the bearer token that the box shows."),
    key("dicomweb", "ca", "the system's", "\"/etc/nephrobox/archive-ca.pem\"", "Who signed its certificate, PEM."),
    key("dicomweb", "objects", "all", "[\"segmentation\", \"measurements\", \"picture\", \"document\"]", "What is sent."),
    key("results", "fhir", "false", "false", "Write fhir.json too: the report as a FHIR R4 bundle."),
    key("results", "empty_frames", "false", "false", "Keep a frame for every slice in the DICOM segmentation, empty ones too."),
    key("model", "trusted_keys", "none", "[{ key = \"nephrobox-key-1:PUT-YOUR-KEY-HERE\", retired = false }]", "Public keys whose signature makes a model acceptable. A retired key still runs what is installed, and installs nothing new."),
    key("model", "allow_without_self_test", "false", "false", "Take models that carry no self-test. Not for use with patients' scans."),
    key("compute", "device", "auto", "\"auto\"", "auto, or a device as in `nephrobox segment --device`."),
    key("compute", "threads", "all cores", "4", "CPU threads of the network; 1 to 1024."),
    key("compute", "fast", "false", "false", "Look at a slice every 15 mm first, and closely only around kidneys."),
    key("compute", "arithmetic", "auto", "\"auto\"", "auto, f32, or f16 on a GPU, as in `nephrobox segment --arithmetic`."),
    key("panel", "targets", "none", "[{ kind = \"framebuffer\", device = \"/dev/fb0\" }]", "Where the panel is drawn: kind framebuffer with device, or kind png with path."),
    key("status", "listen", "", "\"127.0.0.1:9180\"", "Address and port; only this machine's own (127.0.0.0/8 or [::1])."),
    key("status", "show_identity", "true", "true", "Whether the pages of studies say whose they are and link to the reports; they are for this machine's own browser."),
    key("privacy", "retention_days", "none", "30", "Days after which ended scans with their results, and broken-off receptions, are erased; 1 to 3650. Results that a destination has not confirmed are kept, and a fault says so."),
    key("log", "level", "info", "\"info\"", "error, warn, info, debug or trace."),
    key("log", "format", "text", "\"text\"", "text for people, json for collectors."),
];

const fn key(
    section: &'static str,
    name: &'static str,
    default: &'static str,
    example: &'static str,
    meaning: &'static str,
) -> Key {
    Key {
        section,
        name,
        default,
        example,
        meaning,
    }
}

/// The keys of one section.
pub fn of(section: &str) -> impl Iterator<Item = &'static Key> {
    KEYS.iter().filter(move |key| key.section == section)
}

/// A commented configuration with every key. What is off by default stands behind `#`.
#[must_use]
pub fn example() -> String {
    let mut text =
        String::from("# Configuration of nephrobox. Check it with: nephrobox config check FILE\n");
    for section in SECTIONS {
        let off = of(section.name).any(|key| key.default.is_empty());
        let mark = if off { "#" } else { "" };
        let head = if section.many {
            format!("[[{}]]", section.name)
        } else {
            format!("[{}]", section.name)
        };
        let _ = writeln!(text, "\n# {}\n{mark}{head}", section.meaning);
        for key in of(section.name) {
            let open = [
                "none",
                "all cores",
                "all",
                "no TLS",
                "any client",
                "the system's",
            ]
            .contains(&key.default);
            let mark = if off || open { "#" } else { "" };
            let default = if key.default.is_empty() {
                String::new()
            } else {
                format!(" Default: {}.", key.default)
            };
            let _ = writeln!(
                text,
                "# {}{default}\n{mark}{} = {}",
                key.meaning, key.name, key.example
            );
        }
    }
    text
}
