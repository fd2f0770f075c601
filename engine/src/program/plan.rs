//! What a checked program promises: every value's shape at every input size, and when each may be freed.

use super::{FitError, MAX_SIDE, MAX_VALUE_BYTES, MAX_WORK, Program, ValueId};

/// Rows or columns of a value as a function of the input's.
///
/// An input of `n` tiles of [`Program::multiple`] pixels gives `per_tile * n + offset` pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    pub(super) per_tile: i64,
    pub(super) offset: i64,
}

impl Extent {
    /// Pixels for an input of `tiles` tiles; right for sides up to [`MAX_SIDE`].
    pub const fn at(self, tiles: usize) -> usize {
        (self.per_tile * tiles as i64 + self.offset) as usize
    }
}

impl std::fmt::Display for Extent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}n", self.per_tile)?;
        if self.offset == 0 {
            Ok(())
        } else {
            write!(f, "{:+}", self.offset)
        }
    }
}

/// Shape of a value: `[channels, extent, extent]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValueShape {
    /// Channels.
    pub channels: usize,
    /// Rows and columns, each by its own number of tiles.
    pub extent: Extent,
}

/// The result of [`Program::check`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub(super) multiple: usize,
    pub(super) shapes: Vec<ValueShape>,
    pub(super) frees: Vec<Vec<ValueId>>,
    pub(super) outputs: Vec<ValueId>,
    /// Multiplications for each pixel that an operation makes, by operation.
    pub(super) work: Vec<u64>,
    pub(super) weight_bytes: u64,
}

impl Plan {
    /// Shape of a value of the checked program.
    ///
    /// # Panics
    ///
    /// If the value is not one of that program.
    pub fn shape(&self, value: ValueId) -> ValueShape {
        self.shapes[value.index()]
    }

    /// Rows of a value for an input of `input` rows, or columns for columns; `input` is one that the program accepts.
    pub fn pixels(&self, value: ValueId, input: usize) -> usize {
        self.shape(value).extent.at(input / self.multiple)
    }

    /// How many values there are, the input included: one more than operations.
    pub fn values(&self) -> usize {
        self.shapes.len()
    }

    /// The values nothing reads after operation number `op`. The logits are never among them.
    ///
    /// # Panics
    ///
    /// If the program has no such operation.
    pub fn frees(&self, op: usize) -> &[ValueId] {
        &self.frees[op]
    }

    /// Whether the program accepts images of this size: positive multiples of [`Program::multiple`] up to [`MAX_SIDE`].
    pub const fn accepts(&self, rows: usize, cols: usize) -> bool {
        rows > 0
            && cols > 0
            && rows <= MAX_SIDE
            && cols <= MAX_SIDE
            && rows.is_multiple_of(self.multiple)
            && cols.is_multiple_of(self.multiple)
    }

    /// Refuses images that the program does not take, or that would take more memory or work than any network here needs.
    ///
    /// What this lets pass, executors may plan for; nothing has been allocated by then.
    pub fn fits(&self, rows: usize, cols: usize) -> Result<(), FitError> {
        if !self.accepts(rows, cols) {
            let multiple = self.multiple;
            return Err(FitError::Size {
                rows,
                cols,
                multiple,
            });
        }
        let bytes = self.peak_value_bytes(rows, cols);
        if bytes > MAX_VALUE_BYTES {
            return Err(FitError::Values { bytes });
        }
        let multiplications = self.work(rows, cols);
        if multiplications > MAX_WORK {
            return Err(FitError::Work { multiplications });
        }
        Ok(())
    }

    /// Multiplications for one image of this size, as many as the most wasteful kernels do: channels of convolutions are filled up to
    /// multiples of 16, and what only passes numbers on counts as 16 for each.
    ///
    /// Saturates instead of overflowing. 0 for a size the program does not accept.
    pub fn work(&self, rows: usize, cols: usize) -> u64 {
        if !self.accepts(rows, cols) {
            return 0;
        }
        let each = self.outputs.iter().zip(&self.work).map(|(output, each)| {
            let pixels = |n: usize| self.pixels(*output, n) as u64;
            pixels(rows)
                .saturating_mul(pixels(cols))
                .saturating_mul(*each)
        });
        each.fold(0, u64::saturating_add)
    }

    /// Bytes of the weights as `f32`.
    pub const fn weight_bytes(&self) -> u64 {
        self.weight_bytes
    }

    /// Largest total of live values while one image of this size runs, in bytes of `f32`, with values freed as soon as
    /// the plan allows. The executor's own working space comes on top.
    ///
    /// Saturates instead of overflowing. 0 for a size the program does not accept.
    pub fn peak_value_bytes(&self, rows: usize, cols: usize) -> u64 {
        if !self.accepts(rows, cols) {
            return 0;
        }
        let bytes = |value: ValueId| -> u64 {
            let shape = self.shape(value);
            let pixels = |n: usize| self.pixels(value, n) as u64;
            pixels(rows)
                .saturating_mul(pixels(cols))
                .saturating_mul(shape.channels as u64)
                .saturating_mul(4)
        };
        let mut live = bytes(ValueId::INPUT);
        let mut peak = live;
        for (output, frees) in self.outputs.iter().zip(&self.frees) {
            live = live.saturating_add(bytes(*output));
            peak = peak.max(live);
            live = frees
                .iter()
                .fold(live, |live, value| live.saturating_sub(bytes(*value)));
        }
        peak
    }
}

/// For each operation, the values that die with it.
pub(super) fn frees(program: &Program) -> Vec<Vec<ValueId>> {
    // A value nobody reads dies where it is defined.
    let mut last_use = vec![0; program.ops.len() + 1];
    for (index, op) in program.ops.iter().enumerate() {
        last_use[op.output().index()] = index;
        for input in op.inputs() {
            last_use[input.index()] = index;
        }
    }
    let mut frees = vec![Vec::new(); program.ops.len()];
    for (value, index) in last_use.into_iter().enumerate() {
        let value = ValueId(value as u32);
        if value != program.output {
            frees[index].push(value);
        }
    }
    frees
}
