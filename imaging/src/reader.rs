//! Volumes in, canonical transverse slices out, one at a time.
//!
//! Used by everything that looks at a scan or its labels: training, evaluation, the box. Memory: where the slice axis varies slowest
//! in the file ([`Geometry::streams`]), one slice is held at a time, however many there are. Otherwise the volume is held, 16 bits
//! a voxel for HU and 8 for labels whatever the file's own type, plus a block of slices: at most 64, for HU at most a tenth of them.

use std::path::{Path, PathBuf};

use crate::dicom::{self, Finding, Identity, Place, Series, SeriesFiles, SeriesInfo};
use crate::error::ImagingError;
use crate::file::VoxelFile;
use crate::geometry::Geometry;
use crate::held::Held;
use crate::layout::{View, copy_box};
use crate::memory::room;
use crate::voxel::Voxel;

/// Reads HU.
pub type ScanReader = SliceReader<i16>;

/// Reads labels and refuses any but 0, 1 and 2.
pub type LabelReader = SliceReader<u8>;

/// A volume's file, read slice by slice: [`ScanReader`] or [`LabelReader`].
///
/// ```no_run
/// # fn main() -> Result<(), nephrobox_imaging::ImagingError> {
/// use nephrobox_imaging::ScanReader;
///
/// let mut scan = ScanReader::open("case_00000/imaging.nii.gz")?;
/// let mut slice = vec![0; scan.geometry().slice_len()];
/// while let Some(index) = scan.next_slice(&mut slice)? {
///     println!("slice {index}: {} HU in the front right corner", slice[0]);
/// }
/// # Ok(())
/// # }
/// ```
pub struct SliceReader<V: Voxel> {
    file: VoxelFile,
    /// Slices handed out by `next_slice` so far.
    handed_out: usize,
    /// One slice in the file's order, where slices stream.
    plane: Vec<V>,
    /// The volume, where they do not; read when the first slice is asked for.
    held: Option<Held<V>>,
}

impl<V: Voxel> SliceReader<V> {
    /// Opens a volume and checks its header; voxels are read when slices are asked for. HU may be a NIfTI file or a DICOM series in one
    /// file, an uncompressed tar (see [`dicom::pack`]), as the content says; labels are a NIfTI file.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ImagingError> {
        let path = path.as_ref();
        if !V::ARE_LABELS && dicom::is_tar(path) {
            let series = Series::open(&[path.to_owned()])?;
            return Ok(Self::of(VoxelFile::of_series(series)));
        }
        VoxelFile::open(path).map(Self::of)
    }

    fn of(file: VoxelFile) -> Self {
        Self {
            file,
            handed_out: 0,
            plane: Vec::new(),
            held: None,
        }
    }

    /// The volume's grid.
    pub fn geometry(&self) -> &Geometry {
        self.file.geometry()
    }

    /// The file; of a DICOM series the first file or folder that was named.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Fills `out` (rows x columns, row 0 the front, column 0 the patient's right) and returns the slice's canonical index, 0 at the
    /// head end; `None` after the last. Slices come in the order that is cheap for the file, each once.
    ///
    /// Errors: unreadable, truncated or overlong data, voxels that are no HU or no label, a buffer of another length. The file's end
    /// and checksum are checked before its last slice is handed out. After an error the same call tries the same slice again.
    pub fn next_slice(&mut self, out: &mut [V]) -> Result<Option<usize>, ImagingError> {
        self.check_buffer(out)?;
        if self.handed_out == self.geometry().slices() {
            return Ok(None);
        }
        let index = if self.geometry().streams() {
            let index = self
                .geometry()
                .slice_of((self.handed_out * out.len()) as u64);
            self.stream(index, out)?;
            index
        } else {
            let index = self.handed_out;
            self.hold()?.next(index, out);
            index
        };
        self.handed_out += 1;
        Ok(Some(index))
    }

    /// Fills `out` with one canonical slice, out of turn; `next_slice` afterwards continues where it was.
    ///
    /// Cheap in a held volume or an uncompressed file. In a compressed file that streams, everything between the slice read before
    /// and this one is inflated, from the file's start if this one lies behind: ask in the file's order where there is a choice.
    /// Errors as [`next_slice`](Self::next_slice), and an index beyond the volume.
    pub fn read_slice(&mut self, index: usize, out: &mut [V]) -> Result<(), ImagingError> {
        self.check_buffer(out)?;
        let slices = self.geometry().slices();
        if index >= slices {
            return Err(ImagingError::NoSuchSlice {
                path: self.path().to_owned(),
                index,
                slices,
            });
        }
        if self.geometry().streams() {
            return self.stream(index, out);
        }
        self.hold()?.slice(index, out);
        Ok(())
    }

    /// Calls `heard` after each piece of the file that is read or inflated, a slice at most. One call of this reader may take minutes where the whole
    /// file has to be gone through, and whoever watches over the work must not take that for its end.
    pub fn on_read(&mut self, heard: impl Fn() + Send + Sync + 'static) {
        self.file.source_mut().on_read(Box::new(heard));
    }

    /// Makes `next_slice` begin again.
    pub fn rewind(&mut self) {
        self.handed_out = 0;
    }

    fn check_buffer(&self, out: &[V]) -> Result<(), ImagingError> {
        let expected = self.geometry().slice_len();
        if out.len() == expected {
            return Ok(());
        }
        Err(ImagingError::BufferSize {
            path: self.path().to_owned(),
            expected,
            found: out.len(),
        })
    }

    /// Fills `out` with the voxels from the `start`-th on, in the file's order.
    pub(crate) fn read_raw(&mut self, start: u64, out: &mut [V]) -> Result<(), ImagingError> {
        self.file.read(start, out)
    }

    fn stream(&mut self, index: usize, out: &mut [V]) -> Result<(), ImagingError> {
        let [_, rows, cols] = self.geometry().shape();
        if self.plane.is_empty() {
            self.plane = room(self.path(), out.len())?;
        }
        let mut view = self.geometry().view().starting_at([index, 0, 0]);
        let start = view.base - view.base % out.len();
        view.base -= start;
        self.file.read(start as u64, &mut self.plane)?;
        copy_box(
            [1, rows, cols],
            (&self.plane, view),
            (out, View::canonical(rows, cols)),
        );
        Ok(())
    }

    fn hold(&mut self) -> Result<&mut Held<V>, ImagingError> {
        match self.held {
            Some(ref mut held) => Ok(held),
            ref mut none => Ok(none.insert(Held::load(&mut self.file)?)),
        }
    }
}

