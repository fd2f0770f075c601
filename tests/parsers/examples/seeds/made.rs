//! Seeds that need nothing but the repository: small inputs that each target takes, of every kind it knows.

use std::fs;
use std::path::{Path, PathBuf};

use dicom_dictionary_std::uids;
use dicom_toolkit_codec::jpeg::lossless_encoder::encode_jpeg_lossless;
use dicom_toolkit_codec::rle_encode_frame;
use nephrobox_engine::package::Model;
use nephrobox_engine::program::{
    Data, Precision, Program, Rewrites, Site, Storage, Tensors, quantised, rewrite, sites,
};
use nephrobox_parsers::BETWEEN;
use nephrobox_shared::link::message::{
    Hello, Item, MAGIC, Object, PROTOCOL, Packet, Request, SCHEMA, cut,
};
use nephrobox_shared::package::SelfTest;
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;

#[path = "../../../../engine/tests/programs/manifest.rs"]
mod manifest;
#[path = "../../../../engine/tests/programs/random.rs"]
mod random;
#[path = "../../../../imaging/tests/dicom/series.rs"]
mod series;
#[path = "../../../../imaging/tests/support/mod.rs"]
mod support;

/// A name for people, and the bytes.
pub(crate) type Seed = (String, Vec<u8>);

/// The targets, those included for which the crate must be built with its features.
pub(crate) const TARGETS: [&str; 12] = [
    "nifti",
    "dicom_series",
    "dicom_network",
    "package",
    "program",
    "link_frames",
    "link_transfer",
    "link_session",
    "keras_h5",
    "safetensors",
    "torch_pth",
    "config",
];

/// Those of a target.
pub(crate) fn seeds(target: &str) -> Vec<Seed> {
    match target {
        "nifti" => nifti(),
        "dicom_series" => dicom_series(),
        "dicom_network" => conversations(),
        "package" => packages(),
        "program" => programs(),
        "link_frames" | "link_session" => frames(),
        "link_transfer" => transfers(),
        "keras_h5" => fixtures(&["h5"]),
        "safetensors" => fixtures(&["safetensors"]),
        "torch_pth" => fixtures(&["pth"]),
        "config" => configs(),
        _ => Vec::new(),
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn fixtures(endings: &[&str]) -> Vec<Seed> {
    let folder = root().join("trainer/tests/fixtures");
    let entries = fs::read_dir(folder).expect("fixtures");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let wanted = paths.filter(|path| {
        path.extension()
            .is_some_and(|end| endings.iter().any(|&wanted| end == wanted))
    });
    let mut seeds: Vec<Seed> = wanted
        .map(|path| {
            let name = path
                .file_name()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            (name, fs::read(&path).expect("readable"))
        })
        .collect();
    seeds.sort();
    seeds
}

fn nifti() -> Vec<Seed> {
    let mut seeds = Vec::new();
    for datatype in [
        support::U8,
        support::I16,
        support::U16,
        support::I32,
        support::F32,
        support::F64,
        support::I64,
    ] {
        let labels = (0..60).map(|i| f64::from(i % 3));
        let mut raw = support::RawNifti::new([5, 4, 3], datatype, labels);
        seeds.push((format!("type {datatype}"), raw.bytes()));
        seeds.push((
            format!("type {datatype}, gzip"),
            support::gzipped(&raw.bytes()),
        ));
        raw.big_endian = true;
        raw.set((0..60).map(|i| f64::from(i % 3)));
        seeds.push((format!("type {datatype}, big-endian"), raw.bytes()));
    }
    seeds
}

fn dicom_series() -> Vec<Seed> {
    let slices = series::series(series::SUPINE);
    let mut seeds: Vec<Seed> = Vec::new();
    for syntax in [
        uids::IMPLICIT_VR_LITTLE_ENDIAN,
        uids::EXPLICIT_VR_LITTLE_ENDIAN,
        uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    ] {
        let files = slices.iter().map(|slice| {
            let mut slice = slice.clone();
            slice.syntax = syntax;
            slice.encode()
        });
        let files: Vec<Vec<u8>> = files.collect();
        seeds.push((format!("a slice in {syntax}"), files[0].clone()));
        seeds.push((format!("a series in {syntax}"), files.join(&BETWEEN[..])));
    }
    let [_, rows, cols] = series::SHAPE.map(|axis| axis as u16);
    let mut packed = slices[0].clone();
    let swapped: Vec<u8> = packed
        .raw()
        .chunks(2)
        .flat_map(|pair| [pair[1], pair[0]])
        .collect();
    let rle = rle_encode_frame(&swapped, rows, cols, 1, 16).expect("an image");
    packed.packed(uids::RLE_LOSSLESS, rle);
    seeds.push(("RLE".into(), packed.encode()));
    let mut packed = slices[0].clone();
    let jpeg = encode_jpeg_lossless(&packed.raw(), cols, rows, 1, 16, 16, 1).expect("an image");
    packed.packed(uids::JPEG_LOSSLESS_SV1, jpeg);
    seeds.push(("JPEG lossless".into(), packed.encode()));
    for name in [
        "charls-near",
        "charls-signed",
        "charls-unsigned",
        "openjpeg-signed",
        "openjpeg-unsigned",
    ] {
        let path = root().join(format!("imaging/tests/dicom/golden/{name}.dcm"));
        seeds.push((name.into(), fs::read(path).expect("readable")));
    }
    let folder = tempfile::tempdir().expect("a folder");
    let paths = series::save(folder.path(), &slices, series::in_order);
    let mut tar = Vec::new();
    nephrobox_imaging::dicom::pack(&paths, &mut tar).expect("a series");
    seeds.push(("a tar".into(), tar));
    seeds
}

fn item(kind: u8, content: &[u8]) -> Vec<u8> {
    [
        &[kind, 0][..],
        &(content.len() as u16).to_be_bytes(),
        content,
    ]
    .concat()
}

fn pdu(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind, 0][..], &(body.len() as u32).to_be_bytes(), body].concat()
}

