//! Our client against servers that refuse, misbehave or are slow.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

use dicom_dictionary_std::uids;
use nephrobox_dimse::client::{
    Association, Context, LineError, Object, OpenError, Remote, RequestError,
};

use crate::objects::slice;
use crate::raw::{LAST_COMMAND, LAST_DATA, command, context, element, item, pdu, piece};
use crate::support::{PATIENCE, ct};

/// A server that answers each PDU, but no pieces of data sets, with the next of these bytes, and closes after the last.
fn scripted(answers: Vec<Vec<u8>>) -> (Remote, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        for answer in answers {
            while !wants_answer(&mut socket) {}
            if socket.write_all(&answer).is_err() {
                return;
            }
        }
        // Until the client is done, so that nothing it still sends becomes a reset.
        let _ = socket.shutdown(std::net::Shutdown::Write);
        let _ = std::io::copy(&mut socket, &mut std::io::sink());
    });
    let mut remote = Remote::new("127.0.0.1", port, "ARCHIVE", "NEPHROBOX");
    remote.negotiation = PATIENCE;
    remote.silence = PATIENCE;
    (remote, server)
}

/// Reads a PDU; whether it ends what the client has to say.
fn wants_answer(socket: &mut TcpStream) -> bool {
    let mut head = [0; 6];
    if socket.read_exact(&mut head).is_err() {
        return true;
    }
    let mut body = vec![0; u32::from_be_bytes(head[2..].try_into().unwrap()) as usize];
    if socket.read_exact(&mut body).is_err() {
        return true;
    }
    // The command of an object: its data set follows.
    let store = body
        .windows(10)
        .any(|bytes| bytes == [0, 0, 0, 1, 2, 0, 0, 0, 1, 0]);
    head[0] != 4 || (body[5] & 2 != 0 && !store)
}

/// Accepts context 1 in this syntax.
fn accept(syntax: &str) -> Vec<u8> {
    accept_with(&result(1, 0, Some(syntax)))
}

fn accept_with(contexts: &[u8]) -> Vec<u8> {
    let mut body = vec![0, 1, 0, 0];
    body.extend([b' '; 32]);
    body.extend([0; 32]);
    body.extend(item(0x10, b"1.2.840.10008.3.1.1.1"));
    body.extend(contexts);
    body.extend(item(0x50, &item(0x51, &16_384_u32.to_be_bytes())));
    pdu(2, &body)
}

fn result(id: u8, reason: u8, syntax: Option<&str>) -> Vec<u8> {
    let mut content = vec![id, 0, reason, 0];
    if let Some(syntax) = syntax {
        content.extend(item(0x40, syntax.as_bytes()));
    }
    item(0x21, &content)
}

/// An answer to message 1.
fn response(field: u16, responded_to: u16, status: u16, comment: Option<&[u8]>) -> Vec<u8> {
    let mut elements = vec![
        element(0x0100, &field.to_le_bytes()),
        element(0x0120, &responded_to.to_le_bytes()),
        element(0x0800, &0x0101_u16.to_le_bytes()),
        element(0x0900, &status.to_le_bytes()),
    ];
    elements.extend(comment.map(|comment| element(0x0902, comment)));
    piece(1, LAST_COMMAND, &command(&elements))
}

fn open(answer: Vec<u8>) -> OpenError {
    let (remote, server) = scripted(vec![answer]);
    let error = Association::open(&remote, &[Context::echo()]).unwrap_err();
    server.join().unwrap();
    error
}

#[test]
fn a_rejection_says_why_in_words_and_whether_it_is_for_good() {
    let table = [
        ([0, 1, 1, 1], "no reason given", true),
        ([0, 1, 1, 2], "application context", true),
        ([0, 1, 1, 3], "does not know our title \"NEPHROBOX\"", true),
        ([0, 1, 1, 7], "does not go by the title \"ARCHIVE\"", true),
        ([0, 1, 2, 2], "protocol version", true),
        ([0, 2, 3, 1], "congested", false),
        ([0, 2, 3, 2], "as many associations as it takes", false),
        ([0, 9, 9, 9], "the standard does not know", false),
    ];
    for (body, words, permanent) in table {
        let error = open(pdu(3, &body));
        assert!(error.to_string().contains(words), "{error}");
        let OpenError::Rejected(rejection) = error else {
            panic!("{error}");
        };
        assert_eq!(rejection.permanent, permanent, "{rejection}");
    }
}

