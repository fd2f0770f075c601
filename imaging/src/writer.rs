//! Canonical slices in, a volume in its geometry's own file order out.
//!
//! Used by the box for label maps and by the trainer for phantoms. The header's transforms go out as they came in, so a label map
//! lies exactly on its scan in any viewer. Memory: one slice where slices stream ([`Geometry::streams`]), otherwise the volume, one
//! byte a voxel for labels and two for HU. A file appears under its name only when it is complete and on the disk.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use flate2::{Compression, GzBuilder};
use nifti::NiftiType;

use crate::error::ImagingError;
use crate::geometry::Geometry;
use crate::header;
use crate::layout::{View, copy_box};
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
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut unfinished = tempfile::Builder::new();
    unfinished.prefix(".unfinished-").suffix(".nii");
    #[cfg(unix)]
    {
        // Like any new file, and unlike a temporary one: for everyone whom the umask lets.
        use std::os::unix::fs::PermissionsExt;
        unfinished.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut unfinished = unfinished.tempfile_in(folder).map_err(io_error)?;
    let head = header::encode(geometry, kind);
    let mut out = BufWriter::new(unfinished.as_file_mut());
    if compress {
        // No name and no time in the gzip header: equal volumes give equal files.
        let mut gzip = GzBuilder::new().write(&mut out, Compression::default());
        gzip.write_all(&head).map_err(io_error)?;
        write_voxels(path, geometry, &mut gzip, fill)?;
        gzip.finish().map_err(io_error)?;
    } else {
        out.write_all(&head).map_err(io_error)?;
        write_voxels(path, geometry, &mut out, fill)?;
    }
    out.flush().map_err(io_error)?;
    drop(out);
    unfinished.as_file().sync_all().map_err(io_error)?;
    unfinished
        .persist(path)
        .map_err(|error| io_error(error.error))?;
    sync_folder(folder).map_err(io_error)
}

fn write_voxels<V: Voxel>(
    path: &Path,
    geometry: &Geometry,
    out: &mut dyn Write,
    fill: Fill<'_, V>,
) -> Result<(), ImagingError> {
    let [slices, rows, cols] = geometry.shape();
    let room = |len: usize| {
        bytemuck::allocation::try_zeroed_vec::<V>(len).map_err(|()| ImagingError::OutOfMemory {
            path: path.to_owned(),
            bytes: (len * size_of::<V>()) as u64,
        })
    };
    let len = rows * cols;
    let streams = geometry.streams();
    let mut slice = room(len)?;
    let mut in_file_order = room(if streams { len } else { len * slices })?;
    let mut bytes = Vec::with_capacity(PIECE * size_of::<V>());
    let mut put = |voxels: &[V]| -> io::Result<()> {
        for piece in voxels.chunks(PIECE) {
            bytes.clear();
            V::encode(piece, &mut bytes);
            out.write_all(&bytes)?;
        }
        Ok(())
    };
    let put_all = |result: io::Result<()>| {
        result.map_err(|source| ImagingError::Io {
            path: path.to_owned(),
            action: "write",
            source,
        })
    };
    for step in 0..slices {
        let index = if streams {
            geometry.slice_of((step * len) as u64)
        } else {
            step
        };
        slice.fill(V::default());
        fill(index, &mut slice)?;
        let mut view = geometry.view().starting_at([index, 0, 0]);
        if streams {
            view.base -= step * len;
        }
        copy_box(
            [1, rows, cols],
            (&slice, View::canonical(rows, cols)),
            (&mut in_file_order, view),
        );
        if streams {
            put_all(put(&in_file_order))?;
        }
    }
    if streams {
        Ok(())
    } else {
        put_all(put(&in_file_order))
    }
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

/// Makes the rename last through a power cut.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Other systems cannot open a folder as a file; their rename is as durable as they make it.
#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}
