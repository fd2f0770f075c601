//! The bytes of every message, which programs of other ages must agree on.

use std::fmt::Write as _;

use nephrobox_shared::link::frame::CONTENT;
use nephrobox_shared::link::message::{
    Code, Hello, Item, MAGIC, Mismatch, ModelInfo, Object, PROTOCOL, Packet, Refused, Reply,
    Request, SCHEMA, ScanState, SlotInfo, SlotState, SlotsState, VerdictInfo, Welcome, cut,
};

/// The dump; made again with `NEPHROBOX_BLESS=1`, which is right only together with a new [`PROTOCOL`] or before a release.
const DUMP: &str = include_str!("messages.txt");

const HASH: [u8; 32] = [0xab; 32];

/// One of each.
fn packets() -> Vec<(&'static str, Packet<'static>)> {
    let request = |request| Packet::Request { id: 300, request };
    let reply = |reply| Packet::Reply { id: 300, reply };
    let get = |item| {
        request(Request::Get {
            item,
            offset: 4096,
            blake3: Some(HASH),
        })
    };
    let put = |object| {
        request(Request::Put {
            object,
            bytes: 1_000_000,
            blake3: HASH,
        })
    };
    let state = |state| reply(Reply::Scan(state));
    let refused = Refused::new(Code::Busy, "busy; try later");
    let model = ModelInfo {
        name: cut("demo"),
        version: 3,
        hash: HASH,
    };
    let slot = |state, model| SlotInfo {
        state,
        model,
        received: 5,
        reason: Some(cut("why")),
    };
    let verdict = VerdictInfo {
        hash: HASH,
        good: true,
        words: cut("it runs"),
    };
    let slots = SlotsState {
        slots: [
            slot(SlotState::Confirmed, Some(model)),
            slot(SlotState::Trial, None),
        ],
        active: Some(0),
        verdict: Some(verdict),
    };
    let package = Object::Package {
        hash: HASH,
        version: 7,
        key: [0xcd; 16],
        permit: heapless_of(&[1, 2, 3]),
        dry_run: true,
    };
    let id = || cut("00000042-9f86d081");
    let mut packets = vec![
        (
            "Hello",
            Packet::Hello(Hello {
                magic: MAGIC,
                protocol: 1,
                schema: 0x0102_0304,
                nonce: 9,
                software: cut("nephroctl 0.1.0"),
            }),
        ),
        (
            "Welcome",
            Packet::Welcome(Welcome {
                nonce: 9,
                software: cut("nephrobox 0.1.0"),
                name: cut("ward-3"),
                max_baud: 3_000_000,
            }),
        ),
        (
            "Mismatch",
            Packet::Mismatch(Mismatch {
                nonce: 9,
                protocol: 2,
                schema: 0x0102_0304,
                software: cut("nephrobox 0.2.0"),
            }),
        ),
        ("Ping", Packet::Ping(5)),
        ("Pong", Packet::Pong(5)),
        (
            "Data",
            Packet::Data {
                transfer: 77,
                offset: 65_536,
                round: 2,
                bytes: b"piece",
            },
        ),
        (
            "Ack",
            Packet::Ack {
                transfer: 77,
                next: 65_536,
                round: 2,
                gap: true,
            },
        ),
        (
            "Abort",
            Packet::Abort {
                transfer: 77,
                refusal: refused.clone(),
            },
        ),
        (
            "Request Put Scan",
            put(Object::Scan {
                name: cut("imaging.nii.gz"),
                fast: true,
            }),
        ),
        ("Request Put Package", put(package)),
        ("Request Finish", request(Request::Finish { transfer: 77 })),
        ("Request Get Status", get(Item::Status)),
        ("Request Get Screenshot", get(Item::Screenshot)),
        ("Request Get Logs", get(Item::Logs { lines: 50 })),
        ("Request Get Audit", get(Item::Audit)),
        ("Request Get Scans", get(Item::Scans)),
        ("Request Get Results", get(Item::Results { scan: id() })),
        (
            "Request Get Result",
            get(Item::Result {
                scan: id(),
                name: cut("report.json"),
            }),
        ),
        ("Request Get Bench", get(Item::Bench { seconds: 10 })),
        ("Request Get Exports", get(Item::Exports { scan: id() })),
        (
            "Request Get Export",
            get(Item::Export {
                scan: id(),
                name: cut("report.json"),
            }),
        ),
        ("Request Scan", request(Request::Scan { scan: id() })),
        ("Request Confirm", request(Request::Confirm { scan: id() })),
        ("Request Slots", request(Request::Slots)),
        (
            "Request Rollback",
            request(Request::Rollback { from: HASH }),
        ),
        ("Request Baud", request(Request::Baud { baud: 921_600 })),
        ("Request Erase", request(Request::Erase { scan: id() })),
        (
            "Reply Go",
            reply(Reply::Go {
                transfer: 77,
                offset: 65_536,
            }),
        ),
        ("Reply Have", reply(Reply::Have { id: id() })),
        (
            "Reply Coming",
            reply(Reply::Coming {
                transfer: 77,
                offset: 0,
                bytes: 1_000_000,
                blake3: HASH,
            }),
        ),
        (
            "Reply Scan Receiving",
            state(ScanState::Receiving {
                received: 1,
                bytes: 2,
            }),
        ),
        ("Reply Scan Waiting", state(ScanState::Waiting { ahead: 4 })),
        (
            "Reply Scan Working",
            state(ScanState::Working {
                attempt: 1,
                slice: 20,
                slices: 200,
            }),
        ),
        ("Reply Scan Finished", state(ScanState::Finished)),
        (
            "Reply Scan Refused",
            state(ScanState::Refused {
                reason: cut("no scan"),
            }),
        ),
        (
            "Reply Scan SetAside",
            state(ScanState::SetAside {
                reason: cut("twice"),
            }),
        ),
        ("Reply Slots", reply(Reply::Slots(slots))),
        ("Reply Done", reply(Reply::Done)),
    ];
    for code in CODES {
        let refused = Refused {
            code,
            words: cut("no"),
        };
        packets.push((code.name(), reply(Reply::Refused(refused))));
    }
    packets
}

