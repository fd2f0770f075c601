//! Canonical slices in, a volume in its geometry's own file order out.
//!
//! Used by the box for label maps and by the trainer for phantoms. The header's transforms go out as they came in, so a label map
//! lies exactly on its scan in any viewer. Memory: two slices where slices stream ([`Geometry::streams`]), otherwise the volume,
//! one byte a voxel for labels and two for HU, and a block of slices. A file appears under its name only when it is complete and on the disk.

use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::{Compression, GzBuilder};
use nifti::NiftiType;

use crate::error::ImagingError;
use crate::files;
use crate::geometry::Geometry;
use crate::header;
use crate::held::block_slices;
use crate::layout::{View, copy_box};
use crate::memory::room;
use crate::voxel::Voxel;

/// Voxels turned into bytes at a time.
const PIECE: usize = 1 << 15;

/// Writes a label map on `geometry` as unsigned bytes, to a name ending in `.nii.gz` (or `.nii`, uncompressed).
///
/// `fill` is called once for each canonical slice index, in the order that is cheap for the file, with a zeroed buffer of rows x
/// columns. Errors: a label above 2, another ending of the name, no memory, whatever the disk says; the file then does not exist, or
/// is still what it was.
pub fn write_labels(
    path: &Path,
    geometry: &Geometry,
    fill: &mut dyn FnMut(usize, &mut [u8]),
) -> Result<(), ImagingError> {
    write(
        path,
        geometry,
        NiftiType::Uint8,
        &mut |index, slice: &mut [u8]| {
            fill(index, slice);
            match slice.iter().find(|&&label| label > 2) {
                None => Ok(()),
                Some(&label) => Err(ImagingError::NotALabel {
                    path: path.to_owned(),
                    slice: index,
                    value: f64::from(label),
                }),
            }
        },
    )
}

/// Writes HU on `geometry` as signed 16-bit integers without scaling; otherwise as [`write_labels`].
pub fn write_scan(
    path: &Path,
    geometry: &Geometry,
    fill: &mut dyn FnMut(usize, &mut [i16]),
) -> Result<(), ImagingError> {
    write(
        path,
        geometry,
        NiftiType::Int16,
        &mut |index, slice: &mut [i16]| {
            fill(index, slice);
            Ok(())
        },
    )
}

type Fill<'a, V> = &'a mut dyn FnMut(usize, &mut [V]) -> Result<(), ImagingError>;

fn write<V: Voxel>(
    path: &Path,
    geometry: &Geometry,
    kind: NiftiType,
    fill: Fill<'_, V>,
) -> Result<(), ImagingError> {
    let io_error = |source| ImagingError::Io {
        path: path.to_owned(),
        action: "write",
        source,
    };
    let compress = compressed(path)?;
    files::write_with(path, io_error, |out| {
        let head = header::encode(geometry, kind);
        if compress {
            // No name and no time in the gzip header: equal volumes give equal files.
            let mut gzip = GzBuilder::new().write(out, Compression::default());
            gzip.write_all(&head).map_err(io_error)?;
            write_voxels(path, geometry, &mut gzip, fill)?;
            gzip.finish().map(drop).map_err(io_error)
        } else {
            out.write_all(&head).map_err(io_error)?;
            write_voxels(path, geometry, out, fill)
        }
    })
}

fn write_voxels<V: Voxel>(
    path: &Path,
    geometry: &Geometry,
    out: &mut dyn Write,
    fill: Fill<'_, V>,
) -> Result<(), ImagingError> {
    let [slices, rows, cols] = geometry.shape();
    let len = rows * cols;
    let streams = geometry.streams();
    // Slices that stream go out one by one; others are collected in blocks, as the reader turns them out, and go out at the end.
    let most = if streams {
        1
    } else {
        block_slices::<V>(slices)
    };
    let mut block = room::<V>(path, most * len)?;
    let mut in_file_order = room::<V>(path, if streams { len } else { slices * len })?;
    for first in (0..slices).step_by(most) {
        let count = most.min(slices - first);
        let start = if streams {
            geometry.slice_of((first * len) as u64)
        } else {
            first
        };
        let block = &mut block[..count * len];
        block.fill(V::default());
        for (index, slice) in (start..).zip(block.chunks_exact_mut(len)) {
            fill(index, slice)?;
        }
        let mut view = geometry.view().starting_at([start, 0, 0]);
        if streams {
            view.base -= first * len;
        }
        copy_box(
            [count, rows, cols],
            (block, View::canonical(rows, cols)),
            (&mut in_file_order, view),
        );
        if streams {
            put(path, out, &in_file_order)?;
        }
    }
    if streams {
        Ok(())
    } else {
        put(path, out, &in_file_order)
    }
}

fn put<V: Voxel>(path: &Path, out: &mut dyn Write, voxels: &[V]) -> Result<(), ImagingError> {
    let mut bytes = Vec::with_capacity(PIECE * size_of::<V>());
    for piece in voxels.chunks(PIECE) {
        bytes.clear();
        V::encode(piece, &mut bytes);
        out.write_all(&bytes).map_err(|source| ImagingError::Io {
            path: path.to_owned(),
            action: "write",
            source,
        })?;
    }
    Ok(())
}

/// Whether the name asks for gzip.
fn compressed(path: &Path) -> Result<bool, ImagingError> {
    let has = |path: &Path, extension: &str| {
        path.extension()
            .is_some_and(|own| own.eq_ignore_ascii_case(extension))
    };
    let gzip = has(path, "gz");
    if has(path, "nii")
        || gzip
            && path
                .file_stem()
                .is_some_and(|stem| has(Path::new(stem), "nii"))
    {
        Ok(gzip)
    } else {
        Err(ImagingError::OutputName {
            path: PathBuf::from(path),
        })
    }
}
