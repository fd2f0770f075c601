//! Where values lie in one piece of memory, planned before anything runs.

/// Values begin at multiples of this many bytes: the widest vector register and a cache line.
pub(crate) const ALIGNMENT: usize = 64;

/// A value that needs memory from one step to another, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// Bytes it needs.
    pub(crate) bytes: usize,
    /// Step that writes it.
    pub(crate) first: usize,
    /// Last step that reads it.
    pub(crate) last: usize,
}

impl Request {
    const fn meets(&self, other: &Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// Where each requested value begins, and how many bytes they need together.
///
/// Values that are alive at the same time never overlap. The largest are placed first, each in the lowest gap it fits: not always
/// the least memory possible, but for networks of this kind within a few per cent of what is alive at the worst moment.
pub(crate) fn place(requests: &[Request]) -> (Vec<usize>, usize) {
    let mut order: Vec<usize> = (0..requests.len()).collect();
    order.sort_by_key(|&i| (std::cmp::Reverse(requests[i].bytes), i));
    let mut starts = vec![0; requests.len()];
    let mut placed: Vec<usize> = Vec::with_capacity(requests.len());
    let mut total = 0;
    for index in order {
        let wanted = requests[index];
        let mut taken: Vec<[usize; 2]> = placed
            .iter()
            .filter(|&&other| requests[other].meets(&wanted))
            .map(|&other| [starts[other], starts[other] + requests[other].bytes])
            .collect();
        taken.sort_unstable();
        let mut start: usize = 0;
        for [from, to] in taken {
            if start + wanted.bytes <= from {
                break;
            }
            start = start.max(to.next_multiple_of(ALIGNMENT));
        }
        starts[index] = start;
        total = total.max(start + wanted.bytes);
        placed.push(index);
    }
    (starts, total.next_multiple_of(ALIGNMENT))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn values_alive_together_never_overlap(
            drawn in prop::collection::vec((0_usize..500, 0_usize..20, 0_usize..6), 0..40),
        ) {
            let requests: Vec<Request> =
                drawn.iter().map(|&(bytes, first, length)| Request { bytes, first, last: first + length }).collect();
            let (starts, total) = place(&requests);
            for (i, a) in requests.iter().enumerate() {
                prop_assert_eq!(starts[i] % ALIGNMENT, 0);
                prop_assert!(starts[i] + a.bytes <= total);
                for (j, b) in requests.iter().enumerate().take(i) {
                    let apart = starts[i] + a.bytes <= starts[j] || starts[j] + b.bytes <= starts[i];
                    prop_assert!(apart || !a.meets(b) || a.bytes == 0 || b.bytes == 0);
                }
            }
        }
    }

    #[test]
    fn a_chain_needs_no_more_than_its_two_largest_neighbours() {
        let request = |bytes, step| Request {
            bytes,
            first: step,
            last: step + 1,
        };
        let requests = [
            request(64, 0),
            request(256, 1),
            request(128, 2),
            request(64, 3),
        ];
        assert_eq!(place(&requests).1, 256 + 128);
    }
}