const CODES: [Code; 13] = [
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
];

fn heapless_of(bytes: &[u8]) -> Option<heapless::Vec<u8, 128>> {
    heapless::Vec::from_slice(bytes).ok()
}

fn dump() -> String {
    let mut text = format!("protocol {PROTOCOL}, schema {SCHEMA:016x}\n");
    for (name, packet) in packets() {
        let mut bytes = [0; CONTENT];
        let len = packet.write(&mut bytes).expect("it fits");
        write!(text, "{name}:").expect("to a string");
        for byte in &bytes[..len] {
            write!(text, " {byte:02x}").expect("to a string");
        }
        text.push('\n');
    }
    text
}

#[test]
fn every_message_has_the_bytes_that_are_written_down() {
    let dump = dump();
    if std::env::var_os("NEPHROBOX_BLESS").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/link/messages.txt");
        std::fs::write(path, &dump).expect("written");
    }
    for (is, was) in dump.lines().zip(DUMP.lines()) {
        assert_eq!(is, was);
    }
    assert_eq!(dump, DUMP);
}

#[test]
fn every_message_is_read_as_it_was_written() {
    for (name, packet) in packets() {
        let mut bytes = [0; CONTENT];
        let len = packet.write(&mut bytes).expect("it fits");
        assert_eq!(Packet::read(&bytes[..len]).as_ref(), Ok(&packet), "{name}");
        for cut in 0..len {
            assert!(Packet::read(&bytes[..cut]).is_err(), "{name} cut to {cut}");
        }
        bytes[len] = 1;
        assert!(Packet::read(&bytes[..=len]).is_err(), "{name} and a byte");
    }
}

/// The greeting must be understood by programs of any age, so its bytes are reckoned here from `docs/formats/link.md` and not dumped.
#[test]
fn the_greeting_keeps_its_layout_for_ever() {
    let hello = Hello {
        magic: MAGIC,
        protocol: 1,
        schema: 1,
        nonce: 2,
        software: cut("x"),
    };
    let mut bytes = [0; CONTENT];
    let len = Packet::Hello(hello).write(&mut bytes).expect("it fits");
    assert_eq!(bytes[..len], [0, b'N', b'B', b'L', b'K', 1, 1, 2, 1, b'x']);
    let mismatch = Mismatch {
        nonce: 2,
        protocol: 1,
        schema: 1,
        software: cut("x"),
    };
    let len = Packet::Mismatch(mismatch)
        .write(&mut bytes)
        .expect("it fits");
    assert_eq!(bytes[..len], [2, 2, 1, 1, 1, b'x']);
}

#[test]
fn texts_are_cut_at_a_characters_end() {
    let text = "ä".repeat(40);
    assert_eq!(cut::<64>(&text).len(), 64);
    assert_eq!(cut::<63>(&text).len(), 62);
}