fn element(number: u16, value: &[u8]) -> Vec<u8> {
    let value = [value, &[0][..value.len() % 2]].concat();
    [
        &[0, 0][..],
        &number.to_le_bytes(),
        &(value.len() as u32).to_le_bytes(),
        &value,
    ]
    .concat()
}

/// A request of an echo or of a store, with its group length.
fn command(elements: &[Vec<u8>]) -> Vec<u8> {
    let rest = elements.concat();
    [element(0, &(rest.len() as u32).to_le_bytes()), rest].concat()
}

fn piece(context: u8, control: u8, content: &[u8]) -> Vec<u8> {
    let value = [
        &(content.len() as u32 + 2).to_be_bytes()[..],
        &[context, control],
        content,
    ]
    .concat();
    pdu(4, &value)
}

/// What a peer says that echoes and stores one slice.
fn conversations() -> Vec<Seed> {
    const VERIFICATION: &[u8] = b"1.2.840.10008.1.1";
    const CT: &[u8] = b"1.2.840.10008.5.1.4.1.1.2";
    const IMPLICIT: &[u8] = b"1.2.840.10008.1.2";
    let context = |id: u8, class: &[u8]| {
        item(
            0x20,
            &[vec![id, 0, 0, 0], item(0x30, class), item(0x40, IMPLICIT)].concat(),
        )
    };
    let user = [
        item(0x51, &16_384_u32.to_be_bytes()),
        item(0x52, b"2.25.3"),
        item(0x53, &[0, 1, 0, 1]),
        item(0x55, b"A PEER"),
    ];
    let body = [
        b"\0\x01\0\0NEPHROBOX       SCANNER         ".to_vec(),
        vec![0; 32],
        item(0x10, b"1.2.840.10008.3.1.1.1"),
        context(1, VERIFICATION),
        context(3, CT),
        item(0x50, &user.concat()),
    ];
    let request = pdu(1, &body.concat());
    let echo = piece(
        1,
        3,
        &command(&[
            element(0x02, VERIFICATION),
            element(0x100, &[0x30, 0]),
            element(0x110, &[1, 0]),
            element(0x800, &[1, 1]),
        ]),
    );
    let store = piece(
        3,
        3,
        &command(&[
            element(0x02, CT),
            element(0x100, &[1, 0]),
            element(0x110, &[2, 0]),
            element(0x700, &[0, 0]),
            element(0x800, &[0, 0]),
            element(0x1000, b"2.25.77"),
        ]),
    );
    let mut slice = series::series(series::SUPINE).swap_remove(0);
    slice.syntax = uids::IMPLICIT_VR_LITTLE_ENDIAN;
    let file = slice.encode();
    // The data set begins behind the preamble, the prefix, and the group whose length stands first in it.
    let group = u32::from_le_bytes(file[140..144].try_into().expect("four bytes"));
    let data = &file[144 + group as usize..];
    let (first, second) = data.split_at(data.len() / 2);
    let release = pdu(5, &[0; 4]);
    vec![
        ("a request".into(), request.clone()),
        ("an echo".into(), [&request[..], &echo, &release].concat()),
        (
            "a slice".into(),
            [
                &request[..],
                &store,
                &piece(3, 0, first),
                &piece(3, 2, second),
                &release,
            ]
            .concat(),
        ),
        ("an abort".into(), [&request[..], &pdu(7, &[0; 4])].concat()),
    ]
}

