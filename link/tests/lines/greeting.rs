//! What becomes of two programs that do not speak the same protocol.

use std::time::Duration;

use nephrobox_link::cable::Cable;
use nephrobox_link::client::{Client, LinkError, Options};
use nephrobox_link::endpoint::Endpoint;
use nephrobox_link::serial;
use nephrobox_link::server::Speeds;
use nephrobox_shared::link::frame::{Decoder, FRAME, encode};
use nephrobox_shared::link::message::{Hello, MAGIC, Mismatch, PROTOCOL, Packet, SCHEMA, cut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_serial::SerialStream;

use crate::support::{Memory, serve};

const SLOW: Speeds = Speeds {
    first: 115_200,
    fastest: 115_200,
};

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(future)
}

async fn say(line: &mut SerialStream, packet: &Packet<'_>) {
    let mut frame = [0; FRAME];
    let len = encode(packet, &mut frame).expect("a frame");
    line.write_all(&frame[..len]).await.expect("written");
}

/// The next packet, as `Debug` writes it, and its nonce if it is a greeting.
async fn hear(line: &mut SerialStream) -> (String, u32) {
    let mut decoder = Decoder::default();
    let mut buffer = [0; 1024];
    loop {
        let read = line.read(&mut buffer).await.expect("read");
        let mut rest = &buffer[..read];
        while let Some(end) = decoder.advance(&mut rest) {
            if end.is_ok() {
                let packet = decoder.packet().expect("a packet");
                let nonce = match &packet {
                    Packet::Hello(hello) => hello.nonce,
                    _ => 0,
                };
                return (format!("{packet:?}"), nonce);
            }
        }
    }
}

#[test]
fn a_box_tells_another_protocol_what_it_speaks_and_goes_on_listening() {
    let cable = Cable::lay().expect("a cable");
    let _box = serve(cable.box_end(), SLOW, Memory::default());
    let hello = Hello {
        magic: MAGIC,
        protocol: PROTOCOL,
        schema: SCHEMA ^ 1,
        nonce: 5,
        software: cut("an older tool"),
    };
    block_on(async {
        let mut line = serial::open(cable.tool_end(), 115_200).expect("a port");
        // The box may not have opened its end yet, so the greeting is repeated, as tools do.
        let answer = loop {
            say(&mut line, &Packet::Hello(hello.clone())).await;
            let wait = tokio::time::timeout(Duration::from_millis(500), hear(&mut line));
            if let Ok((answer, _)) = wait.await {
                break answer;
            }
        };
        let mismatch = Packet::Mismatch(Mismatch {
            nonce: 5,
            protocol: PROTOCOL,
            schema: SCHEMA,
            software: cut("test box"),
        });
        assert_eq!(answer, format!("{mismatch:?}"));
    });
    let endpoint = Endpoint::Serial(cable.tool_end().to_owned());
    assert!(Client::connect(&endpoint, &Options::default()).is_ok());
}

#[test]
fn a_tool_says_both_versions_and_who_should_be_updated() {
    for (protocol, schema, who) in [
        (PROTOCOL + 1, SCHEMA, "update this tool"),
        (PROTOCOL - 1, SCHEMA, "update the box's program"),
        (PROTOCOL, SCHEMA ^ 1, "from the same release"),
    ] {
        let cable = Cable::lay().expect("a cable");
        let port = cable.box_end().to_owned();
        std::thread::spawn(move || {
            block_on(async {
                let mut line = serial::open(&port, 115_200).expect("a port");
                loop {
                    let (_, nonce) = hear(&mut line).await;
                    let software = cut("nephrobox 9.9.9");
                    let mismatch = Mismatch {
                        nonce,
                        protocol,
                        schema,
                        software,
                    };
                    say(&mut line, &Packet::Mismatch(mismatch)).await;
                }
            });
        });
        let endpoint = Endpoint::Serial(cable.tool_end().to_owned());
        let error = Client::connect(&endpoint, &Options::default())
            .err()
            .expect("refused");
        assert!(matches!(error, LinkError::Mismatch(_)));
        let words = error.to_string();
        for said in [
            "nephrobox 9.9.9",
            &format!("protocol {protocol}"),
            &format!("{SCHEMA:016x}"),
            who,
        ] {
            assert!(words.contains(said), "{words}");
        }
    }
}
