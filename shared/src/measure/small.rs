//! Taking small components out of a label map.

use alloc::{vec, vec::Vec};

use super::components::{Placed, all_runs, components};
use super::{LabelMap, MeasureError, Placement, Structure, Tissue};
use crate::class::Class;

impl LabelMap {
    /// The map without components smaller than `smallest`, in voxels; 0 and 1 take nothing away.
    ///
    /// A tumour below `smallest.tumour` becomes kidney where it hangs together with kidney, and background elsewhere. A
    /// kidney with its tumour below `smallest.kidney` becomes background. Both are counted before anything is changed. Components are those of
    /// [`measure`](super::measure()): voxels that are among each other's 26 neighbours, in a map of one slice 8.
    pub fn without_small(&self, smallest: Tissue<u64>) -> Result<Self, MeasureError> {
        let runs = all_runs(self)?;
        let tumours: Vec<Placed> = runs
            .iter()
            .filter(|placed| placed.run.class == Class::Tumour)
            .copied()
            .collect();
        // Sides do not matter here.
        let find = |runs: &[Placed], structure| {
            components(self, runs, structure, |_| (Placement::Divided, false), 0)
        };
        let (whole_of, wholes) = find(&runs, Structure::KidneyAndTumour);
        let (tumour_of, tumours) = find(&tumours, Structure::Tumour);

        let mut cleaned = Self::new(self.rows(), self.cols())?;
        let mut labels = vec![0; self.rows() * self.cols()];
        let mut placed = runs.iter().zip(whole_of).peekable();
        let mut tumour_of = tumour_of.into_iter();
        for slice in 0..self.slices() {
            labels.fill(Class::Background.label());
            while let Some((&Placed { run, .. }, whole)) =
                placed.next_if(|(placed, _)| placed.slice == slice)
            {
                let whole = wholes[whole].voxels;
                let of = (run.class == Class::Tumour)
                    .then(|| tumour_of.next())
                    .flatten();
                let small_tumour = of.is_some_and(|id| tumours[id].voxels.tumour < smallest.tumour);
                let class = if whole.sum() < smallest.kidney {
                    Class::Background
                } else if !small_tumour {
                    run.class
                } else if whole.kidney > 0 {
                    Class::Kidney
                } else {
                    Class::Background
                };
                let row = usize::from(run.row) * self.cols();
                labels[row + usize::from(run.start)..row + usize::from(run.end)]
                    .fill(class.label());
            }
            cleaned.set(slice, &labels)?;
        }
        Ok(cleaned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kidney with a tumour of one voxel, a lonely tumour of two, a lonely kidney voxel.
    const ROWS: [&str; 4] = ["11100000", "12100022", "11100000", "00000001"];

    fn without(kidney: u64, tumour: u64) -> Vec<u8> {
        let labels: Vec<u8> = ROWS.concat().bytes().map(|b| b - b'0').collect();
        let mut map = LabelMap::new(4, 8).unwrap();
        map.push(&labels).unwrap();
        let map = map.without_small(Tissue { kidney, tumour }).unwrap();
        let mut out = vec![9; 32];
        map.read(0, &mut out).unwrap();
        out
    }

    fn rows(rows: [&str; 4]) -> Vec<u8> {
        rows.concat().bytes().map(|b| b - b'0').collect()
    }

    #[test]
    fn small_tumours_become_what_they_lie_in_and_small_kidneys_vanish() {
        assert_eq!(without(0, 0), rows(ROWS));
        assert_eq!(without(1, 1), rows(ROWS));
        assert_eq!(
            without(0, 2),
            rows(["11100000", "11100022", "11100000", "00000001"])
        );
        assert_eq!(
            without(0, 3),
            rows(["11100000", "11100000", "11100000", "00000001"])
        );
        assert_eq!(
            without(2, 0),
            rows(["11100000", "12100022", "11100000", "00000000"])
        );
        assert_eq!(without(10, 0), rows(["00000000"; 4]));
    }

    #[test]
    fn components_reach_from_slice_to_slice_but_not_over_a_gap() {
        let [full, empty] = [[1_u8, 0, 0, 0], [0; 4]];
        let mut map = LabelMap::new(2, 2).unwrap();
        for labels in [full, full, empty, full] {
            map.push(&labels).unwrap();
        }
        let smallest = Tissue {
            kidney: 2,
            tumour: 0,
        };
        let map = map.without_small(smallest).unwrap();
        assert_eq!(map.count(Class::Kidney), 2);
        assert!(map.runs(3).unwrap().is_empty());
    }
}
