//! PDUs as bytes, to be spoilt.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::support::PATIENCE;

/// Verification and CT Image Storage, both in implicit little endian, in contexts 1 and 3.
pub(crate) fn request() -> Vec<u8> {
    let contexts = [
        context(1, b"1.2.840.10008.1.1", &[b"1.2.840.10008.1.2"]),
        context(3, b"1.2.840.10008.5.1.4.1.1.2", &[b"1.2.840.10008.1.2"]),
    ];
    request_of(&[
        item(0x10, b"1.2.840.10008.3.1.1.1"),
        contexts.concat(),
        item(0x50, &user()),
    ])
}

/// An association request with these variable items.
pub(crate) fn request_of(items: &[Vec<u8>]) -> Vec<u8> {
    let mut body = vec![0, 1, 0, 0];
    body.extend(b"NEPHROBOX       SCANNER         ");
    body.extend([0; 32]);
    body.extend(items.concat());
    pdu(1, &body)
}

/// The user items of a well-bred peer.
pub(crate) fn user() -> Vec<u8> {
    [
        item(0x51, &16_384_u32.to_be_bytes()),
        item(0x52, b"2.25.3"),
        item(0x55, b"A PEER"),
    ]
    .concat()
}

pub(crate) fn context(id: u8, class: &[u8], syntaxes: &[&[u8]]) -> Vec<u8> {
    let mut content = vec![id, 0, 0, 0];
    content.extend(item(0x30, class));
    for syntax in syntaxes {
        content.extend(item(0x40, syntax));
    }
    item(0x20, &content)
}

pub(crate) fn item(kind: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind, 0];
    bytes.extend((content.len() as u16).to_be_bytes());
    bytes.extend(content);
    bytes
}

pub(crate) fn pdu(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind, 0];
    bytes.extend((body.len() as u32).to_be_bytes());
    bytes.extend(body);
    bytes
}

/// A P-DATA PDU of one piece.
pub(crate) fn piece(context: u8, control: u8, content: &[u8]) -> Vec<u8> {
    pdu(4, &value(context, control, content))
}

pub(crate) fn value(context: u8, control: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = (content.len() as u32 + 2).to_be_bytes().to_vec();
    bytes.extend([context, control]);
    bytes.extend(content);
    bytes
}

/// Control bytes.
pub(crate) const LAST_COMMAND: u8 = 3;
pub(crate) const COMMAND: u8 = 1;
pub(crate) const LAST_DATA: u8 = 2;
pub(crate) const DATA: u8 = 0;

/// An element of a command.
pub(crate) fn element(number: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0];
    bytes.extend(number.to_le_bytes());
    bytes.extend((value.len() as u32).to_le_bytes());
    bytes.extend(value);
    bytes
}

/// A command with its group length before it.
pub(crate) fn command(elements: &[Vec<u8>]) -> Vec<u8> {
    let body = elements.concat();
    let mut bytes = element(0, &(body.len() as u32).to_le_bytes());
    bytes.extend(body);
    bytes
}

/// The elements of an echo request.
pub(crate) fn echo() -> Vec<Vec<u8>> {
    vec![
        element(0x0002, b"1.2.840.10008.1.1\0"),
        element(0x0100, &0x30_u16.to_le_bytes()),
        element(0x0110, &1_u16.to_le_bytes()),
        element(0x0800, &0x0101_u16.to_le_bytes()),
    ]
}

/// The elements of a store request.
pub(crate) fn store() -> Vec<Vec<u8>> {
    vec![
        element(0x0002, b"1.2.840.10008.5.1.4.1.1.2\0"),
        element(0x0100, &1_u16.to_le_bytes()),
        element(0x0110, &1_u16.to_le_bytes()),
        element(0x0700, &0_u16.to_le_bytes()),
        element(0x0800, &1_u16.to_le_bytes()),
        element(0x1000, b"2.25.77\0"),
    ]
}

/// An echo, an object and a release.
pub(crate) fn conversation() -> Vec<Vec<u8>> {
    vec![
        request(),
        piece(1, LAST_COMMAND, &command(&echo())),
        piece(3, LAST_COMMAND, &command(&store())),
        piece(3, DATA, &[0; 100]),
        piece(3, LAST_DATA, &[0; 100]),
        pdu(5, &[0; 4]),
    ]
}

/// What the server says to these bytes until it closes, or to a peer that says nothing more after them.
pub(crate) fn say(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.set_write_timeout(Some(PATIENCE)).unwrap();
    // A server that has had enough closes before everything is said.
    let _ = socket.write_all(bytes);
    let _ = socket.shutdown(std::net::Shutdown::Write);
    let mut said = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match socket.read(&mut buffer) {
            Ok(0) => return said,
            Ok(read) => said.extend(&buffer[..read]),
            Err(error) => {
                assert_ne!(
                    error.kind(),
                    std::io::ErrorKind::WouldBlock,
                    "the server hangs"
                );
                return said;
            }
        }
    }
}

/// The types of the PDUs in bytes.
pub(crate) fn kinds(mut bytes: &[u8]) -> Vec<u8> {
    let mut kinds = Vec::new();
    while let Some((head, rest)) = bytes.split_first_chunk::<6>() {
        kinds.push(head[0]);
        let length = u32::from_be_bytes(head[2..].try_into().unwrap()) as usize;
        bytes = rest.get(length..).unwrap_or_default();
    }
    kinds
}