/// Random small networks, in floats and in integers.
fn networks() -> Vec<(Program, Tensors)> {
    let mut runner = TestRunner::deterministic();
    let mut networks = Vec::new();
    while networks.len() < 12 {
        let tree = random::programs().new_tree(&mut runner).expect("a program");
        let (program, tensors) = tree.current();
        // Packages have one or three channels, and large ones only slow the fuzzer down.
        if program.input_channels == 2 || tensors.bytes() > 8 << 10 {
            continue;
        }
        networks.push((program.clone(), tensors.clone()));
        let repeated = program.input_channels == 3;
        let wanted = Rewrites {
            phases: true,
            repeated,
        };
        let Ok((program, tensors)) = rewrite(&program, tensors, wanted) else {
            continue;
        };
        let grid = |site: Site| {
            let step = if site.precision == Precision::U8 {
                0.02
            } else {
                0.001
            };
            (site, step)
        };
        let grids: Vec<_> = sites(&program).into_iter().map(grid).collect();
        networks.extend(quantised(&program, &tensors, &grids, &[]));
    }
    networks
}

fn packages() -> Vec<Seed> {
    let mut seeds = Vec::new();
    for (index, (program, tensors)) in networks().into_iter().enumerate() {
        let side = 2 * random::MULTIPLE;
        let mut manifest = manifest::manifest(program.input_channels, side);
        if index % 2 == 1 {
            manifest.self_test = vec![SelfTest {
                rows: side as u32,
                cols: side as u32,
                hu: vec![100; side * side],
                labels: vec![0; side * side],
            }];
        }
        let model = Model::new(manifest, program, tensors).expect("a sound model");
        for storage in [Storage::F32, Storage::F16, Storage::I8] {
            if model.storage() == Storage::I8 && storage != Storage::I8 {
                continue;
            }
            let stored = model.stored_as(storage).and_then(|model| model.to_bytes());
            seeds.push((
                format!("network {index} in {storage:?}"),
                stored.expect("bytes"),
            ));
        }
    }
    seeds
}

fn programs() -> Vec<Seed> {
    let seed = |(index, (program, tensors)): (usize, (Program, Tensors))| {
        let program = program.to_bytes().expect("bytes");
        let mut bytes = (program.len() as u16).to_le_bytes().to_vec();
        bytes.extend(program);
        for tensor in &tensors {
            bytes.push(tensor.shape().len() as u8);
            bytes.extend(tensor.shape().iter().map(|&axis| axis as u8));
            let storage = match tensor.data() {
                Data::F32(_) => 0,
                Data::F16(_) => 1,
                Data::I8 { .. } => 2,
            };
            let kind = if tensor.elements() == 1 { 5 } else { 0 };
            bytes.push(storage << 3 | kind);
        }
        (format!("network {index}"), bytes)
    };
    networks().into_iter().enumerate().map(seed).collect()
}