#[test]
fn an_answer_that_breaks_the_rules_is_no_association() {
    let syntax = Some("1.2.840.10008.1.2");
    let two = [result(1, 0, syntax), result(1, 0, syntax)].concat();
    let table = [
        ("nothing in it", pdu(2, &[])),
        ("no contexts", accept_with(&[])),
        (
            "a context of requests",
            accept_with(&context(1, b"1.2", &[b"1.2"])),
        ),
        ("an even number", accept_with(&result(2, 0, syntax))),
        ("one context twice", accept_with(&two)),
        (
            "accepted without a syntax",
            accept_with(&result(1, 0, None)),
        ),
        (
            "a syntax that is no UID",
            accept_with(&result(1, 0, Some("big endian"))),
        ),
        ("P-DATA", piece(1, LAST_COMMAND, &[])),
        ("a release", pdu(5, &[0; 4])),
        ("an unknown PDU", pdu(99, &[])),
        ("4 GiB", vec![2, 0, 255, 255, 255, 255]),
    ];
    for (what, answer) in table {
        let error = open(answer);
        assert!(
            matches!(error, OpenError::Line(LineError::Broken(_))),
            "{what}: {error}"
        );
    }
    let aborted = open(pdu(7, &[0, 0, 2, 0]));
    assert!(
        matches!(aborted, OpenError::Line(LineError::Aborted)),
        "{aborted}"
    );
    let whole = accept("1.2.840.10008.1.2");
    let lost = open(whole[..whole.len() - 1].to_vec());
    assert!(
        matches!(lost, OpenError::Line(LineError::Lost(_))),
        "{lost}"
    );
}

#[test]
fn a_refused_context_needs_no_syntax_and_is_no_error_before_it_is_used() {
    let table = [
        (result(1, 1, None), "does not want it from us"),
        (result(1, 2, None), "no reason"),
        (result(1, 3, Some("1.2")), "SOP class"),
        (result(1, 4, None), "transfer syntax"),
        (result(1, 77, None), "no reason"),
        (
            result(1, 0, Some("1.2.840.10008.1.2.1")),
            "another transfer syntax",
        ),
        (result(3, 0, Some("1.2.840.10008.1.2")), "did not answer"),
    ];
    for (answer, words) in table {
        let (remote, server) = scripted(vec![accept_with(&answer), pdu(6, &[0; 4])]);
        let mut association = Association::open(&remote, &[Context::echo()]).unwrap();
        assert!(!association.accepts(&Context::echo()));
        let error = association.echo().unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        association.release().unwrap();
        server.join().unwrap();
    }
}

/// What becomes of an object that is answered so.
fn store(answer: Vec<u8>) -> Result<Option<(u16, String)>, RequestError> {
    let file = slice(uids::EXPLICIT_VR_LITTLE_ENDIAN, "2.25.77", 128);
    let (remote, server) = scripted(vec![accept(uids::EXPLICIT_VR_LITTLE_ENDIAN), answer]);
    let mut association =
        Association::open(&remote, &[ct(uids::EXPLICIT_VR_LITTLE_ENDIAN)]).unwrap();
    let stored = association.store(&mut Object::read(file.as_slice()).unwrap());
    drop(association);
    server.join().unwrap();
    stored.map(|stored| stored.warning)
}

#[test]
fn warnings_are_stored_and_noted_and_everything_else_is_an_error_in_words() {
    assert_eq!(store(response(0x8001, 1, 0, None)).unwrap(), None);
    for status in [0xb000, 0xb006, 0xb007] {
        let warning = store(response(0x8001, 1, status, Some(b"coerced "))).unwrap();
        assert_eq!(warning, Some((status, "coerced".into())));
    }
    let table = [
        (0xa700, "out of resources"),
        (0xa702, "out of resources"),
        (0xa900, "does not match"),
        (0xc123, "cannot understand"),
        (0x0122, "not supported"),
        (0x0124, "not allowed"),
        (0x0211, "does not know the operation"),
        (0x4242, "it failed"),
    ];
    for (status, words) in table {
        let error = store(response(0x8001, 1, status, Some(b"\x1b[2Jno"))).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        assert!(error.to_string().ends_with("it says: ?[2Jno"), "{error}");
    }
}

