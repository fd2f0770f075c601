//! What is allowed though few do it, and what is asked for in good order but cannot be done.

use nephrobox_dimse::server::{End, Event};

use crate::garbage::{
    AC, P_DATA, RP, application, commanding, proposing, store_without, tell, then, verification,
};
use crate::raw::{
    COMMAND, DATA, LAST_COMMAND, LAST_DATA, command, context, echo, element, item, kinds, pdu,
    piece, request, request_of, say, store, user, value,
};
use crate::support::{run, settings};

#[test]
fn what_is_unusual_but_allowed_is_answered() {
    let without_length = echo().concat();
    let lying_length = [element(0, &[255, 255, 255, 255]), echo().concat()].concat();
    let table: Vec<(&str, Vec<u8>, Vec<u8>)> = vec![
        (
            "a command without group length",
            then(&piece(1, LAST_COMMAND, &without_length)),
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
