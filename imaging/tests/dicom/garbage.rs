//! Files from anyone: whatever their bytes are, there is a volume or an error, and no panic.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use dicom_dictionary_std::uids;
use nephrobox_imaging::ScanReader;
use proptest::prelude::*;

use crate::packings::{GOLDEN, LOSSLESS, golden_folder};
use crate::series::{SUPINE, series};

/// Reads everything there is, or gives up with an error.
fn read(file: &Path) {
    let Ok(mut scan) = ScanReader::open_series(&[file.to_owned()]) else {
        return;
    };
    let mut slice = vec![0; scan.geometry().slice_len()];
    while let Ok(Some(_)) = scan.next_slice(&mut slice) {}
}

/// One slice in every way of writing it.
fn samples() -> &'static [Vec<u8>] {
    static SAMPLES: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    SAMPLES.get_or_init(|| {
        let slice = &series(SUPINE)[0];
        let mut samples = Vec::new();
        for syntax in [
            uids::IMPLICIT_VR_LITTLE_ENDIAN,
            uids::EXPLICIT_VR_LITTLE_ENDIAN,
            uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
        ] {
            let mut slice = slice.clone();
            slice.syntax = syntax;
            samples.push(slice.encode());
        }
        for (syntax, pack) in LOSSLESS {
            let mut packed = slice.clone();
            packed.packed(syntax, pack(&slice.raw(), 5, 4));
            samples.push(packed.encode());
        }
        for name in GOLDEN {
            samples.push(fs::read(golden_folder().join(name)).unwrap());
        }
        samples
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Shows RQ-69.
    #[test]
    fn any_damage_to_a_slice_is_survived(
        sample in 0..10_usize,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in prop::option::weighted(0.1, any::<prop::sample::Index>()),
    ) {
        let mut bytes = samples()[sample].clone();
        for (at, value) in damage {
            // The preamble is no use to anyone.
            let at = 132 + at.index(bytes.len() - 132);
            bytes[at] = value;
        }
        if let Some(at) = cut {
            bytes.truncate(at.index(bytes.len()));
        }
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("slice");
        fs::write(&file, bytes).unwrap();
        read(&file);
    }

    #[test]
    fn any_bytes_behind_a_sound_beginning_are_survived(
        sample in 0..10_usize,
        bytes in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        let mut file = samples()[sample][..340.min(samples()[sample].len())].to_vec();
        file.extend(bytes);
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("slice");
        fs::write(&path, file).unwrap();
        read(&path);
    }
}

/// Sequences within sequences, as deep as a file can hold them.
#[test]
fn nesting_without_end_is_survived() {
    let sound = &samples()[1];
    // Behind the elements about the file, whose length stands in its first element.
    let length = u32::from_le_bytes(sound[140..144].try_into().unwrap()) as usize;
    let mut bytes = sound[..144 + length].to_vec();
    for _ in 0..200_000 {
        bytes.extend([
            0x08, 0, 0x15, 0x11, b'S', b'Q', 0, 0, 0xFF, 0xFF, 0xFF, 0xFF,
        ]);
        bytes.extend([0xFE, 0xFF, 0x00, 0xE0, 0xFF, 0xFF, 0xFF, 0xFF]);
    }
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("slice");
    fs::write(&file, bytes).unwrap();
    read(&file);
}

/// A value that claims 4 GB.
/// Shows RQ-70.
#[test]
fn a_claimed_length_takes_no_memory() {
    let sound = &samples()[1];
    let at = sound
        .windows(6)
        .position(|window| window == [0x28, 0, 0x30, 0, b'D', b'S'])
        .unwrap();
    let mut bytes = sound.clone();
    drop(bytes.splice(at + 4..at + 8, [b'U', b'N', 0, 0, 0xFE, 0xFF, 0xFF, 0xFF]));
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("slice");
    fs::write(&file, bytes).unwrap();
    let error = ScanReader::open_series(&[file]).err().unwrap().to_string();
    assert!(error.contains("; "), "{error}");
}
