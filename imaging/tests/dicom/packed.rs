//! A series in one file: packed here or by a person's `tar`, it is the series; anything else is an error with a sentence.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use dicom_core::VR;
use dicom_dictionary_std::tags;
use nephrobox_imaging::dicom::{DicomError, Packed, SeriesFiles, is_tar, pack, sort_out};
use nephrobox_imaging::{ImagingError, LabelReader, ScanReader};
use proptest::prelude::*;
use tar::{Builder, EntryType, Header};

use crate::orientations::volume;
use crate::series::{SHAPE, SUPINE, SliceFile, hu, in_order, save, series};
use crate::support::gzipped;

fn truth() -> Vec<i16> {
    SUPINE.indices(SHAPE).map(hu).collect()
}

/// A series packed, and what was said of it.
fn packed(paths: &[PathBuf]) -> (Vec<u8>, Packed) {
    let mut bytes = Vec::new();
    let said = pack(paths, &mut bytes).unwrap();
    (bytes, said)
}

fn sample() -> &'static [u8] {
    static SAMPLE: OnceLock<Vec<u8>> = OnceLock::new();
    SAMPLE.get_or_init(|| {
        let home = tempfile::tempdir().unwrap();
        save(home.path(), &series(SUPINE), in_order);
        packed(&[home.path().to_owned()]).0
    })
}

/// Opens bytes as a file called like nothing in particular.
fn open(folder: &Path, bytes: &[u8]) -> Result<ScanReader, DicomError> {
    let path = folder.join("scan");
    fs::write(&path, bytes).unwrap();
    ScanReader::open(&path).map_err(|error| match error {
        ImagingError::Dicom(error) => {
            assert!(error.to_string().contains("; "), "{error}");
            error
        }
        error => panic!("{error}"),
    })
}

#[test]
fn a_packed_series_is_the_series() {
    let home = tempfile::tempdir().unwrap();
    let mut scan = open(home.path(), sample()).unwrap();
    assert_eq!(volume(&mut scan), truth());
    assert_eq!(scan.findings(), []);
    assert_eq!(scan.path(), home.path().join("scan"));

    // Named by its places, it is each slice's own bytes; and in a list it is one more folder.
    let files = save(home.path(), &series(SUPINE), in_order);
    let loose = ScanReader::open_series(&files).unwrap();
    let contents = |scan: &ScanReader| {
        let all = scan.places().into_iter().map(|place| {
            let mut bytes = Vec::new();
            std::io::copy(&mut place.open().unwrap(), &mut bytes).unwrap();
            bytes
        });
        all.collect::<Vec<_>>()
    };
    assert_eq!(contents(&scan), contents(&loose));
    let mut listed = ScanReader::open_series(&[home.path().join("scan")]).unwrap();
    assert_eq!(volume(&mut listed), truth());
    assert_eq!(listed.series(), loose.series());
}

#[test]
fn the_same_slices_give_the_same_bytes_whatever_their_files_are_called() {
    let slices = series(SUPINE);
    for naming in [|k| format!("{}", 97 - 31 * k % 97), in_order] {
        let home = tempfile::tempdir().unwrap();
        let mut files = save(home.path(), &slices, naming);
        // Not of the series: a copy, a localiser and a text.
        fs::copy(&files[2], home.path().join("again")).unwrap();
        let mut scout = slices[0].clone();
        scout.text(tags::IMAGE_TYPE, VR::CS, "ORIGINAL\\PRIMARY\\LOCALIZER");
        save(home.path(), &[scout], |_| "scout".to_owned());
        fs::write(home.path().join("README.TXT"), "insert the disc").unwrap();
        let (bytes, said) = packed(&[home.path().to_owned()]);
        assert!(bytes == sample());
        let expected = Packed {
            slices: SHAPE[0],
            copies: 1,
            bytes: sample().len() as u64,
        };
        assert_eq!(said, expected);
        files.reverse();
        assert!(packed(&files).0 == sample());
    }
    // Packed again it is what it was.
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("series");
    fs::write(&path, sample()).unwrap();
    assert!(packed(&[path]).0 == sample());
}

#[test]
fn nothing_about_the_files_goes_into_the_pack() {
    let mut archive = tar::Archive::new(sample());
    for (k, entry) in archive.entries().unwrap().enumerate() {
        let entry = entry.unwrap();
        let header = entry.header();
        assert_eq!(entry.path_bytes(), format!("{:05}.dcm", k + 1).as_bytes());
        assert_eq!(header.mtime().unwrap(), 0);
        assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
        assert_eq!(header.username_bytes(), Some(&b""[..]));
    }
}