#[test]
fn an_answer_to_something_else_is_no_answer() {
    let status = element(0x0900, &[0, 0]);
    let no_status = command(&[
        element(0x0100, &0x8001_u16.to_le_bytes()),
        element(0x0120, &[1, 0]),
        element(0x0800, &[1, 1]),
    ]);
    let table = [
        ("another message", response(0x8001, 9, 0, None)),
        ("another operation", response(0x8030, 1, 0, None)),
        ("a request", response(0x0001, 1, 0, None)),
        ("no status", piece(1, LAST_COMMAND, &no_status)),
        ("no field", piece(1, LAST_COMMAND, &command(&[status]))),
        ("another context", piece(3, LAST_COMMAND, &no_status)),
        ("a data set", piece(1, LAST_DATA, &[0; 8])),
        ("no command", piece(1, LAST_COMMAND, &[255; 9])),
        ("an association", accept("1.2.840.10008.1.2")),
        ("too long", [vec![4, 0, 0, 3, 0, 0], vec![0; 100]].concat()),
    ];
    for (what, answer) in table {
        let error = store(answer).unwrap_err();
        assert!(
            matches!(error, RequestError::Line(LineError::Broken(_))),
            "{what}: {error}"
        );
    }
    let released = store(pdu(5, &[0; 4])).unwrap_err();
    assert!(
        matches!(released, RequestError::Line(LineError::Released)),
        "{released}"
    );
    let aborted = store(pdu(7, &[0, 0, 0, 0])).unwrap_err();
    assert!(
        matches!(aborted, RequestError::Line(LineError::Aborted)),
        "{aborted}"
    );
    let lost = store(Vec::new()).unwrap_err();
    assert!(
        matches!(lost, RequestError::Line(LineError::Lost(_))),
        "{lost}"
    );
}

#[test]
fn a_server_that_never_answers_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut remote = Remote::new("127.0.0.1", port, "ARCHIVE", "NEPHROBOX");
    remote.negotiation = Duration::from_millis(100);
    let error = Association::open(&remote, &[Context::echo()]).unwrap_err();
    assert!(matches!(error, OpenError::Line(LineError::Late)), "{error}");
}

#[test]
fn nobody_at_the_address_is_said_with_the_address() {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let remote = Remote::new("127.0.0.1", port, "ARCHIVE", "NEPHROBOX");
    let error = Association::open(&remote, &[Context::echo()]).unwrap_err();
    assert!(matches!(error, OpenError::Connect { .. }), "{error}");
    assert!(error.to_string().contains(&format!("127.0.0.1:{port}")));
}

#[test]
fn what_cannot_be_proposed_is_said_before_anybody_is_called() {
    let remote = |called: &str, calling: &str| Remote::new("256.256.256.256", 1, called, calling);
    let good = || remote("ARCHIVE", "NEPHROBOX");
    let no_uid = Context {
        sop_class_uid: "CT".into(),
        ..Context::echo()
    };
    let open =
        |remote: Remote, contexts: &[Context]| Association::open(&remote, contexts).unwrap_err();
    assert!(matches!(
        open(remote("", "A"), &[Context::echo()]),
        OpenError::Title(_)
    ));
    assert!(matches!(
        open(remote("A", "17 characters long"), &[Context::echo()]),
        OpenError::Title(_)
    ));
    assert!(matches!(open(good(), &[]), OpenError::Contexts(0)));
    assert!(matches!(
        open(good(), &vec![Context::echo(); 129]),
        OpenError::Contexts(129)
    ));
    assert!(matches!(open(good(), &[no_uid]), OpenError::Uid(_)));
    let mut small = good();
    small.max_pdu = 100;
    assert!(matches!(
        open(small, &[Context::echo()]),
        OpenError::MaxPdu(100)
    ));
}
