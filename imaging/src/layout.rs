//! Moving voxels between the file's order and canonical slices, in either direction, for every order of the axes.
//!
//! Used by the reader and the writer. A canonical box and the same voxels in a file are two [`View`]s: a start and a signed stride
//! for each of slice, row and column. [`copy_box`] copies one into the other. Where both run along the same axis it copies lines;
//! otherwise it turns 64 x 64 tiles on the stack, because strides of a power of two, usual in CT, would throw every line out of the
//! cache between two of its voxels.

/// Places of a canonical box (slices, rows, columns) inside a flat buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct View {
    /// Offset of voxel (0, 0, 0).
    pub(crate) base: usize,
    /// Step along slice, row and column; negative where the file runs the other way. At least one is +1 or -1.
    pub(crate) strides: [isize; 3],
}

impl View {
    /// Canonical slices lying one after the other.
    pub(crate) fn canonical(rows: usize, cols: usize) -> Self {
        Self {
            base: 0,
            strides: [(rows * cols) as isize, cols as isize, 1],
        }
    }

    /// The same view with its first voxel moved to `index` (slice, row, column).
    pub(crate) fn starting_at(self, index: [usize; 3]) -> Self {
        Self {
            base: self.offset(index),
            ..self
        }
    }

    fn offset(&self, index: [usize; 3]) -> usize {
        let moved: isize = index
            .iter()
            .zip(self.strides)
            .map(|(&i, stride)| i as isize * stride)
            .sum();
        self.base.wrapping_add_signed(moved)
    }

    /// Longest axis among those with neighbouring voxels side by side.
    fn unit_axis(&self, size: [usize; 3]) -> usize {
        (0..3)
            .filter(|&axis| self.strides[axis].abs() == 1)
            .max_by_key(|&axis| size[axis])
            .unwrap_or(2)
    }

    /// The stretch of `len` voxels along `axis` from `index`, and whether it lies backwards.
    fn line(&self, index: [usize; 3], axis: usize, len: usize) -> (std::ops::Range<usize>, bool) {
        let start = self.offset(index);
        if self.strides[axis] < 0 {
            (start + 1 - len..start + 1, true)
        } else {
            (start..start + len, false)
        }
    }
}

/// Side of a tile: 64 bytes, one cache line, of labels.
const TILE: usize = 64;

/// Copies `size` (slices, rows, columns) voxels from `from` to `to`. Both views must lie inside their buffers.
pub(crate) fn copy_box<T: Copy + Default>(
    size: [usize; 3],
    from: (&[T], View),
    to: (&mut [T], View),
) {
    if size.contains(&0) {
        return;
    }
    let (read, write) = (from.1.unit_axis(size), to.1.unit_axis(size));
    if read == write {
        copy_lines(size, read, from, to);
    } else {
        copy_tiles(size, [read, write], from, to);
    }
}

fn copy_lines<T: Copy>(
    size: [usize; 3],
    along: usize,
    (from, from_view): (&[T], View),
    (to, to_view): (&mut [T], View),
) {
    let [outer, inner] = others(along);
    for i in 0..size[outer] {
        for j in 0..size[inner] {
            let mut index = [0; 3];
            index[outer] = i;
            index[inner] = j;
            let (source, backwards) = from_view.line(index, along, size[along]);
            let (target, target_backwards) = to_view.line(index, along, size[along]);
            copy_line(
                &from[source],
                &mut to[target],
                backwards != target_backwards,
            );
        }
    }
}

fn copy_tiles<T: Copy + Default>(
    size: [usize; 3],
    [read, write]: [usize; 2],
    (from, from_view): (&[T], View),
    (to, to_view): (&mut [T], View),
) {
    let third = 3 - read - write;
    let (mut upright, mut turned) = ([[T::default(); TILE]; TILE], [[T::default(); TILE]; TILE]);
    for r in (0..size[read]).step_by(TILE) {
        let read_len = TILE.min(size[read] - r);
        for w in (0..size[write]).step_by(TILE) {
            let write_len = TILE.min(size[write] - w);
            // Innermost the third axis: neighbouring tiles then share memory pages on both sides.
            for t in 0..size[third] {
                let mut index = [0; 3];
                index[third] = t;
                index[read] = r;
                for (j, line) in upright[..write_len].iter_mut().enumerate() {
                    index[write] = w + j;
                    let (source, backwards) = from_view.line(index, read, read_len);
                    copy_line(&from[source], &mut line[..read_len], backwards);
                }
                // Whole lines even at the edges: the fixed length is what makes the inner loop fast.
                for (i, line) in turned[..read_len].iter_mut().enumerate() {
                    for (value, source) in line.iter_mut().zip(&upright) {
                        *value = source[i];
                    }
                }
                index[write] = w;
                for (i, line) in turned[..read_len].iter().enumerate() {
                    index[read] = r + i;
                    let (target, backwards) = to_view.line(index, write, write_len);
                    copy_line(&line[..write_len], &mut to[target], backwards);
                }
            }
        }
    }
}

fn copy_line<T: Copy>(source: &[T], target: &mut [T], reverse: bool) {
    target.copy_from_slice(source);
    if reverse {
        target.reverse();
    }
}

/// The two axes besides `axis`, slower canonical one first.
fn others(axis: usize) -> [usize; 2] {
    match axis {
        0 => [1, 2],
        1 => [0, 2],
        _ => [0, 1],
    }
}