/// What `tar cf x.tar folder` writes: folders, long names and links among the slices, in GNU's and in POSIX's way.
#[test]
fn what_a_person_packs_with_tar_is_the_series() {
    let home = tempfile::tempdir().unwrap();
    let long = "a name of fifty letters, as some archives give them/".repeat(5);
    let folder = home.path().join("disc").join(&long);
    fs::create_dir_all(&folder).unwrap();
    let files = save(&folder, &series(SUPINE), in_order);
    fs::write(home.path().join("disc/README"), "insert the disc").unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(&files[0], folder.join("link")).unwrap();

    let mut gnu = Builder::new(Vec::new());
    gnu.follow_symlinks(false);
    gnu.append_dir_all("disc", home.path().join("disc"))
        .unwrap();
    let gnu = gnu.into_inner().unwrap();
    assert!(gnu.windows(13).any(|bytes| bytes == b"././@LongLink"));
    let mut scan = open(home.path(), &gnu).unwrap();
    assert_eq!(volume(&mut scan), truth());
    assert_eq!(scan.findings().len(), 1, "the text: {:?}", scan.findings());

    let mut posix = Builder::new(Vec::new());
    for file in &files {
        let name = file.to_string_lossy().into_owned().into_bytes();
        posix.append_pax_extensions([("path", &name[..])]).unwrap();
        let bytes = fs::read(file).unwrap();
        posix
            .append(&header(EntryType::Regular, bytes.len() as u64), &bytes[..])
            .unwrap();
    }
    let mut scan = open(home.path(), &posix.into_inner().unwrap()).unwrap();
    assert_eq!(volume(&mut scan), truth());
}

fn header(kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_path("x").unwrap();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_cksum();
    header
}

/// The sample with another entry before its first.
fn preceded(kind: EntryType, claimed: u64, content: &[u8]) -> Vec<u8> {
    let mut bytes = header(kind, claimed).as_bytes().to_vec();
    bytes.extend(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes.extend(sample());
    bytes
}

#[test]
fn what_tar_can_do_beyond_plain_files_is_left_out_or_refused() {
    let home = tempfile::tempdir().unwrap();
    for left_out in [
        EntryType::Directory,
        EntryType::Link,
        EntryType::Symlink,
        EntryType::Char,
        EntryType::Block,
        EntryType::Fifo,
    ] {
        let mut scan = open(home.path(), &preceded(left_out, 0, b"")).unwrap();
        assert_eq!(volume(&mut scan), truth(), "{left_out:?}");
    }
    for refused in [
        preceded(EntryType::GNUSparse, 0, b""),
        preceded(EntryType::new(b'M'), 0, b""),
        preceded(EntryType::XHeader, 32, b"32 GNU.sparse.major=1 and so on\n"),
        preceded(EntryType::XHeader, 70_000, &vec![b'a'; 70_000]),
        preceded(EntryType::GNULongName, 70_000, &vec![b'a'; 70_000]),
    ] {
        let error = open(home.path(), &refused).err().unwrap();
        assert!(matches!(error, DicomError::Archive { .. }), "{error}");
    }
}

#[test]
fn lengths_beyond_the_archive_are_damage() {
    let home = tempfile::tempdir().unwrap();
    for claimed in [1 << 20, (1 << 33) - 1, u64::MAX / 2, u64::MAX] {
        let bytes = preceded(EntryType::Regular, claimed, b"");
        let error = open(home.path(), &bytes).err().unwrap();
        assert!(matches!(error, DicomError::Damaged { .. }), "{error}");
    }
}

/// A stack without its last slices has no gap, so only the archive can tell.
/// Shows RQ-26.
#[test]
fn an_archive_that_was_cut_off_is_refused_wherever_that_was() {
    let home = tempfile::tempdir().unwrap();
    for len in (512..sample().len() - 1024).step_by(256) {
        let error = open(home.path(), &sample()[..len]).err().unwrap();
        assert!(
            matches!(error, DicomError::Damaged { .. }),
            "{len}: {error}"
        );
    }
}

#[test]
fn a_compressed_archive_is_refused_with_what_to_give_instead() {
    let home = tempfile::tempdir().unwrap();
    let error = open(home.path(), &gzipped(sample())).err().unwrap();
    assert!(matches!(error, DicomError::Archive { .. }), "{error}");
    assert!(error.to_string().contains("uncompressed tar"), "{error}");
}

#[test]
fn labels_are_no_series_and_an_archive_without_slices_is_none() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("series");
    fs::write(&path, sample()).unwrap();
    assert!(is_tar(&path) && !is_tar(home.path()));
    let labels = LabelReader::open(&path).err().unwrap();
    assert!(matches!(labels, ImagingError::NotNifti { .. }), "{labels}");
    let mut text = header(EntryType::Regular, 5).as_bytes().to_vec();
    text.extend(b"hello");
    text.resize(2048, 0);
    let error = open(home.path(), &text).err().unwrap();
    assert!(matches!(error, DicomError::NotDicom { .. }), "{error}");
}

