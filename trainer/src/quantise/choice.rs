//! Which slices a network is calibrated on.

use crate::data::{Prepared, Split, rank};

/// Slices of training patients, the same number with tumour, with kidney only, and with neither, as far as there are so many.
///
/// Chosen by a hash of the seed and the slice's name, so that the choice depends on nothing else. Half of each class are to
/// calibrate on, the other half to compare settings with.
pub(super) fn choose(data: &Prepared, count: usize, seed: u64) -> [Vec<u32>; 2] {
    let mut classes: [Vec<u32>; 3] = Default::default();
    for &index in data.split(Split::Train) {
        let [_, kidney, tumour] = data.meta(index).counts;
        let class = if tumour > 0 {
            0
        } else {
            usize::from(kidney == 0) + 1
        };
        classes[class].push(index);
    }
    for class in &mut classes {
        class.sort_by_cached_key(|&index| {
            let meta = data.meta(index);
            rank(
                "nephrobox calibration slices",
                seed,
                &data.name(index),
                [meta.source, meta.slice],
            )
        });
    }
    let mut halves = [Vec::new(), Vec::new()];
    let mut round = 0;
    while halves.iter().map(Vec::len).sum::<usize>() < count {
        let before = halves.iter().map(Vec::len).sum::<usize>();
        for class in &classes {
            if let Some(&index) = class.get(round)
                && halves.iter().map(Vec::len).sum::<usize>() < count
            {
                halves[round % 2].push(index);
            }
        }
        if halves.iter().map(Vec::len).sum::<usize>() == before {
            break;
        }
        round += 1;
    }
    halves
}
