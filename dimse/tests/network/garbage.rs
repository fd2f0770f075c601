//! What no peer should say: each costs its own connection, and the server is well afterwards.

use proptest::prelude::*;

use nephrobox_dimse::server::{End, Event};

use crate::raw::{
    COMMAND, DATA, LAST_COMMAND, LAST_DATA, command, context, conversation, echo, element, item,
    kinds, pdu, piece, request, request_of, say, store, user, value,
};
use crate::support::{Running, run, settings};

const RJ: u8 = 3;
const RP: u8 = 6;
const ABORT: u8 = 7;
const AC: u8 = 2;
const P_DATA: u8 = 4;

/// How a connection ends that is given these bytes and no more, and the types of the PDUs that it was answered with.
fn tell(bytes: &[u8]) -> (End, Vec<u8>) {
    let running = run(settings());
    let said = say(running.address(), bytes);
    let end = running.shelf.end();
    running.is_well();
    (end, kinds(&said))
}

fn application() -> Vec<u8> {
    item(0x10, b"1.2.840.10008.3.1.1.1")
}

fn verification(id: u8) -> Vec<u8> {
    context(id, b"1.2.840.10008.1.1", &[b"1.2.840.10008.1.2"])
}

/// A request with these presentation contexts.
fn proposing(contexts: &[Vec<u8>]) -> Vec<u8> {
    request_of(&[application(), contexts.concat(), item(0x50, &user())])
}

/// After a good request, this.
fn then(bytes: &[u8]) -> Vec<u8> {
    [request(), bytes.to_vec()].concat()
}

/// After a good request, this command in context 3.
fn commanding(elements: &[Vec<u8>]) -> Vec<u8> {
    then(&piece(3, LAST_COMMAND, &command(elements)))
}

