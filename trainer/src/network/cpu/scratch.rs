//! Working memory that stays with its thread: fresh memory of this size would come from the kernel page
//! by page, zeroed, at every step.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

thread_local! {
    static FREE: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// Values with unspecified content; given back to the thread when dropped.
pub(super) struct Scratch {
    values: Vec<f32>,
    len: usize,
}

/// Working memory of `len` values of unspecified content.
pub(super) fn scratch(len: usize) -> Scratch {
    let mut values = FREE.with_borrow_mut(Vec::pop).unwrap_or_default();
    if values.len() < len {
        values = vec![0.0; len];
    }
    Scratch { values, len }
}

impl Deref for Scratch {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.values[..self.len]
    }
}

impl DerefMut for Scratch {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.values[..self.len]
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let values = std::mem::take(&mut self.values);
        FREE.with_borrow_mut(|free| free.push(values));
    }
}