/// Packets as they would be said, with what [`nephrobox_parsers`] puts around them: 0 and the length of the content.
fn frames() -> Vec<Seed> {
    let hash = *blake3::hash(b"a scan").as_bytes();
    let scan = Object::Scan {
        name: cut("scan.nii.gz"),
        fast: false,
    };
    let package = Object::Package {
        hash,
        version: 3,
        key: [1; 16],
        permit: None,
        dry_run: true,
    };
    let hello = Packet::Hello(Hello {
        magic: MAGIC,
        protocol: PROTOCOL,
        nonce: 5,
        schema: SCHEMA,
        software: cut("nephroctl 1"),
    });
    let put = |object: &Object| Request::Put {
        object: object.clone(),
        bytes: 6,
        blake3: hash,
    };
    let mut asked: Vec<Request> = vec![
        put(&scan),
        put(&package),
        Request::Slots,
        Request::Rollback { from: hash },
    ];
    asked.extend([
        Request::Scan { scan: cut("1") },
        Request::Confirm { scan: cut("1") },
        Request::Erase { scan: cut("1") },
        Request::Baud { baud: 921_600 },
        Request::Finish { transfer: 1 },
    ]);
    for item in [
        Item::Status,
        Item::Scans,
        Item::Logs { lines: 20 },
        Item::Results { scan: cut("1") },
    ] {
        asked.push(Request::Get {
            item,
            offset: 0,
            blake3: None,
        });
    }
    let said = |packets: &[Packet<'_>]| {
        let mut bytes = Vec::new();
        for packet in packets {
            let mut content = [0; 512];
            let length = packet.write(&mut content).expect("a small packet");
            bytes.push(0);
            bytes.extend((length as u16).to_le_bytes());
            bytes.extend(&content[..length]);
        }
        bytes
    };
    let mut seeds = Vec::new();
    for (index, request) in asked.iter().enumerate() {
        let request = request.clone();
        let id = 1;
        seeds.push((
            format!("request {index}"),
            said(&[hello.clone(), Packet::Request { id, request }]),
        ));
    }
    let whole = [
        hello,
        Packet::Ping(1),
        Packet::Request {
            id: 1,
            request: put(&scan),
        },
        Packet::Data {
            transfer: 1,
            offset: 0,
            round: 0,
            bytes: b"a sc",
        },
        Packet::Data {
            transfer: 1,
            offset: 4,
            round: 0,
            bytes: b"an",
        },
        Packet::Request {
            id: 2,
            request: Request::Finish { transfer: 1 },
        },
        Packet::Ack {
            transfer: 2,
            next: 100,
            round: 0,
            gap: false,
        },
    ];
    seeds.push(("a scan".into(), said(&whole)));
    seeds
}

fn transfers() -> Vec<Seed> {
    let mut seeds = Vec::new();
    for (name, steps) in [
        ("smooth", &[1, 1, 5][..]),
        ("lossy", &[1, 3, 1, 5, 0xf8, 4]),
        ("slow", &[0xf8, 1, 5]),
        ("lied to", &[1, 0xff, 5, 7]),
    ] {
        let mut bytes = 100_000_u64.to_le_bytes().to_vec();
        bytes.extend(0_u64.to_le_bytes());
        bytes.extend(steps.repeat(40));
        seeds.push((name.into(), bytes));
    }
    seeds
}

fn configs() -> Vec<Seed> {
    let example = root().join("appliance/packaging/nephrobox.toml");
    let text = fs::read_to_string(example).expect("readable");
    let all: String = text
        .lines()
        .map(|line| {
            line.strip_prefix('#')
                .unwrap_or(line)
                .trim_start()
                .to_owned()
                + "\n"
        })
        .collect();
    vec![
        ("the example".into(), text.into_bytes()),
        ("everything".into(), all.into_bytes()),
        (
            "an archive".into(),
            b"[[archive]]\naddress = \"pacs:104\"\nae_title = \"PACS\"\n".to_vec(),
        ),
        (
            "sizes".into(),
            b"[queue]\nmax_bytes = \"1.5 GiB\"\n".to_vec(),
        ),
    ]
}
