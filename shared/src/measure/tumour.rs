//! How large each tumour is, and how it lies in its kidney.

use alloc::{vec, vec::Vec};

use super::{
    InPlane, Placement, Renal, Segment, Spacing,
    components::{Labelled, Placed, connect},
    diameter::{in_plane, in_space, outline},
    renal::{Host, renal},
};

/// A tumour component's diameters, and the parts of its R.E.N.A.L. score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tumour {
    /// The largest diameter in any slice, within one piece of it there (8 neighbours), and its perpendicular.
    pub in_plane: InPlane,
    /// The largest diameter in space.
    pub in_space: Segment,
    /// Parts of the score.
    pub renal: Renal,
    /// Whether it hangs together with kidney. Otherwise the score speaks of the largest kidney of its side.
    pub touches_kidney: bool,
}

/// One for each tumour component, in their order.
pub(super) fn tumours(labelled: &Labelled, spacing: Spacing) -> Vec<Tumour> {
    let wholes = &labelled.kidney_and_tumour;
    // Those of one kidney share it, and a ragged label map has hundreds of specks.
    let mut hosts: Vec<Option<Host>> = vec![None; wholes.len()];
    let mut tumours = Vec::with_capacity(labelled.tumour.len());
    for (component, runs) in labelled.tumour.iter().zip(&labelled.tumour_runs) {
        let Some(first) = runs.first() else { continue };
        let own = first.whole;
        let touches_kidney = wholes[own].voxels.kidney > 0;
        let host = if touches_kidney {
            Some(own)
        } else {
            largest_kidney(labelled, component.placement)
        };
        let host = host
            .map(|whole| &*hosts[whole].get_or_insert_with(|| Host::new(&labelled.runs, whole)));
        if let Some((in_plane, in_space)) = diameters(runs, spacing) {
            tumours.push(Tumour {
                in_plane,
                in_space,
                renal: renal(runs, in_space.length_mm, host),
                touches_kidney,
            });
        }
    }
    tumours
}

/// The kidney with most voxels of kidney on a side.
fn largest_kidney(labelled: &Labelled, placement: Placement) -> Option<usize> {
    let kidneys = labelled.kidney_and_tumour.iter().enumerate().rev();
    kidneys
        .filter(|(_, whole)| whole.placement == placement && whole.voxels.kidney > 0)
        .max_by_key(|(_, whole)| whole.voxels.kidney)
        .map(|(index, _)| index)
}

/// Both largest diameters; of equal ones in several slices that nearest the head.
fn diameters(runs: &[Placed], spacing: Spacing) -> Option<(InPlane, Segment)> {
    let mut best: Option<InPlane> = None;
    for same_slice in runs.chunk_by(|a, b| a.slice == b.slice) {
        for piece in pieces(same_slice) {
            let found = in_plane(&outline(piece), same_slice[0].slice, spacing);
            if let Some(found) = found
                && best.is_none_or(|best| found.diameter.length_mm > best.diameter.length_mm)
            {
                best = Some(found);
            }
        }
    }
    Some((best?, in_space(runs, spacing)?))
}

/// The runs of one slice, by what hangs together there.
fn pieces(same_slice: &[Placed]) -> Vec<Vec<super::Run>> {
    let roots = connect(same_slice);
    let mut piece_of = vec![0; roots.len()];
    let mut pieces: Vec<Vec<super::Run>> = Vec::new();
    for (index, (&root, placed)) in roots.iter().zip(same_slice).enumerate() {
        if root == index {
            piece_of[index] = pieces.len();
            pieces.push(Vec::new());
        }
        piece_of[index] = piece_of[root];
        pieces[piece_of[index]].push(placed.run);
    }
    pieces
}