/// The elements of a store request without those of this number.
fn store_without(number: u16) -> Vec<Vec<u8>> {
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

#[test]
fn what_is_unusual_but_allowed_is_answered() {
    let mut without_length = echo().concat();
    let lying_length = [element(0, &[255, 255, 255, 255]), echo().concat()].concat();
    let table: Vec<(&str, Vec<u8>, Vec<u8>)> = vec![
        (
            "a command without group length",
            then(&piece(1, LAST_COMMAND, &without_length.split_off(0))),
            vec![AC, P_DATA],
        ),
        (
            "a command with a lying group length",
            then(&piece(1, LAST_COMMAND, &lying_length)),
            vec![AC, P_DATA],
        ),
        (
            "a command byte by byte",
            then(&bytewise(&command(&echo()))),
            vec![AC, P_DATA],
        ),
        (
            "two commands in one PDU",
            then(&pdu(
                4,
                &[
                    value(1, LAST_COMMAND, &command(&echo())),
                    value(1, LAST_COMMAND, &command(&echo())),
                ]
                .concat(),
            )),
            vec![AC, P_DATA, P_DATA],
        ),
        (
            "command and data set in one PDU",
            then(&pdu(
                4,
                &[
                    value(3, LAST_COMMAND, &command(&store())),
                    value(3, LAST_DATA, &[0; 8]),
                ]
                .concat(),
            )),
            vec![AC, P_DATA],
        ),
        (
            "an empty data set",
            [commanding(&store()), piece(3, LAST_DATA, &[])].concat(),
            vec![AC, P_DATA],
        ),
        (
            "unused bits of the control byte",
            then(&piece(1, 0xff, &command(&echo()))),
            vec![AC, P_DATA],
        ),
        (
            "a release within a data set",
            [
                commanding(&store()),
                piece(3, DATA, &[0; 8]),
                pdu(5, &[0; 4]),
            ]
            .concat(),
            vec![AC, RP],
        ),
        (
            "unknown items everywhere",
            [
                request_of(&[
                    item(0x99, b"new"),
                    application(),
                    verification(1),
                    item(
                        0x50,
                        &[
                            user(),
                            item(0x54, &[0, 3, b'1', b'.', b'2', 1, 1]),
                            item(0x58, b"user and password"),
                            item(0x53, &[0, 9, 0, 9]),
                            item(0x77, &[]),
                        ]
                        .concat(),
                    ),
                ]),
                pdu(5, &[0; 4]),
            ]
            .concat(),
            vec![AC, RP],
        ),
        (
            "UIDs with padding",
            [
                proposing(&[context(1, b"1.2.840.10008.1.1\0", &[b"1.2.840.10008.1.2 "])]),
                piece(1, LAST_COMMAND, &command(&echo())),
            ]
            .concat(),
            vec![AC, P_DATA],
        ),
        (
            "a cancel of nothing",
            commanding(&[
                element(0x0100, &0x0fff_u16.to_le_bytes()),
                element(0x0120, &[9, 0]),
                element(0x0800, &[1, 1]),
            ]),
            vec![AC],
        ),
        (
            "a small greatest length",
            [
                request_of(&[
                    application(),
                    verification(1),
                    item(0x50, &item(0x51, &[0, 0, 0, 64])),
                ]),
                piece(1, LAST_COMMAND, &command(&echo())),
            ]
            .concat(),
            vec![AC, P_DATA, P_DATA],
        ),
    ];
    for (what, bytes, wanted) in table {
        let (end, answers) = tell(&bytes);
        assert!(matches!(end, End::Lost | End::Released), "{what}: {end}");
        assert_eq!(answers, wanted, "{what}");
    }
}

fn bytewise(bytes: &[u8]) -> Vec<u8> {
    let last = bytes.len() - 1;
    let pieces = bytes.iter().enumerate().map(|(at, byte)| {
        let control = if at == last { LAST_COMMAND } else { COMMAND };
        piece(1, control, &[*byte])
    });
    pieces.collect::<Vec<_>>().concat()
}

#[test]
fn what_cannot_be_done_is_answered_with_a_status_and_the_association_goes_on() {
    let with = |at: usize, new: Vec<u8>| {
        let mut all = store();
        all[at] = new;
        all
    };
    let class = |class: &[u8]| with(0, element(0x0002, class));
    let instance = |instance: &[u8]| with(5, element(0x1000, instance));
    let operation = |field: u16| with(1, element(0x0100, &field.to_le_bytes()));
    let table: Vec<(&str, u8, Vec<Vec<u8>>, u16)> = vec![
        (
            "an object of another class",
            3,
            class(b"1.2.840.10008.5.1.4.1.1.4\0"),
            0x0122,
        ),
        ("an object without class", 3, store_without(0x0002), 0x0122),
        (
            "an object whose class is a path",
            3,
            class(b"../../x\0"),
            0x0122,
        ),
        ("an object in the context of echoes", 1, store(), 0x0122),
        (
            "an object without instance",
            3,
            store_without(0x1000),
            0x0117,
        ),
        (
            "an object whose instance is a path",
            3,
            instance(b"../../../etc/passwd\0"),
            0x0117,
        ),
        (
            "an object whose instance is empty",
            3,
            instance(b""),
            0x0117,
        ),
        (
            "an object whose instance is very long",
            3,
            instance(&[b'1'; 10_000]),
            0x0117,
        ),
        ("C-FIND", 3, operation(0x0020), 0x0211),
        ("C-GET", 3, operation(0x0010), 0x0211),
        ("C-MOVE", 3, operation(0x0021), 0x0211),
        ("N-CREATE", 3, operation(0x0140), 0x0211),
        ("nothing of this world", 3, operation(0x0777), 0x0211),
    ];
    for (what, context, elements, status) in table {
        let running = run(settings());
        let bytes = [
            request(),
            piece(context, LAST_COMMAND, &command(&elements)),
            piece(context, LAST_DATA, &[0; 50]),
            piece(1, LAST_COMMAND, &command(&echo())),
            pdu(5, &[0; 4]),
        ];
        let said = say(running.address(), &bytes.concat());
        assert_eq!(kinds(&said), [AC, P_DATA, P_DATA, RP], "{what}");
        let seen = running.shelf.wait(|event| match event {
            Event::Declined(_, status, _) => Some(*status),
            _ => None,
        });
        assert_eq!(seen, status, "{what}");
        assert!(running.shelf.stored.lock().unwrap().is_empty(), "{what}");
    }
}

#[test]
fn data_sets_that_are_none_are_the_desks_to_judge_and_arrive_as_they_came() {
    let running = run(settings());
    for data in [
        vec![],
        vec![0xff],
        vec![0; 99_999],
        (0..=255).collect::<Vec<u8>>(),
    ] {
        let pieces: Vec<_> = data
            .chunks(5000)
            .map(|chunk| piece(3, DATA, chunk))
            .collect();
        let bytes = [
            commanding(&store()),
            pieces.concat(),
            piece(3, LAST_DATA, &[]),
            pdu(5, &[0; 4]),
        ];
        assert_eq!(
            kinds(&say(running.address(), &bytes.concat())),
            [AC, P_DATA, RP]
        );
        let kept = running.shelf.stored.lock().unwrap().pop().unwrap().1;
        assert_eq!(crate::objects::data_set(&kept), data);
    }
    running.is_well();
}

/// One server for all cases: what one of them did must not harm the next.
fn survives(running: &Running, bytes: &[u8]) -> Result<(), TestCaseError> {
    say(running.address(), bytes);
    running.is_well();
    let mut events = running.shelf.events.lock().unwrap();
    let panicked = events
        .iter()
        .any(|event| matches!(event, Event::Ended(_, End::Panicked)));
    events.clear();
    prop_assert!(!panicked);
    Ok(())
}

#[test]
fn any_damage_to_a_sound_conversation_is_survived() {
    let running = run(settings());
    let sound = conversation().concat();
    let damage = proptest::collection::vec((0..sound.len(), any::<u8>()), 1..6);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 300,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let outcome = runner.run(&damage, |damage| {
        let mut bytes = sound.clone();
        for (at, byte) in damage {
            bytes[at] = byte;
        }
        survives(&running, &bytes)
    });
    outcome.unwrap();
}

#[test]
fn any_order_of_sound_and_unsound_pdus_is_survived() {
    let running = run(settings());
    let pdus = conversation();
    let one = prop_oneof![
        4 => proptest::sample::select(pdus),
        1 => (any::<u8>(), proptest::collection::vec(any::<u8>(), 0..200)).prop_map(|(kind, body)| pdu(kind, &body)),
        1 => (1..=3_u8, 0..4_u8, proptest::collection::vec(any::<u8>(), 0..200)).prop_map(|(context, control, content)| piece(context, control, &content)),
        1 => proptest::collection::vec(any::<u8>(), 0..50),
    ];
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 300,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let outcome = runner.run(&proptest::collection::vec(one, 0..8), |pdus| {
        survives(&running, &[request(), pdus.concat()].concat())?;
        survives(&running, &pdus.concat())
    });
    outcome.unwrap();
}
