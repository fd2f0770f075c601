//! One volume: read the labels, choose the slices, write images and label maps.

use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use nephrobox_dataset::hash_json;
use nephrobox_imaging::ScanReader;

use super::records::{Layout, Options, SliceRecord, SourceFile, SpacingRecord, VolumeRecord};
use super::remove_if_there;
use crate::data::error::{DataError, DataErrorKind};
use crate::data::files;
use crate::data::folder::CaseFolder;
use crate::data::scan::{LabelScan, SliceCounts};

/// A case folder with both volumes.
#[derive(Clone, Debug)]
pub(super) struct Sources<'a> {
    pub(super) folder: &'a CaseFolder,
    pub(super) imaging: &'a Path,
    pub(super) segmentation: &'a Path,
}

/// How a volume came to be in the prepared folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// It was there already.
    Found,
    /// It was made now.
    Made,
    /// It was there, but not as it was written, and was made again.
    Mended,
}

/// Makes sure that the prepared volume is there and whole. `update` allows replacing one that was made from other
/// sources or options.
pub(super) fn ensure(
    sources: &Sources<'_>,
    options: &Options,
    layout: &Layout,
    update: bool,
) -> Result<(VolumeRecord, Origin), DataError> {
    let (case, source) = (sources.folder.case.as_str(), sources.folder.source);
    let [imaging, segmentation] = [sources.imaging, sources.segmentation].map(|path| {
        let (blake3, bytes) = files::hash(path)?;
        Ok(SourceFile { bytes, blake3 })
    });
    let (imaging, segmentation) = (imaging?, segmentation?);
    let options_blake3 = hash_json(options);
    let mut origin = Origin::Made;
    let path = layout.record(case, source);
    if path.exists() {
        match files::read_json::<VolumeRecord>(&path) {
            Ok(record) => {
                let changed = [
                    (record.imaging != imaging).then_some(sources.imaging),
                    (record.segmentation != segmentation).then_some(sources.segmentation),
                ];
                if let Some(file) = changed.into_iter().flatten().next().filter(|_| !update) {
                    return Err(DataError::new(
                        DataErrorKind::Changed,
                        file,
                        "this file is not the one the prepared folder was made from",
                        "give --update to prepare again what changed, or another --out to keep the old set",
                    ));
                }
                let same = record.options_blake3 == options_blake3 && changed == [None, None];
                if same && is_whole(&record, layout)? {
                    return Ok((record, Origin::Found));
                }
                if same {
                    origin = Origin::Mended;
                }
            }
            Err(error) if error.kind() == DataErrorKind::Damaged => origin = Origin::Mended,
            Err(error) => return Err(error),
        }
    }
    // While a volume is replaced the set is not complete: an index of the former ones must not outlive them.
    for stale in [layout.index(), layout.fingerprint(), path.clone()] {
        remove_if_there(&stale)?;
    }
    let record = make(
        sources,
        options,
        layout,
        [imaging, segmentation],
        options_blake3,
    )?;
    files::write_json(&path, &record)?;
    Ok((record, origin))
}

/// Whether the two data files of a volume are as its record says.
fn is_whole(record: &VolumeRecord, layout: &Layout) -> Result<bool, DataError> {
    let images = layout.images(&record.case, record.source);
    let labels = layout.labels(&record.case, record.source);
    for (path, expected) in [
        (images, &record.images_blake3),
        (labels, &record.labels_blake3),
    ] {
        if !path.exists() || files::hash(&path)?.0 != *expected {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Reads both volumes and writes the two data files.
fn make(
    sources: &Sources<'_>,
    options: &Options,
    layout: &Layout,
    [imaging, segmentation]: [SourceFile; 2],
    options_blake3: String,
) -> Result<VolumeRecord, DataError> {
    let (case, source) = (sources.folder.case.as_str(), sources.folder.source);
    let (scan, maps) = LabelScan::read_with_maps(sources.segmentation, &options.preprocess)?;
    let kept = options.kept(case, source, &scan);

    let pixels = options.preprocess.rows * options.preprocess.cols;
    let labels = layout.labels(case, source);
    files::write_whole(&labels, |out| {
        let nothing = vec![0; pixels]; // what a background-only slice has in place of a map
        for &slice in &kept {
            let map = maps.get(&(slice as usize)).unwrap_or(&nothing);
            out.write_all(map)
                .map_err(|e| DataError::io(&labels, "write this file", e))?;
        }
        Ok(())
    })?;
    drop(maps);
    let images = layout.images(case, source);
    let stored = options.stored(&kept, scan.geometry.shape()[0]);
    write_images(sources, options, &scan, &stored, &images)?;

    let spacing = scan.geometry.spacing();
    Ok(VolumeRecord {
        case: case.to_owned(),
        source,
        imaging,
        segmentation,
        shape: scan.geometry.shape(),
        spacing: SpacingRecord {
            slice_mm: spacing.slice_mm,
            row_mm: spacing.row_mm,
            col_mm: spacing.col_mm,
        },
        orientation: scan.geometry.codes().to_string(),
        label_voxels: scan.voxels(),
        slices: kept
            .iter()
            .map(|&slice| record_of(slice, &scan.slices))
            .collect(),
        images_blake3: files::hash(&images)?.0,
        labels_blake3: files::hash(&labels)?.0,
        options_blake3,
    })
}

fn record_of(slice: u32, slices: &[SliceCounts]) -> SliceRecord {
    SliceRecord {
        slice,
        counts: slices[slice as usize].small,
    }
}

/// Writes the prepared images of the slices in `stored`, ascending, in their order.
fn write_images(
    sources: &Sources<'_>,
    options: &Options,
    scan: &LabelScan,
    stored: &[u32],
    path: &Path,
) -> Result<(), DataError> {
    let unreadable = |e| DataError::volume(sources.imaging, e);
    let mut reader = ScanReader::open(sources.imaging).map_err(unreadable)?;
    reader.geometry().same_grid(&scan.geometry).map_err(|e| {
        DataError::new(
            DataErrorKind::Grid,
            sources.segmentation,
            format!("{} and these labels do not fit: {e}", sources.imaging.display()),
            "take labels that were drawn on this very image, or take the case folder out of the data folder",
        )
    })?;
    let [_, rows, cols] = reader.geometry().shape();
    let preprocess = &options.preprocess;
    let (mut hu, mut image) = (
        vec![0; rows * cols],
        vec![0f32; preprocess.rows * preprocess.cols],
    );
    files::write_whole(path, |out| {
        let failed = |e| DataError::io(path, "write this file", e);
        // The reader may go from the feet up, and goes through all slices in any case: a fault in a slice that is not
        // stored is a fault of the volume.
        while let Some(slice) = reader.next_slice(&mut hu).map_err(unreadable)? {
            let Ok(at) = stored.binary_search(&(slice as u32)) else {
                continue;
            };
            preprocess
                .image(&hu, rows, cols, &mut image)
                .map_err(|e| DataError::volume(sources.imaging, e))?;
            out.seek(SeekFrom::Start((at * size_of_val(image.as_slice())) as u64))
                .map_err(failed)?;
            for block in image.chunks(4096) {
                let mut bytes = [0u8; 4 * 4096];
                for (bytes, value) in bytes.chunks_exact_mut(4).zip(block) {
                    bytes.copy_from_slice(&value.to_le_bytes());
                }
                out.write_all(&bytes[..4 * block.len()]).map_err(failed)?;
            }
        }
        Ok(())
    })
}