#[test]
fn an_archive_that_changes_after_it_was_opened_is_noticed() {
    let home = tempfile::tempdir().unwrap();
    let mut scan = open(home.path(), sample()).unwrap();
    let mut other = sample().to_vec();
    for at in 0..other.len() - 9 {
        if other[at..at + 9] == *b"2.25.77.1" {
            other[at + 8] = b'9';
        }
    }
    fs::write(home.path().join("scan"), other).unwrap();
    let mut slice = vec![0; scan.geometry().slice_len()];
    let error = loop {
        match scan.next_slice(&mut slice) {
            Ok(Some(_)) => {}
            Ok(None) => panic!("a change"),
            Err(error) => break error,
        }
    };
    assert!(error.to_string().contains("changed"), "{error}");
}

/// A second series beside the first.
fn arterial() -> Vec<SliceFile> {
    let mut slices = series(SUPINE);
    slices.truncate(4);
    for (k, slice) in slices.iter_mut().enumerate() {
        slice.text(tags::SERIES_INSTANCE_UID, VR::UI, "2.25.4");
        slice.text(
            tags::SOP_INSTANCE_UID,
            VR::UI,
            &format!("2.25.78.{}", k + 1),
        );
    }
    slices
}

#[test]
fn several_series_are_told_apart_and_packed_each_for_itself() {
    let home = tempfile::tempdir().unwrap();
    save(home.path(), &arterial(), |k| format!("a{k}"));
    let venous = save(home.path(), &series(SUPINE), |k| format!("b{k}"));
    let paths = [home.path().to_owned()];
    let sorted = sort_out(&paths).unwrap();
    let counts: Vec<_> = sorted.iter().map(SeriesFiles::count).collect();
    assert_eq!(counts, [4, SHAPE[0]]);
    assert_eq!(sorted[1].paths(), venous);
    assert_eq!(sorted[1].first(), venous[0]);
    let size = |path: &PathBuf| fs::metadata(path).unwrap().len();
    assert_eq!(sorted[1].bytes(), venous.iter().map(size).sum::<u64>());
    let mut bytes = Vec::new();
    sorted[1].pack(&mut bytes).unwrap();
    assert!(bytes == sample());

    let error = pack(&paths, &mut Vec::new()).unwrap_err();
    let DicomError::MixedSeries { parts, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(parts[0], (SHAPE[0], venous[0].clone()));
}

#[test]
fn a_disk_that_is_full_is_told() {
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let home = tempfile::tempdir().unwrap();
    save(home.path(), &series(SUPINE), in_order);
    let error = pack(&[home.path().to_owned()], &mut Full).unwrap_err();
    assert!(matches!(error, DicomError::NotPacked { .. }), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_damage_to_an_archive_is_survived(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        in_headers in any::<bool>(),
        mended in any::<bool>(),
        cut in prop::option::weighted(0.1, any::<prop::sample::Index>()),
    ) {
        let mut bytes = sample().to_vec();
        // Headers are few among the bytes, and whoever damages them on purpose also mends their checksum.
        let step = bytes.len() / SHAPE[0] / 512 * 512;
        for (at, value) in damage {
            let at = if in_headers {
                at.index(SHAPE[0]) * step + usize::from(value) * 2
            } else {
                at.index(bytes.len())
            };
            bytes[at] = value;
        }
        if mended {
            for header in bytes.chunks_exact_mut(512).filter(|block| block[257..262] == *b"ustar") {
                let mut whole = Header::from_byte_slice(header).clone();
                whole.set_cksum();
                header.copy_from_slice(whole.as_bytes());
            }
        }
        if let Some(at) = cut {
            bytes.truncate(at.index(bytes.len()));
        }
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("scan");
        fs::write(&path, bytes).unwrap();
        if let Ok(mut scan) = ScanReader::open(&path) {
            let mut slice = vec![0; scan.geometry().slice_len()];
            while let Ok(Some(_)) = scan.next_slice(&mut slice) {}
        }
        let _ = pack(&[path], &mut std::io::sink());
    }
}
