//! What no peer should say: each costs its own connection, and the server is well afterwards.

use nephrobox_dimse::server::{End, Event};

use crate::raw::{
    COMMAND, DATA, LAST_COMMAND, LAST_DATA, command, context, echo, element, item, kinds, pdu,
    piece, request, request_of, say, store, user, value,
};
use crate::support::{run, settings};

const RJ: u8 = 3;
pub(crate) const RP: u8 = 6;
const ABORT: u8 = 7;
pub(crate) const AC: u8 = 2;
pub(crate) const P_DATA: u8 = 4;

/// How a connection ends that is given these bytes and no more, and the types of the PDUs that it was answered with.
pub(crate) fn tell(bytes: &[u8]) -> (End, Vec<u8>) {
    let running = run(settings());
    let said = say(running.address(), bytes);
    let end = running.shelf.end();
    running.is_well();
    (end, kinds(&said))
}

pub(crate) fn application() -> Vec<u8> {
    item(0x10, b"1.2.840.10008.3.1.1.1")
}

pub(crate) fn verification(id: u8) -> Vec<u8> {
    context(id, b"1.2.840.10008.1.1", &[b"1.2.840.10008.1.2"])
}

/// A request with these presentation contexts.
pub(crate) fn proposing(contexts: &[Vec<u8>]) -> Vec<u8> {
    request_of(&[application(), contexts.concat(), item(0x50, &user())])
}

/// After a good request, this.
pub(crate) fn then(bytes: &[u8]) -> Vec<u8> {
    [request(), bytes.to_vec()].concat()
}

/// After a good request, this command in context 3.
pub(crate) fn commanding(elements: &[Vec<u8>]) -> Vec<u8> {
    then(&piece(3, LAST_COMMAND, &command(elements)))
}

/// The elements of a store request without those of this number.
pub(crate) fn store_without(number: u16) -> Vec<Vec<u8>> {
    let mut elements = store();
    elements.retain(|element| element[2..4] != number.to_le_bytes());
    elements
}

#[test]
fn a_request_cut_off_anywhere_is_a_lost_connection() {
    let whole = request();
    let running = run(settings());
    for length in 0..whole.len() {
        let said = say(running.address(), &whole[..length]);
        assert!(said.is_empty(), "{length} bytes were answered");
    }
    running.is_well();
    let events = running.shelf.events.lock().unwrap();
    let lost = |event: &&Event| matches!(event, Event::Ended(_, End::Lost));
    assert_eq!(events.iter().filter(lost).count(), whole.len());
}

#[test]
fn a_request_whose_length_is_cut_as_well_is_aborted() {
    let whole = request();
    let running = run(settings());
    // Where an item ends exactly, what is there is a request without user information, which is fine.
    let whole_items = whole.len() - item(0x50, &user()).len();
    let mut accepted = Vec::new();
    for length in 6..whole.len() {
        let said = say(running.address(), &pdu(1, &whole[6..length]));
        match kinds(&said)[..] {
            [AC] => accepted.push(length),
            [ABORT] => {}
            ref other => panic!("{length} bytes: {other:?}"),
        }
    }
    running.is_well();
    let first_context =
        whole_items - context(3, b"1.2.840.10008.5.1.4.1.1.2", &[b"1.2.840.10008.1.2"]).len();
    assert_eq!(accepted, [first_context, whole_items]);
}

