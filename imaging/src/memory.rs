//! Memory for voxels: refused with an error where there is none, and given only as it is used.

use std::path::Path;

use crate::error::ImagingError;
use crate::voxel::Voxel;

/// `len` zeros. The system gives their pages as they are written to, so a header that promises more than the file holds costs
/// nothing before the file's end shows.
pub(crate) fn room<V: Voxel>(path: &Path, len: usize) -> Result<Vec<V>, ImagingError> {
    bytemuck::allocation::try_zeroed_vec(len).map_err(|()| ImagingError::OutOfMemory {
        path: path.to_owned(),
        bytes: (len * size_of::<V>()) as u64,
    })
}
