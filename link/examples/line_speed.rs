//! How fast objects go over a line, beside what the line can carry: `cargo run --release -p nephrobox-link --example line_speed`.
//!
//! Two lines: a pseudo-terminal as fast as the machine, beside the same bytes without a protocol; and one that is slowed down to 3 Mbaud,
//! beside its 300,000 bytes a second.

#[path = "../tests/lines/support.rs"]
mod support;

use std::io::{Cursor, Read, Write};
use std::time::Instant;

use nephrobox_link::cable::{Cable, Quality};
use nephrobox_link::client::{Client, Options};
use nephrobox_link::endpoint::Endpoint;
use nephrobox_link::message::{Item, Object, cut};
use nephrobox_link::serial;
use nephrobox_link::server::Speeds;
use support::{Memory, bytes, serve};

const BAUD: u32 = 3_000_000;
const ROUNDS: usize = 5;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("64 MiB over a pseudo-terminal, in MB/s; {ROUNDS} rounds");
    println!(
        "{:>12} {:>12} {:>12} {:>18}",
        "to the box", "back", "bytes alone", "to the box / alone"
    );
    for round in 0..ROUNDS {
        let object = bytes((64 << 20) + round);
        let (there, back) = measure(Quality::default(), 115_200, &object)?;
        let alone = alone(Quality::default(), &object)?;
        println!(
            "{there:>12.1} {back:>12.1} {alone:>12.1} {:>18.2}",
            there / alone
        );
    }
    let limit = f64::from(BAUD) / 10.0 / 1e6;
    println!(
        "\n4 MiB over a line of {BAUD} bit/s, as a share of its {limit} MB/s; {ROUNDS} rounds"
    );
    println!("{:>12} {:>12} {:>12}", "to the box", "back", "bytes alone");
    for round in 0..ROUNDS {
        let quality = Quality {
            baud: BAUD,
            ..Quality::default()
        };
        let object = bytes((4 << 20) + round);
        let (there, back) = measure(quality, BAUD, &object)?;
        let share = |speed: f64| 100.0 * speed / limit;
        let alone = alone(quality, &object)?;
        println!(
            "{:>11.1}% {:>11.1}% {:>11.1}%",
            share(there),
            share(back),
            share(alone)
        );
    }
    Ok(())
}

/// Speeds to the box and back, in MB/s. What is measured is a whole call: hashing, announcing, sending, checking, the answer.
fn measure(
    quality: Quality,
    baud: u32,
    object: &[u8],
) -> Result<(f64, f64), Box<dyn std::error::Error>> {
    let cable = Cable::of(quality)?;
    let speeds = Speeds {
        first: baud,
        fastest: baud,
    };
    let _box = serve(cable.box_end(), speeds, Memory::default());
    let endpoint = Endpoint::Serial(cable.tool_end().to_owned());
    let options = Options {
        baud,
        max_baud: baud,
        ..Options::default()
    };
    let mut client = Client::connect(&endpoint, &options)?;
    let scan = Object::Scan {
        name: cut("speed"),
        fast: false,
    };
    let start = Instant::now();
    let id = client.put(&scan, &mut Cursor::new(object), &mut |_| {})?;
    let there = start.elapsed();
    let item = Item::Result {
        scan: id,
        name: cut("speed"),
    };
    let start = Instant::now();
    let got = client.get(&item, u64::MAX, &mut |_| {})?;
    let back = start.elapsed();
    assert_eq!(got.len(), object.len());
    let mb = object.len() as f64 / 1e6;
    Ok((mb / there.as_secs_f64(), mb / back.as_secs_f64()))
}

/// The speed of the same bytes over the same kind of cable without any protocol, in MB/s.
fn alone(quality: Quality, object: &[u8]) -> Result<f64, Box<dyn std::error::Error>> {
    let cable = Cable::of(quality)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    // As serial ports, since a terminal of its own accord changes line ends and echoes.
    let _inside = runtime.enter();
    let _raw = [
        serial::open(cable.tool_end(), 115_200)?,
        serial::open(cable.box_end(), 115_200)?,
    ];
    let mut writer = std::fs::OpenOptions::new()
        .write(true)
        .open(cable.tool_end())?;
    let mut reader = std::fs::OpenOptions::new()
        .read(true)
        .open(cable.box_end())?;
    let start = Instant::now();
    let mut left = object.len();
    std::thread::scope(|scope| {
        scope.spawn(move || writer.write_all(object));
        let mut buffer = vec![0; 64 << 10];
        while left > 0 {
            match reader.read(&mut buffer) {
                Ok(read) if read > 0 => left -= read,
                _ => break,
            }
        }
    });
    Ok((object.len() - left) as f64 / 1e6 / start.elapsed().as_secs_f64())
}
