//! What a real label volume tells about its patient: where the spine must be, how large the body, which slices to take.

use super::body::Room;
use super::rng::Rng;
use super::scene::{Point, at};

/// A label volume seen once, slice by slice.
#[derive(Clone, Debug)]
pub(super) struct Survey {
    rows: usize,
    cols: usize,
    /// Slice, row and column spacing, millimetres.
    spacing: [f32; 3],
    /// Kidney and tumour pixels of each slice.
    counts: Vec<[u32; 2]>,
    /// Kidney pixels in each column.
    columns: Vec<u64>,
    kidney: u64,
    rows_sum: u64,
    slices_sum: u64,
    /// First and last labelled column of each labelled row.
    spans: Vec<Option<(usize, usize)>>,
}

/// Where the patient lies in the image.
#[derive(Clone, Debug)]
pub(super) struct Placement {
    /// The middle of the vertebral body: row and column, in pixels of the source.
    pub(super) spine: [f32; 2],
    /// The slice at the height of the kidneys' middle.
    pub(super) level: f32,
    /// Free half width between the kidneys, millimetres.
    pub(super) narrow: f32,
    /// The outline of everything labelled, millimetres from the spine.
    pub(super) hull: Vec<Point>,
    /// From the spine to the right, left and front edge of the image, millimetres.
    pub(super) edges: [f32; 3],
    /// How far the spine lies behind the middle of the image, millimetres.
    pub(super) behind: f32,
}

impl Survey {
    pub(super) fn new([slices, rows, cols]: [usize; 3], spacing: [f32; 3]) -> Self {
        Self {
            rows,
            cols,
            spacing,
            counts: vec![[0; 2]; slices],
            columns: vec![0; cols],
            kidney: 0,
            rows_sum: 0,
            slices_sum: 0,
            spans: vec![None; rows],
        }
    }

    /// Adds one slice (`rows` x `cols` KiTS labels); slices may come in any order, each once.
    pub(super) fn add(&mut self, index: usize, labels: &[u8]) {
        let mut counts = [0; 2];
        for (row, line) in labels.chunks_exact(self.cols).enumerate() {
            let Some(first) = line.iter().position(|&label| label != 0) else {
                continue;
            };
            let last = line.iter().rposition(|&label| label != 0).unwrap_or(first);
            let span = self.spans[row].get_or_insert((first, last));
            *span = (span.0.min(first), span.1.max(last));
            for (column, &label) in line.iter().enumerate().take(last + 1).skip(first) {
                match label {
                    1 => {
                        counts[0] += 1;
                        self.columns[column] += 1;
                        self.rows_sum += row as u64;
                    }
                    2 => counts[1] += 1,
                    _ => {}
                }
            }
        }
        self.kidney += u64::from(counts[0]);
        self.slices_sum += index as u64 * u64::from(counts[0]);
        self.counts[index] = counts;
    }

    /// Finds the patient in the image. Kidneys lie beside the spine, so the gap between them is where it stands.
    pub(super) fn placement(&self) -> Placement {
        let [_, row_mm, col_mm] = self.spacing;
        let middle = self.cols as f32 * 0.5;
        let (gap, open) = self.gap();
        let width = (gap.1 - gap.0) as f32 * col_mm;
        // A gap that runs into the search limit has a kidney on one side only and says little.
        let column = if open || width < 24.0 {
            middle.clamp(gap.0 as f32, gap.1 as f32)
        } else {
            (gap.0 + gap.1) as f32 * 0.5
        };
        let free = (column - gap.0 as f32).min(gap.1 as f32 - column) * col_mm;
        let (row, level) = if self.kidney > 0 {
            let mean = |sum: u64| sum as f32 / self.kidney as f32;
            (mean(self.rows_sum), mean(self.slices_sum))
        } else {
            (self.rows as f32 * 0.6, self.counts.len() as f32 * 0.5)
        };
        let row = row - 2.0 / row_mm;
        let mut hull = Vec::new();
        for (index, span) in self.spans.iter().enumerate().step_by(4) {
            if let Some((first, last)) = span {
                for end in [*first, *last] {
                    hull.push(at(
                        (end as f32 - column) * col_mm,
                        (index as f32 - row) * row_mm,
                    ));
                }
            }
        }
        Placement {
            spine: [row, column],
            level,
            narrow: (free - 3.0).clamp(13.0, 25.0),
            hull,
            edges: [
                column * col_mm,
                (self.cols as f32 - column) * col_mm,
                row * row_mm,
            ],
            behind: (row - self.rows as f32 * 0.5) * row_mm,
        }
    }