impl ScanReader {
    /// Opens a CT series of DICOM files: all files named, all below folders named, and all in tars named, in any order. Every header is
    /// checked; voxels are read when slices are asked for, one file for each.
    ///
    /// Errors: [`ImagingError::Dicom`] with whatever keeps the files from being one volume.
    pub fn open_series(paths: &[PathBuf]) -> Result<Self, ImagingError> {
        let series = Series::open(paths)?;
        Ok(Self::of(VoxelFile::of_series(series)))
    }

    /// Opens one of the series that [`dicom::sort_out`] found, as [`open_series`](Self::open_series) does.
    ///
    /// Errors: [`ImagingError::Dicom`] with whatever keeps the files from being one volume.
    pub fn open_sorted(series: &SeriesFiles) -> Result<Self, ImagingError> {
        let series = Series::sorted(series)?;
        Ok(Self::of(VoxelFile::of_series(series)))
    }

    /// What was odd about a DICOM series and was dealt with; nothing for other files.
    pub fn findings(&self) -> &[Finding] {
        self.file.series().map(Series::findings).unwrap_or_default()
    }

    /// Where the voxels lie: the files of a DICOM series in the order of the volume, wherever they are packed, or the one file.
    pub fn places(&self) -> Vec<Place> {
        match self.file.series() {
            Some(series) => series.places().cloned().collect(),
            None => vec![Place::file(self.path().to_owned())],
        }
    }

    /// What results must say of the DICOM series; `None` for other files.
    pub fn series(&self) -> Option<SeriesInfo> {
        self.file.series().map(Series::info)
    }

    /// Whose DICOM series this is, read from its first slice; `None` for other files.
    ///
    /// Errors: a slice that is no more what it was when the series was opened.
    pub fn identity(&self) -> Result<Option<Identity>, ImagingError> {
        match self.file.series() {
            Some(series) => Ok(Some(series.identity()?)),
            None => Ok(None),
        }
    }

    /// Errors unless `labels` lie on this scan's grid, as [`Geometry::same_grid`] judges; the message names both files and grids.
    pub fn check_labels(&self, labels: &LabelReader) -> Result<(), ImagingError> {
        self.geometry()
            .same_grid(labels.geometry())
            .map_err(|source| ImagingError::GridsDiffer {
                image: self.path().to_owned(),
                labels: labels.path().to_owned(),
                source,
            })
    }
}
