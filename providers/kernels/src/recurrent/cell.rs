//! What one step of one sequence computes once the products are there, a vector at a time.

use remuda_simd::{Kernel, Simd};

use super::{Direction, Function, Layer};

/// The kinds of recurrent layers; gates are in the order of ONNX.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    /// `h = f(x W + h R + b)`.
    Rnn,
    /// An update gate, a reset gate and the new state.
    Gru {
        /// Whether the reset gate scales the product with the state instead of the state.
        linear_before_reset: bool,
    },
    /// Input, output and forget gates around a cell.
    Lstm {
        /// Whether the forget gate is one minus the input gate.
        coupled: bool,
    },
}

impl Cell {
    /// How many gates the weights have.
    #[must_use]
    pub fn gates(self) -> usize {
        match self {
            Self::Rnn => 1,
            Self::Gru { .. } => 3,
            Self::Lstm { .. } => 4,
        }
    }

    /// The gates, from the first, that see the state as it is.
    pub(super) fn direct_gates(self) -> usize {
        match self {
            Self::Gru { linear_before_reset: false } => 2,
            _ => self.gates(),
        }
    }

    /// The gates, from the first, whose two biases are simply added.
    pub(super) fn early_biases(self) -> usize {
        match self {
            Self::Gru { linear_before_reset: true } => 2,
            _ => self.gates(),
        }
    }
}

/// What the steps of a direction have in common.
#[derive(Clone, Copy)]
pub(super) struct Rules<'a> {
    cell: Cell,
    functions: [Function; 3],
    clip: f32,
    peepholes: Option<&'a [f32]>,
    /// The bias that a reset gate scales.
    late_bias: Option<&'a [f32]>,
}

impl<'a> Rules<'a> {
    pub(super) fn new(layer: &Layer<'_>, direction: &Direction<'a>) -> Self {
        let (cell, hidden) = (layer.cell, layer.sizes.hidden);
        let late = (cell.gates() + cell.early_biases()) * hidden;
        let late_bias = direction.bias.filter(|_| cell.early_biases() < cell.gates());
        Self {
            cell,
            functions: direction.functions,
            clip: layer.clip,
            peepholes: direction.peepholes,
            late_bias: late_bias.map(|bias| &bias[late..]),
        }
    }

    /// An activation after clipping.
    #[inline(always)]
    fn activate<S: Simd>(&self, s: S, which: usize, x: S::F32) -> S::F32 {
        let cut = s.max(s.splat(-self.clip), s.min(s.splat(self.clip), x));
        self.functions[which].of(s, cut)
    }

    /// What a gate sees of the cell, added to its sum.
    #[inline(always)]
    fn peep<S: Simd>(&self, s: S, row: Row, gate: usize, cell: S::F32, sum: S::F32) -> S::F32 {
        match self.peepholes {
            Some(weights) => s.mul_add(row.load(s, weights, gate), cell, sum),
            None => sum,
        }
    }
}

/// One vector of a row of gates, each `hidden` long.
#[derive(Clone, Copy)]
struct Row {
    hidden: usize,
    at: usize,
}

impl Row {
    #[inline(always)]
    fn range<S: Simd>(self, gate: usize) -> (std::ops::Range<usize>, bool) {
        let count = S::LANES.min(self.hidden - self.at);
        let start = gate * self.hidden + self.at;
        (start..start + count, count == S::LANES)
    }

    #[inline(always)]
    fn load<S: Simd>(self, s: S, values: &[f32], gate: usize) -> S::F32 {
        let (range, whole) = self.range::<S>(gate);
        if whole { s.load(&values[range]) } else { s.load_partial(&values[range], 0.0) }
    }

    #[inline(always)]
    fn store<S: Simd>(self, s: S, value: S::F32, values: &mut [f32], gate: usize) {
        let (range, whole) = self.range::<S>(gate);
        if whole {
            s.store(value, &mut values[range]);
        } else {
            s.store_partial(value, &mut values[range]);
        }
    }

    /// What data and state give to a gate.
    #[inline(always)]
    fn sum<S: Simd>(self, s: S, data: &[f32], sums: &[f32], gate: usize) -> S::F32 {
        s.add(self.load(s, data, gate), self.load(s, sums, gate))
    }
}

