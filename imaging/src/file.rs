//! A volume's file behind its checked header: voxels by their place in the file.
//!
//! Used by the reader only. Reads a few ten thousand voxels at a time and converts them at once, so that the file's own type never
//! takes more room than that.

use std::path::Path;

use crate::dicom::Series;
use crate::error::ImagingError;
use crate::extent::{Extent, all_zero};
use crate::geometry::Geometry;
use crate::header::Header;
use crate::memory::room;
use crate::source::Source;
use crate::voxel::{BadVoxel, Voxel};

/// Raw bytes inflated and decoded at a time: they stay in the cache between the two.
const PIECE: usize = 1 << 16;

pub(crate) struct VoxelFile {
    source: Source,
    header: Header,
    raw: Vec<u8>,
}

impl VoxelFile {
    pub(crate) fn open(path: &Path) -> Result<Self, ImagingError> {
        let mut source = Source::open(path)?;
        let header = Header::read(&mut source)?;
        Ok(Self {
            source,
            header,
            raw: vec![0; PIECE],
        })
    }

    /// A DICOM series as one file of voxels.
    pub(crate) fn of_series(series: Series) -> Self {
        Self {
            header: Header::of_series(&series),
            source: Source::of_series(series),
            raw: vec![0; PIECE],
        }
    }

    /// The DICOM series, if this is one.
    pub(crate) fn series(&self) -> Option<&Series> {
        self.source.series()
    }

    /// The bytes behind the voxels.
    pub(crate) fn source_mut(&mut self) -> &mut Source {
        &mut self.source
    }

    pub(crate) fn path(&self) -> &Path {
        self.source.path()
    }

    pub(crate) fn geometry(&self) -> &Geometry {
        &self.header.geometry
    }

    /// Fills `out` with the voxels from the `start`-th on, in the file's order. With the file's last voxel its end is checked, too.
    pub(crate) fn read<V: Voxel>(&mut self, start: u64, out: &mut [V]) -> Result<(), ImagingError> {
        self.pieces(start, out, false, |_, _| ())
    }

    /// All voxels in the file's order, and the box outside which every label is 0 (for HU the whole volume).
    ///
    /// Stretches of background, most of a label map, are neither written nor given memory.
    pub(crate) fn load<V: Voxel>(&mut self) -> Result<(Vec<V>, Extent), ImagingError> {
        let lengths = self.geometry().file_shape();
        let mut volume = room(self.path(), lengths.iter().product())?;
        let mut extent = Extent::whole(lengths);
        if V::ARE_LABELS {
            extent = Extent::empty(lengths);
            self.pieces(0, &mut volume, true, |at, piece| {
                extent.cover(at as usize, piece);
            })?;
        } else {
            self.pieces(0, &mut volume, true, |_, _| ())?;
        }
        Ok((volume, extent))
    }

    /// Reads `out.len()` voxels and shows each piece with its place in the file to `seen`, except pieces of raw zeros that stand for
    /// zeros if `out` is `fresh`, that is, still zero all over.
    fn pieces<V: Voxel>(
        &mut self,
        start: u64,
        out: &mut [V],
        fresh: bool,
        mut seen: impl FnMut(u64, &[V]),
    ) -> Result<(), ImagingError> {
        let Header {
            geometry,
            encoding,
            offset,
        } = &self.header;
        let size = encoding.number.size();
        let expected = self.header.expected();
        let skips_zeros = fresh && encoding.scaling.is_none();
        self.source.seek(offset + start * size as u64, expected)?;
        let mut at = start;
        for piece in out.chunks_mut(PIECE / size) {
            let raw = &mut self.raw[..piece.len() * size];
            self.source.read_all(raw, expected)?;
            if !(skips_zeros && all_zero(raw)) {
                V::decode(encoding, raw, piece)
                    .map_err(|bad| refusal::<V>(self.source.path(), geometry, at, bad))?;
                seen(at, piece);
            }
            at += piece.len() as u64;
        }
        if at == geometry.voxels() {
            self.source.expect_end()
        } else {
            Ok(())
        }
    }
}

fn refusal<V: Voxel>(path: &Path, geometry: &Geometry, start: u64, bad: BadVoxel) -> ImagingError {
    let (path, value) = (path.to_owned(), bad.value);
    let slice = geometry.slice_of(start + bad.index as u64);
    if V::ARE_LABELS && value.is_finite() {
        ImagingError::NotALabel { path, slice, value }
    } else {
        ImagingError::NotFinite { path, slice, value }
    }
}