#[test]
fn every_lie_of_a_first_pdu_is_aborted() {
    let mut wrong_inner = request();
    let at = wrong_inner.len() - user().len() - 2;
    wrong_inner[at..at + 2].copy_from_slice(&[0xff, 0xff]);
    let mut short_fixed = request();
    short_fixed[2..6].copy_from_slice(&67_u32.to_be_bytes());
    let table: Vec<(&str, Vec<u8>)> = vec![
        ("an empty request", pdu(1, &[])),
        ("fixed fields only", request_of(&[])),
        ("one byte too few of fixed fields", short_fixed),
        ("4 GiB of request", [1, 0, 0xff, 0xff, 0xff, 0xff].into()),
        (
            "a request a byte longer than any",
            [1, 0, 0, 4, 0, 1].into(),
        ),
        ("a PDU of type 0", pdu(0, &[0; 4])),
        ("a PDU of type 8", pdu(8, &[0; 4])),
        (
            "a PDU of type 255 and 4 GiB",
            [255, 0, 255, 255, 255, 255].into(),
        ),
        ("HTTP", b"GET / HTTP/1.1\r\nHost: box\r\n\r\n".into()),
        (
            "TLS, where none is",
            [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3].into(),
        ),
        ("an answer instead of a request", pdu(2, &request()[6..])),
        ("a rejection", pdu(3, &[0, 1, 1, 1])),
        (
            "P-DATA before an association",
            piece(1, LAST_COMMAND, &command(&echo())),
        ),
        ("a release before an association", pdu(5, &[0; 4])),
        (
            "the answer to a release before an association",
            pdu(6, &[0; 4]),
        ),
        ("a release of 5 bytes", pdu(5, &[0; 5])),
        ("an abort of 2 GiB", [7, 0, 0x7f, 0xff, 0xff, 0xff].into()),
        (
            "no application context",
            request_of(&[verification(1), item(0x50, &user())]),
        ),
        (
            "two application contexts",
            request_of(&[application(), application(), verification(1)]),
        ),
        (
            "an application context that is empty",
            request_of(&[item(0x10, b""), verification(1)]),
        ),
        (
            "an application context that is no UID",
            request_of(&[item(0x10, b"../../x"), verification(1)]),
        ),
        ("no presentation context", proposing(&[])),
        (
            "contexts of the kind of answers",
            proposing(&[item(0x21, &[1, 0, 0, 0])]),
        ),
        (
            "an empty presentation context",
            proposing(&[item(0x20, &[])]),
        ),
        (
            "a presentation context of one byte",
            proposing(&[item(0x20, &[1])]),
        ),
        (
            "a presentation context with nothing in it",
            proposing(&[item(0x20, &[1, 0, 0, 0])]),
        ),
        (
            "no transfer syntax",
            proposing(&[context(1, b"1.2.840.10008.1.1", &[])]),
        ),
        (
            "no abstract syntax",
            proposing(&[item(
                0x20,
                &[vec![1, 0, 0, 0], item(0x40, b"1.2.840.10008.1.2")].concat(),
            )]),
        ),
        (
            "two abstract syntaxes",
            proposing(&[item(
                0x20,
                &[
                    vec![1, 0, 0, 0],
                    item(0x30, b"1.2"),
                    item(0x30, b"1.2"),
                    item(0x40, b"1.2"),
                ]
                .concat(),
            )]),
        ),
        (
            "an empty abstract syntax",
            proposing(&[context(1, b"", &[b"1.2.840.10008.1.2"])]),
        ),
        (
            "an abstract syntax of spaces",
            proposing(&[context(1, b"      ", &[b"1.2.840.10008.1.2"])]),
        ),
        (
            "an abstract syntax that is a path",
            proposing(&[context(1, b"../../etc/passwd", &[b"1.2.840.10008.1.2"])]),
        ),
        (
            "an abstract syntax of 65 digits",
            proposing(&[context(1, &[b'1'; 65], &[b"1.2.840.10008.1.2"])]),
        ),
        (
            "an abstract syntax outside ASCII",
            proposing(&[context(1, b"1.2.\xff", &[b"1.2.840.10008.1.2"])]),
        ),
        (
            "an empty transfer syntax",
            proposing(&[context(1, b"1.2.840.10008.1.1", &[b""])]),
        ),
        (
            "a transfer syntax of 60,000 digits",
            proposing(&[context(1, b"1.2.840.10008.1.1", &[&vec![b'1'; 60_000]])]),
        ),
        ("context number 0", proposing(&[verification(0)])),
        ("an even context number", proposing(&[verification(2)])),
        (
            "one context number twice",
            proposing(&[verification(1), verification(1)]),
        ),
        (
            "two user informations",
            request_of(&[
                application(),
                verification(1),
                item(0x50, &user()),
                item(0x50, &user()),
            ]),
        ),
        (
            "a greatest length of 3 bytes",
            request_of(&[
                application(),
                verification(1),
                item(0x50, &item(0x51, &[0, 0, 1])),
            ]),
        ),
        (
            "a greatest length of no bytes",
            request_of(&[application(), verification(1), item(0x50, &item(0x51, &[]))]),
        ),
        (
            "two greatest lengths",
            request_of(&[
                application(),
                verification(1),
                item(
                    0x50,
                    &[item(0x51, &[0, 1, 0, 0]), item(0x51, &[0, 2, 0, 0])].concat(),
                ),
            ]),
        ),
        (
            "a greatest length of 1",
            request_of(&[
                application(),
                verification(1),
                item(0x50, &item(0x51, &[0, 0, 0, 1])),
            ]),
        ),
        (
            "a user item that is longer than its item",
            request_of(&[
                application(),
                verification(1),
                item(0x50, &[0x52, 0, 0xff, 0xff, 1]),
            ]),
        ),
        (
            "a user item of one byte",
            request_of(&[application(), verification(1), item(0x50, &[0x51])]),
        ),
        ("an item that is longer than the request", wrong_inner),
        (
            "a byte behind the last item",
            request_of(&[application(), verification(1), vec![0]]),
        ),
        (
            "an unknown item that is longer than the request",
            request_of(&[application(), verification(1), vec![0x99, 0, 0, 9]]),
        ),
        (
            "a syntax that is longer than its context",
            proposing(&[item(0x20, &[1, 0, 0, 0, 0x30, 0, 0, 99, b'1'])]),
        ),
    ];
    assert!(table.len() >= 50);
    for (what, bytes) in table {
        let (end, answers) = tell(&bytes);
        assert!(matches!(end, End::Broken(_)), "{what}: {end}");
        assert_eq!(answers, [ABORT], "{what}");
    }
}

#[test]
fn a_request_in_another_protocol_is_rejected() {
    let mut version = request();
    version[7] = 2;
    let other = request_of(&[item(0x10, b"1.2.3"), verification(1)]);
    for (what, bytes) in [("version 2", version), ("another application", other)] {
        let (end, answers) = tell(&bytes);
        assert_eq!((end, answers), (End::Refused, vec![RJ]), "{what}");
    }
}

