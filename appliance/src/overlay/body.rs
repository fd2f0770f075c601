//! Where the patient's body lies in a slice, so that a small picture is not half air.

use std::ops::Range;

use nephrobox_shared::preprocess::Window;

use super::OverlaySlice;

/// What is denser is not black in the picture: skin, most fat, the table.
const DENSE_HU: i16 = Window::ABDOMEN.low_hu;
/// Share of dense pixels from which a row or column belongs to the body. A speck in the air has fewer, and so has what is left
/// of the back where the table begins.
const SHARE: f64 = 0.04;
/// What is left around the body, in mm.
const MARGIN_MM: f64 = 8.0;

/// The body's rectangle with the pixels in it.
pub(super) struct Body {
    rows: Range<usize>,
    cols: Range<usize>,
    hu: Vec<i16>,
    labels: Vec<u8>,
}

impl Body {
    /// Finds the body in a slice that has been checked. All that is labelled belongs to it; a slice of air is left whole.
    pub(super) fn of(slice: &OverlaySlice<'_>) -> Self {
        let mut labelled: Option<[Range<usize>; 2]> = None;
        let mut in_row = vec![0_usize; slice.rows];
        for (index, (&hu, &label)) in slice.hu.iter().zip(slice.labels).enumerate() {
            let (row, col) = (index / slice.cols, index % slice.cols);
            in_row[row] += usize::from(hu > DENSE_HU);
            if label != 0 {
                let found = labelled.get_or_insert([row..row + 1, col..col + 1]);
                widen(&mut found[0], row);
                widen(&mut found[1], col);
            }
        }
        let [rows, cols] = labelled.map_or([None, None], |[rows, cols]| [Some(rows), Some(cols)]);
        let rows = span(&in_row, slice.cols, slice.row_mm, rows);
        // Only the body's rows: the table below it may be wider than the patient.
        let mut in_col = vec![0_usize; slice.cols];
        for line in slice
            .hu
            .chunks_exact(slice.cols)
            .skip(rows.start)
            .take(rows.len())
        {
            for (count, &hu) in in_col.iter_mut().zip(line) {
                *count += usize::from(hu > DENSE_HU);
            }
        }
        let cols = span(&in_col, rows.len(), slice.col_mm, cols);
        let pixels = || {
            rows.clone()
                .flat_map(|row| cols.clone().map(move |col| row * slice.cols + col))
        };
        Self {
            hu: pixels().map(|pixel| slice.hu[pixel]).collect(),
            labels: pixels().map(|pixel| slice.labels[pixel]).collect(),
            rows,
            cols,
        }
    }

    /// Its first row and column in the slice.
    pub(super) fn first(&self) -> [usize; 2] {
        [self.rows.start, self.cols.start]
    }

    /// The part of `slice` that holds the body.
    pub(super) fn slice(&self, slice: &OverlaySlice<'_>) -> OverlaySlice<'_> {
        OverlaySlice {
            hu: &self.hu,
            labels: &self.labels,
            rows: self.rows.len(),
            cols: self.cols.len(),
            row_mm: slice.row_mm,
            col_mm: slice.col_mm,
        }
    }
}

fn widen(range: &mut Range<usize>, index: usize) {
    range.start = range.start.min(index);
    range.end = range.end.max(index + 1);
}

/// The most lines in a row that are the body's, and those that must be shown, with a margin. What lies apart from the body, such
/// as the table, is left out.
fn span(dense: &[usize], across: usize, mm: f64, labelled: Option<Range<usize>>) -> Range<usize> {
    let least = (across as f64 * SHARE).ceil().max(1.0) as usize;
    let mut longest = 0..0;
    let mut run = 0..0;
    for (line, &count) in dense.iter().enumerate() {
        if count < least {
            continue;
        }
        let start = if run.end == line { run.start } else { line };
        run = start..line + 1;
        if run.len() > longest.len() {
            longest = run.clone();
        }
    }
    if longest.is_empty() {
        return 0..dense.len();
    }
    if let Some(labelled) = labelled {
        widen(&mut longest, labelled.start);
        widen(&mut longest, labelled.end - 1);
    }
    // The margin ends where something else begins.
    let margin = (MARGIN_MM / mm).round() as usize;
    let air = |count: &&usize| **count < least;
    let before = dense[..longest.start].iter().rev();
    let before = before.take(margin).take_while(air).count();
    let after = dense[longest.end..].iter();
    let after = after.take(margin).take_while(air).count();
    longest.start - before..longest.end + after
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIDE: usize = 100;

    fn body(hu: &[i16], labels: &[u8]) -> (Range<usize>, Range<usize>) {
        let slice = OverlaySlice {
            hu,
            labels,
            rows: SIDE,
            cols: SIDE,
            row_mm: 4.0,
            col_mm: 2.0,
        };
        let body = Body::of(&slice);
        assert_eq!(body.hu.len(), body.rows.len() * body.cols.len());
        (body.rows, body.cols)
    }

    #[test]
    fn air_the_table_and_specks_around_the_body_are_cut() {
        let mut hu = vec![-1000_i16; SIDE * SIDE];
        for row in 30..60 {
            hu[row * SIDE + 20..row * SIDE + 90].fill(40);
        }
        hu[3 * SIDE + 3] = 40;
        // The table is wider than the patient, and does not touch, but comes nearer than the margin.
        hu[61 * SIDE..63 * SIDE].fill(100);
        // 8 mm are two rows and four columns.
        assert_eq!(body(&hu, &vec![0; SIDE * SIDE]), (28..61, 16..94));
    }

    #[test]
    fn what_is_outlined_is_always_shown() {
        let mut labels = vec![0_u8; SIDE * SIDE];
        labels[5 * SIDE + 97] = 2;
        let mut hu = vec![-1000_i16; SIDE * SIDE];
        for row in 50..54 {
            hu[row * SIDE + 10..row * SIDE + 20].fill(0);
        }
        assert_eq!(body(&hu, &labels), (3..56, 6..100));
    }

    #[test]
    fn a_slice_of_air_is_left_whole() {
        let air = vec![-1000_i16; SIDE * SIDE];
        assert_eq!(body(&air, &vec![0; SIDE * SIDE]), (0..SIDE, 0..SIDE));
    }
}
