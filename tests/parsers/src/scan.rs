//! Scans: NIfTI, gzip, DICOM slices, folders and tars of them.

use std::fs;
use std::path::{Path, PathBuf};

use nephrobox_imaging::dicom::{glance, pack_as_they_are, sort_out};
use nephrobox_imaging::{LabelReader, ScanReader, SliceReader, Voxel};

/// More voxels are not read: the fuzzer has better things to do than to unpack large volumes.
const MOST_VOXELS: usize = 1 << 15;
/// What stands between the files of a series.
pub const BETWEEN: [u8; 8] = *b"\xff\xfe\xfd|nb|\n";

/// Reads a volume as the engine does, if it is not too large.
fn read<V: Voxel>(mut reader: SliceReader<V>) {
    let geometry = reader.geometry();
    let slice = geometry.slice_len();
    let slices = geometry.shape()[0];
    if slice.saturating_mul(slices) > MOST_VOXELS {
        return;
    }
    let mut out = vec![V::default(); slice];
    // In the file's order, which may be from the feet.
    let mut seen = vec![false; slices];
    while let Ok(Some(index)) = reader.next_slice(&mut out) {
        assert!(!std::mem::replace(&mut seen[index], true), "a slice twice");
    }
    if seen.iter().all(|&seen| seen) {
        reader
            .read_slice(0, &mut out)
            .expect("a slice that was read once is there");
    }
}

/// A file that is opened as a scan and as a label map. It may be gzip, by its own first bytes, as for the programs.
pub fn nifti(bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("scan.nii.gz");
    fs::write(&path, bytes).expect("written");
    if let Ok(scan) = ScanReader::open(&path) {
        drop(scan.series());
        drop(scan.identity());
        read(scan);
    }
    if let Ok(labels) = LabelReader::open(&path) {
        read(labels);
    }
}

/// Files of a series, one after the other; a single one may be a tar.
pub fn dicom_series(bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder");
    let paths = split(bytes, folder.path());
    for path in &paths {
        drop(glance(path));
    }
    if let [one] = &paths[..]
        && let Ok(scan) = ScanReader::open(one)
    {
        drop(scan.identity());
        read(scan);
    }
    if let Ok(scan) = ScanReader::open_series(&paths) {
        let _ = scan.findings();
        drop(scan.series());
        drop(scan.identity());
        read(scan);
    }
    for series in sort_out(&paths).unwrap_or_default() {
        let mut tar = Vec::new();
        let packed = series
            .pack(&mut tar)
            .expect("what was sorted can be packed");
        assert_eq!(packed.bytes, tar.len() as u64);
        let path = folder.path().join("packed.tar");
        fs::write(&path, &tar).expect("written");
        // Packing keeps what can be read: as a folder and as one file it is the same scan, or none.
        let folder = ScanReader::open_sorted(&series).map(|scan| scan.geometry().clone());
        let file = ScanReader::open(&path).map(|scan| scan.geometry().clone());
        assert_eq!(folder.ok(), file.ok());
    }
    let mut tar = Vec::new();
    pack_as_they_are(&paths, &mut tar).expect("any files can be packed");
}

fn split(bytes: &[u8], folder: &Path) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    let mut rest = bytes;
    // A series of the fuzzer's has a handful of slices.
    while paths.len() < 16 {
        let end = rest
            .windows(BETWEEN.len())
            .position(|window| window == BETWEEN);
        let path = folder.join(format!("{:02}", paths.len()));
        fs::write(&path, &rest[..end.unwrap_or(rest.len())]).expect("written");
        paths.push(path);
        match end {
            Some(end) => rest = &rest[end + BETWEEN.len()..],
            None => break,
        }
    }
    paths
}
