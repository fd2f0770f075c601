//! Which slices an epoch shows, and in which order: a function of (seed, epoch) alone.

use serde::{Deserialize, Serialize};

use super::TrainConfig;
use crate::closed_form::Stream;
use crate::data::{Prepared, Split};

/// How an epoch's slices are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Sample {
    /// Every training slice once, as in the paper.
    #[default]
    All,
    /// As many, but slices with tumour and slices with kidney alone come equally often.
    Balanced,
}

/// The slices of one epoch in their order. Folders with a repeat come that often; the number is the same in every epoch.
pub fn order(data: &Prepared, config: &TrainConfig, epoch: usize) -> Vec<u32> {
    let repeats = |index: u32| {
        let source = &data.sources()[data.meta(index).source as usize];
        config
            .repeat
            .iter()
            .find(|r| r.folder == *source)
            .map_or(1, |r| r.times)
    };
    let slices = data.split(Split::Train).iter();
    let mut order: Vec<u32> = slices
        .flat_map(|&i| std::iter::repeat_n(i, repeats(i)))
        .collect();
    let mut draw = Stream::new(&format!("{}/{epoch}/order", config.seed));
    if config.sample == Sample::Balanced {
        order = balanced(&order, |i| data.meta(i).counts, &mut draw);
    }
    draw.shuffle(&mut order);
    order
}

/// As many slices as `all` has: its background-only ones as they are, and of the others half with tumour and half with
/// kidney alone. A kind that is asked for more often than it has slices is taken whole as often as that goes, and the
/// rest of it at random.
fn balanced(all: &[u32], counts: impl Fn(u32) -> [u32; 3], draw: &mut Stream) -> Vec<u32> {
    let (mut chosen, labelled): (Vec<u32>, Vec<u32>) = all
        .iter()
        .partition(|&&i| counts(i)[1] == 0 && counts(i)[2] == 0);
    let (tumour, kidney): (Vec<u32>, Vec<u32>) = labelled.iter().partition(|&&i| counts(i)[2] > 0);
    if tumour.is_empty() || kidney.is_empty() {
        return all.to_vec();
    }
    let half = labelled.len() / 2;
    for (mut kind, wanted) in [(tumour, labelled.len() - half), (kidney, half)] {
        for _ in 0..wanted / kind.len() {
            chosen.extend(&kind);
        }
        let rest = wanted % kind.len();
        draw.shuffle(&mut kind);
        chosen.extend(&kind[..rest]);
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 4 with tumour, 20 with kidney alone, 6 with neither.
    fn counts(index: u32) -> [u32; 3] {
        match index {
            0..4 => [80, 10, 10],
            4..24 => [90, 10, 0],
            _ => [100, 0, 0],
        }
    }

    #[test]
    fn tumour_and_kidney_slices_come_equally_often() {
        let all: Vec<u32> = (0..30).collect();
        let chosen = balanced(&all, counts, &mut Stream::new("a"));
        let of = |kind: std::ops::Range<u32>| chosen.iter().filter(|i| kind.contains(i)).count();
        assert_eq!((of(0..4), of(4..24), of(24..30)), (12, 12, 6));
        // Tumour slices three times each; kidney slices at most once.
        for index in 0..30 {
            let times = chosen.iter().filter(|&&i| i == index).count();
            assert!(if index < 4 { times == 3 } else { times <= 1 }, "{index}");
        }
        assert_eq!(chosen, balanced(&all, counts, &mut Stream::new("a")));
        assert_ne!(chosen, balanced(&all, counts, &mut Stream::new("b")));
    }

    #[test]
    fn with_one_kind_only_nothing_is_to_be_balanced() {
        let kidneys: Vec<u32> = (4..30).collect();
        let chosen = balanced(&kidneys, counts, &mut Stream::new("a"));
        assert_eq!(chosen, kidneys);
    }
}