#[test]
fn every_lie_within_an_association_is_aborted() {
    let long = vec![0; 20_000];
    let table: Vec<(&str, Vec<u8>)> = vec![
        ("a second request", then(&request())),
        ("an answer to a request", then(&pdu(2, &request()[6..]))),
        ("a rejection", then(&pdu(3, &[0, 1, 1, 1]))),
        (
            "the answer to a release that was not asked for",
            then(&pdu(6, &[0; 4])),
        ),
        ("an unknown PDU", then(&pdu(9, b"what?"))),
        ("P-DATA without a piece", then(&pdu(4, &[]))),
        ("P-DATA longer than was agreed", then(&[4, 0, 0, 2, 0, 1])),
        ("P-DATA of 4 GiB", then(&[4, 0, 255, 255, 255, 255])),
        ("a piece of length 0", then(&pdu(4, &[0, 0, 0, 0]))),
        ("a piece of length 1", then(&pdu(4, &[0, 0, 0, 1, 1]))),
        (
            "a piece longer than its PDU",
            then(&pdu(4, &[0, 0, 0, 9, 1, 3, 0])),
        ),
        (
            "a piece of 4 GiB",
            then(&pdu(4, &[255, 255, 255, 255, 1, 3, 0])),
        ),
        ("three bytes of a piece's length", then(&pdu(4, &[0, 0, 0]))),
        (
            "a sound piece and half a one",
            then(&pdu(
                4,
                &[value(1, COMMAND, &[0]), vec![0, 0, 0, 5, 1]].concat(),
            )),
        ),
        (
            "a context that was not proposed",
            then(&piece(5, LAST_COMMAND, &command(&echo()))),
        ),
        (
            "context 0",
            then(&piece(0, LAST_COMMAND, &command(&echo()))),
        ),
        (
            "a data set without a command",
            then(&piece(3, LAST_DATA, &[0; 10])),
        ),
        (
            "a command in two contexts",
            then(&[piece(1, COMMAND, &[0]), piece(3, LAST_COMMAND, &[0])].concat()),
        ),
        (
            "a data set within a command",
            then(&[piece(3, COMMAND, &[0]), piece(3, LAST_DATA, &[0])].concat()),
        ),
        ("an empty command", then(&piece(1, LAST_COMMAND, &[]))),
        (
            "a command of 7 bytes",
            then(&piece(1, LAST_COMMAND, &[0; 7])),
        ),
        (
            "a command of zeros",
            then(&piece(1, LAST_COMMAND, &[0; 64])),
        ),
        (
            "a command of ones",
            then(&piece(1, LAST_COMMAND, &[255; 64])),
        ),
        (
            "an endless command",
            then(&[piece(1, COMMAND, &long), piece(1, COMMAND, &long)].concat()),
        ),
        (
            "an element longer than its command",
            then(&piece(
                1,
                LAST_COMMAND,
                &[0, 0, 0, 1, 255, 255, 255, 255, 0x30, 0],
            )),
        ),
        (
            "an element of another group",
            commanding(&[vec![8, 0, 0, 1, 2, 0, 0, 0, 0x30, 0]]),
        ),
        (
            "elements in the wrong order",
            commanding(&{
                let mut all = store();
                all.swap(1, 2);
                all
            }),
        ),
        (
            "an element twice",
            commanding(&{
                let mut all = store();
                all.insert(1, all[1].clone());
                all
            }),
        ),
        (
            "a command field of 4 bytes",
            commanding(&[element(0x0100, &[1, 0, 0, 0]), element(0x0800, &[1, 0])]),
        ),
        (
            "a command field of no bytes",
            commanding(&[element(0x0100, &[]), element(0x0800, &[1, 0])]),
        ),
        ("no command field", commanding(&store_without(0x0100))),
        (
            "no word whether a data set follows",
            commanding(&store_without(0x0800)),
        ),
        (
            "a response, where nothing was asked",
            commanding(&{
                let mut all = store();
                all[1] = element(0x0100, &0x8001_u16.to_le_bytes());
                all
            }),
        ),
        (
            "an echo with a data set",
            then(&piece(
                1,
                LAST_COMMAND,
                &command(&{
                    let mut all = echo();
                    all[3] = element(0x0800, &[0, 0]);
                    all
                }),
            )),
        ),
        (
            "a command within a data set",
            [
                commanding(&store()),
                piece(3, LAST_COMMAND, &command(&echo())),
            ]
            .concat(),
        ),
        (
            "a data set in another context",
            [commanding(&store()), piece(1, LAST_DATA, &[0; 8])].concat(),
        ),
        (
            "an unknown PDU within a data set",
            [commanding(&store()), piece(3, DATA, &[0; 8]), pdu(77, &[])].concat(),
        ),
    ];
    for (what, bytes) in table {
        let (end, answers) = tell(&bytes);
        assert!(matches!(end, End::Broken(_)), "{what}: {end}");
        assert_eq!(answers, [AC, ABORT], "{what}");
    }
}