fn rows<S: Simd>(hidden: usize) -> impl Iterator<Item = Row> {
    (0..hidden).step_by(S::LANES).map(move |at| Row { hidden, at })
}

/// A step of an RNN.
pub(super) struct RnnStep<'a> {
    pub(super) rules: Rules<'a>,
    pub(super) data: &'a [f32],
    pub(super) sums: &'a [f32],
    pub(super) state: &'a mut [f32],
}

impl Kernel for RnnStep<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { rules, data, sums, state } = self;
        for row in rows::<S>(state.len()) {
            let value = rules.activate(s, 0, row.sum(s, data, sums, 0));
            row.store(s, value, state, 0);
        }
    }
}

/// The gates of a GRU: `sums` becomes the update gate and what the reset gate leaves, of the state or
/// of the product with it.
pub(super) struct GruGates<'a> {
    pub(super) rules: Rules<'a>,
    pub(super) data: &'a [f32],
    pub(super) state: &'a [f32],
    pub(super) sums: &'a mut [f32],
}

impl Kernel for GruGates<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        const UPDATE: usize = 0;
        const RESET: usize = 1;
        const NEW: usize = 2;
        let Self { rules, data, state, sums } = self;
        let linear = rules.cell == Cell::Gru { linear_before_reset: true };
        for row in rows::<S>(state.len()) {
            let update = rules.activate(s, 0, row.sum(s, data, sums, UPDATE));
            let reset = rules.activate(s, 0, row.sum(s, data, sums, RESET));
            let scaled = match rules.late_bias {
                _ if !linear => row.load(s, state, 0),
                Some(bias) => s.add(row.load(s, sums, NEW), row.load(s, bias, 0)),
                None => row.load(s, sums, NEW),
            };
            row.store(s, update, sums, UPDATE);
            row.store(s, s.mul(reset, scaled), sums, RESET);
        }
    }
}

/// The rest of a step of a GRU.
pub(super) struct GruStep<'a> {
    pub(super) rules: Rules<'a>,
    pub(super) data: &'a [f32],
    /// The update gate.
    pub(super) update: &'a [f32],
    /// What the state gives to the new one.
    pub(super) new: &'a [f32],
    pub(super) state: &'a mut [f32],
}

impl Kernel for GruStep<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { rules, data, update, new, state } = self;
        for row in rows::<S>(state.len()) {
            let sum = s.add(row.load(s, data, 2), row.load(s, new, 0));
            let new = rules.activate(s, 1, sum);
            let (update, old) = (row.load(s, update, 0), row.load(s, state, 0));
            let kept = s.mul(update, old);
            let mixed = s.mul_add(s.sub(s.splat(1.0), update), new, kept);
            row.store(s, mixed, state, 0);
        }
    }
}

/// A step of an LSTM.
pub(super) struct LstmStep<'a> {
    pub(super) rules: Rules<'a>,
    pub(super) data: &'a [f32],
    pub(super) sums: &'a [f32],
    pub(super) cell: &'a mut [f32],
    pub(super) state: &'a mut [f32],
}

impl Kernel for LstmStep<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        const INPUT: usize = 0;
        const OUTPUT: usize = 1;
        const FORGET: usize = 2;
        const CELL: usize = 3;
        let Self { rules, data, sums, cell, state } = self;
        let coupled = rules.cell == Cell::Lstm { coupled: true };
        for row in rows::<S>(state.len()) {
            let old = row.load(s, cell, 0);
            let input = rules.peep(s, row, INPUT, old, row.sum(s, data, sums, INPUT));
            let input = rules.activate(s, 0, input);
            let forget = if coupled {
                s.sub(s.splat(1.0), input)
            } else {
                let sum = row.sum(s, data, sums, FORGET);
                rules.activate(s, 0, rules.peep(s, row, FORGET, old, sum))
            };
            let new = rules.activate(s, 1, row.sum(s, data, sums, CELL));
            let new = s.mul_add(forget, old, s.mul(input, new));
            let output = rules.peep(s, row, OUTPUT, new, row.sum(s, data, sums, OUTPUT));
            let output = rules.activate(s, 0, output);
            row.store(s, s.mul(output, rules.activate(s, 2, new)), state, 0);
            row.store(s, new, cell, 0);
        }
    }
}