    /// Rows and columns of the source.
    pub(super) fn plane(&self) -> [usize; 2] {
        [self.rows, self.cols]
    }

    /// The source's spacing: slice, row, column, millimetres.
    pub(super) fn spacing(&self) -> [f32; 3] {
        self.spacing
    }

    /// The widest run of columns without kidney in the middle half of the image, and whether it is open to a side.
    fn gap(&self) -> ((usize, usize), bool) {
        let (first, past) = (self.cols / 4, self.cols - self.cols / 4);
        let limit = self.columns.iter().copied().max().unwrap_or(0) / 50;
        let mut best = (self.cols / 2, self.cols / 2);
        let mut start = first;
        for column in first..=past {
            if column == past || self.columns[column] > limit {
                if column - start > best.1 - best.0 {
                    best = (start, column);
                }
                start = column + 1;
            }
        }
        (best, best.0 == first || best.1 == past)
    }

    /// Chooses `wanted` slices, ascending: three quarters with kidney or tumour (those with tumour twice as likely),
    /// the rest without, half of these within 30 mm of the labelled run. Fewer where the volume has fewer.
    pub(super) fn choose(&self, wanted: usize, level: f32, rng: &mut Rng) -> Vec<usize> {
        let slice_mm = self.spacing[0];
        let labelled = |index: usize| self.counts[index] != [0; 2];
        let run = (0..self.counts.len()).filter(|&index| labelled(index));
        let (Some(first), Some(last)) = (run.clone().min(), run.max()) else {
            return Vec::new();
        };
        let mut pools = [const { Vec::new() }; 4];
        for index in 0..self.counts.len() {
            let height = (index as f32 - level) * slice_mm;
            let away =
                first.saturating_sub(index).max(index.saturating_sub(last)) as f32 * slice_mm;
            let pool = match self.counts[index] {
                [0, 0] if away <= 30.0 => 2,
                // The painter knows the body from the heart to the bladder.
                [0, 0] if (-200.0..225.0).contains(&height) => 3,
                [0, 0] => continue,
                [_, 0] => 1,
                _ => 0,
            };
            pools[pool].push(index);
        }
        let without = (wanted as f32 * 0.25 + rng.unit()) as usize;
        let far = if rng.chance(0.5) {
            without / 2
        } else {
            without.div_ceil(2)
        };
        let mut quota = [0, 0, without - far, far];
        quota[0] = ((wanted - without) * 2).div_ceil(3);
        quota[1] = wanted - without - quota[0];
        let mut chosen = Vec::new();
        let mut owed = 0;
        // From the rarest pool to the commonest; what one cannot give, the next does.
        for pool in [3, 2, 1, 0, 1] {
            let share = (quota[pool] + owed).min(pools[pool].len());
            owed = quota[pool] + owed - share;
            quota[pool] = 0;
            for index in 0..share {
                // One from each of `share` equal stretches, so that the whole kidney is seen.
                let from = index * pools[pool].len() / share;
                let to = (index + 1) * pools[pool].len() / share;
                chosen.push(pools[pool][from + rng.below(to - from)]);
            }
        }
        chosen.sort_unstable();
        chosen.dedup();
        chosen
    }
}

impl Placement {
    /// The room a body must give, with some play.
    pub(super) fn room(&self, rng: &mut Rng) -> Room<'_> {
        // A body is about centred in the image, so the place of the spine tells its depth.
        let front = 62.0 + 2.0 * self.behind + rng.normal(0.0, 12.0);
        Room {
            hull: &self.hull,
            front: Some(front.clamp(75.0, 175.0)),
            side_limit: (self.edges[0].min(self.edges[1]) - 6.0).max(110.0),
            front_limit: (self.edges[2] - 10.0).max(80.0),
        }
    }
}
