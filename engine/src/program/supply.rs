//! Tensors on their way into another form.

use super::{Tensor, TensorId, Tensors};

/// Tensors that are handed out one use after another, and each given away at its last: what they become need not stand beside them.
pub(crate) struct Supply {
    tensors: Vec<Option<Tensor>>,
    uses: Vec<usize>,
}

impl Supply {
    /// Takes tensors with all their uses. Those without a use are dropped at once.
    pub(crate) fn new(tensors: Tensors, uses: impl IntoIterator<Item = TensorId>) -> Self {
        let mut counts = vec![0; tensors.len()];
        for id in uses {
            counts[id.index()] += 1;
        }
        let keep = |(tensor, &uses): (Tensor, &usize)| (uses > 0).then_some(tensor);
        Self {
            tensors: tensors.into_iter().zip(&counts).map(keep).collect(),
            uses: counts,
        }
    }

    /// A tensor that will still be used.
    ///
    /// # Panics
    ///
    /// If it has been given away.
    pub(crate) fn get(&self, id: TensorId) -> &Tensor {
        let tensor = self.tensors[id.index()].as_ref();
        tensor.expect("not given away before its last use")
    }

    /// A tensor for one of its uses.
    ///
    /// # Panics
    ///
    /// If it is taken more often than it is used.
    pub(crate) fn take(&mut self, id: TensorId) -> Tensor {
        let (slot, uses) = (&mut self.tensors[id.index()], &mut self.uses[id.index()]);
        *uses = uses.saturating_sub(1);
        let tensor = if *uses == 0 {
            slot.take()
        } else {
            slot.clone()
        };
        tensor.expect("taken as often as it is used")
    }

    /// Counts a use for which the tensor is not needed after all.
    pub(crate) fn skip(&mut self, id: TensorId) {
        let uses = &mut self.uses[id.index()];
        *uses = uses.saturating_sub(1);
        if *uses == 0 {
            self.tensors[id.index()] = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tensor_is_there_for_each_of_its_uses_and_then_gone() {
        let mut tensors = Tensors::default();
        let [twice, never, once] =
            [1.0, 2.0, 3.0].map(|x| tensors.push(Tensor::f32("t", vec![1], vec![x]).unwrap()));
        let mut supply = Supply::new(tensors, [twice, once, twice]);
        assert!(supply.tensors[never.index()].is_none());
        assert_eq!(supply.take(twice).into_f32(), [1.0]);
        assert_eq!(supply.get(twice).to_f32(), [1.0]);
        supply.skip(twice);
        assert_eq!(supply.take(once).into_f32(), [3.0]);
        assert!(supply.tensors.iter().all(Option::is_none));
    }
}
