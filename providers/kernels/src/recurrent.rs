//! Recurrent layers of f32: RNN, GRU and LSTM over whole sequences.
//!
//! What the data contribute to the gates does not depend on the state, so it is one product over
//! many steps; what is left for each step is a product with the state (`[batch, hidden]`) and the
//! cell itself (`cell`), which is computed in vectors. Both weights are packed once.

mod cell;
mod function;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use crate::gemm::{Epilogue, GemmError, Matrix, Offsets, PackedB, Product, Rhs};
use crate::scratch::with_scratch;
use crate::{Context, Schedule};

pub use cell::Cell;
use cell::{GruGates, GruStep, LstmStep, RnnStep, Rules};
pub use function::Function;

/// Floats of gates that are computed ahead of their steps.
const AHEAD: usize = 1 << 18;

/// The sizes of a layer.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// Steps of the longest sequence.
    pub length: usize,
    /// Sequences.
    pub batch: usize,
    /// Features of the data.
    pub input: usize,
    /// Features of the state.
    pub hidden: usize,
    /// Whether data and results have the batch before the steps.
    pub batch_first: bool,
}

/// The weights of one direction, packed.
#[derive(Debug)]
pub struct PackedWeights {
    data: PackedB,
    state: PackedB,
    /// The recurrent weights of a gate whose state is scaled by another gate first.
    scaled: Option<PackedB>,
}

impl PackedWeights {
    /// Packs `data`, `[gates * hidden, input]`, and `state`, `[gates * hidden, hidden]`.
    ///
    /// # Errors
    /// When a slice is too short.
    pub fn new(
        cell: Cell,
        data: &[f32],
        state: &[f32],
        [input, hidden]: [usize; 2],
    ) -> Result<Self, GemmError> {
        let rows = cell.gates() * hidden;
        let direct = cell.direct_gates() * hidden;
        let pack = |weights: &[f32], rows: usize, columns: usize| {
            Ok(PackedB::new(&Matrix::new(weights, rows, columns)?.transposed()))
        };
        let scaled = (direct < rows).then(|| {
            let rest = state.get(direct * hidden..).unwrap_or_default();
            pack(rest, rows - direct, hidden)
        });
        Ok(Self {
            data: pack(data, rows, input)?,
            state: pack(state, direct, hidden)?,
            scaled: scaled.transpose()?,
        })
    }
}

/// One direction of a layer.
#[derive(Debug, Clone, Copy)]
pub struct Direction<'a> {
    /// The weights.
    pub weights: &'a PackedWeights,
    /// Biases of the data and of the state, `2 * gates * hidden`.
    pub bias: Option<&'a [f32]>,
    /// What the gates of an LSTM see of its cell, `3 * hidden`.
    pub peepholes: Option<&'a [f32]>,
    /// The activations, in the order of ONNX; a cell of fewer ignores the rest.
    pub functions: [Function; 3],
    /// Whether it runs from the last step to the first.
    pub backward: bool,
}

/// A layer.
#[derive(Debug, Clone, Copy)]
pub struct Layer<'a> {
    /// What a step computes.
    pub cell: Cell,
    /// The sizes.
    pub sizes: Sizes,
    /// Arguments of activations are cut to this and its negative.
    pub clip: f32,
    /// Steps of each sequence, at most the layer's length; all have its length if left out.
    pub lengths: Option<&'a [usize]>,
}

/// The state, which a run changes, and the results.
#[derive(Debug)]
pub struct Outputs<'a> {
    /// The state after every step, `[length, directions, batch, hidden]` or, with the batch first,
    /// `[batch, length, directions, hidden]`; zero past the end of a sequence.
    pub y: &'a mut [f32],
    /// `[directions, batch, hidden]`.
    pub hidden: &'a mut [f32],
    /// `[directions, batch, hidden]` for an LSTM, else empty.
    pub cell: &'a mut [f32],
}

impl Layer<'_> {
    /// Runs all directions over `x`, `[length, batch, input]` or, with the batch first, `[batch,
    /// length, input]`.
    ///
    /// # Errors
    /// When the data or the biases are too short for the sizes.
    ///
    /// # Panics
    /// When a slice of `out`, the lengths or the peepholes do not have the layer's sizes.
    pub fn run(
        &self,
        context: Context<'_>,
        x: &[f32],
        directions: &[Direction<'_>],
        out: Outputs<'_>,
    ) -> Result<(), GemmError> {
        let Sizes { length, batch, hidden, .. } = self.sizes;
        let (state, count) = (batch * hidden, directions.len());
        assert_eq!(out.y.len(), count * length * state, "as many results as steps");
        assert_eq!(out.hidden.len(), count * state, "a state for every direction");
        if state == 0 {
            return Ok(());
        }
        let mut cells = out.cell.chunks_exact_mut(state);
        let states = out.hidden.chunks_exact_mut(state);
        let mut states = states.map(|hidden| (hidden, cells.next().unwrap_or_default()));
        let pass = |direction, (hidden, cell), y| {
            Pass { layer: self, context, x, direction, y, hidden, cell }.run()
        };
        if let [direction] = directions {
            if self.lengths.is_some() {
                out.y.fill(0.0);
            }
            return states.next().map_or(Ok(()), |state| pass(direction, state, out.y));
        }
        let mut histories = vec![0.0; out.y.len()];
        let jobs = directions.iter().zip(states).zip(histories.chunks_mut((length * state).max(1)));
        let jobs: Vec<_> = jobs.map(|job| Mutex::new((Some(job), Ok(())))).collect();
        context.pool.parallel_for(jobs.len(), Schedule::Static, |index| {
            let mut job = jobs[index].lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(((direction, state), y)) = job.0.take() {
                job.1 = pass(direction, state, y);
            }
        });
        let mut results =
            jobs.into_iter().map(|job| job.into_inner().unwrap_or_else(PoisonError::into_inner).1);
        results.try_for_each(|result| result)?;
        self.interleave(&histories, count, out.y);
        Ok(())
    }

    /// Puts the results of all directions side by side.
    fn interleave(&self, histories: &[f32], count: usize, y: &mut [f32]) {
        let Sizes { length, batch, hidden, batch_first, .. } = self.sizes;
        let unit = if batch_first { hidden } else { batch * hidden };
        let history = length * batch * hidden;
        for (index, out) in y.chunks_exact_mut(unit).enumerate() {
            let start = index % count * history + index / count * unit;
            out.copy_from_slice(&histories[start..start + unit]);
        }
    }

    /// How many steps are prepared together.
    fn steps_ahead(&self) -> usize {
        let Sizes { length, batch, hidden, .. } = self.sizes;
        (AHEAD / (batch * hidden * self.cell.gates())).clamp(1, length.max(1))
    }

    fn is_active(&self, sequence: usize, step: usize) -> bool {
        self.lengths.is_none_or(|lengths| step < lengths[sequence])
    }
}

/// One direction of a layer on its way over the sequences.
struct Pass<'a> {
    layer: &'a Layer<'a>,
    context: Context<'a>,
    x: &'a [f32],
    direction: &'a Direction<'a>,
    y: &'a mut [f32],
    hidden: &'a mut [f32],
    cell: &'a mut [f32],
}

impl Pass<'_> {
    fn run(mut self) -> Result<(), GemmError> {
        let layer = self.layer;
        let Sizes { length, batch, hidden, .. } = layer.sizes;
        let width = layer.cell.gates() * hidden;
        let ahead = layer.steps_ahead();
        let bias = self.data_bias(width)?;
        let blocks = length.div_ceil(ahead);
        with_scratch(batch * (ahead + 1) * width, |scratch| {
            let (gates, sums) = scratch.split_at_mut(batch * ahead * width);
            for block in 0..blocks {
                let block = if self.direction.backward { blocks - 1 - block } else { block };
                let steps = block * ahead..((block + 1) * ahead).min(length);
                self.project(&steps, bias.as_deref(), gates)?;
                for at in 0..steps.len() {
                    let at = if self.direction.backward { steps.len() - 1 - at } else { at };
                    self.step(&steps, steps.start + at, gates, sums)?;
                }
            }
            Ok(())
        })
    }

    /// The bias of the data, and that of the state where it can be added as early.
    fn data_bias(&self, width: usize) -> Result<Option<Vec<f32>>, GemmError> {
        let Some(bias) = self.direction.bias else { return Ok(None) };
        let short = GemmError::TooShort { what: "bias", needed: Some(2 * width), got: bias.len() };
        let (data, state) = bias.split_at_checked(width).ok_or(short.clone())?;
        let early = self.layer.cell.early_biases() * self.layer.sizes.hidden;
        let mut sum = data.to_vec();
        let state = state.get(..width).ok_or(short)?;
        sum.iter_mut().zip(&state[..early]).for_each(|(sum, bias)| *sum += bias);
        Ok(Some(sum))
    }

    /// What the data of some steps give to the gates: `[steps, batch, width]`, or with the batch
    /// first.
    fn project(
        &self,
        steps: &Range<usize>,
        bias: Option<&[f32]>,
        gates: &mut [f32],
    ) -> Result<(), GemmError> {
        let Sizes { length, batch, input, batch_first, .. } = self.layer.sizes;
        let width = self.direction.weights.data.columns();
        let (rows, items): (usize, Vec<_>) = if batch_first {
            let item = |sequence: usize| Offsets {
                lhs: (sequence * length + steps.start) * input,
                out: sequence * steps.len() * width,
                ..Offsets::default()
            };
            (steps.len(), (0..batch).map(item).collect())
        } else {
            let first = Offsets { lhs: steps.start * batch * input, ..Offsets::default() };
            (steps.len() * batch, vec![first])
        };
        let product = Product {
            epilogue: Epilogue { column_bias: bias, ..Epilogue::default() },
            items: &items,
            ..Product::new(
                Matrix::new(self.x, rows, input)?,
                Rhs::Packed(&self.direction.weights.data),
            )
        };
        product.run(self.context, gates, width)
    }

    /// One step of all sequences that are as long.
    fn step(
        &mut self,
        steps: &Range<usize>,
        step: usize,
        gates: &[f32],
        sums: &mut [f32],
    ) -> Result<(), GemmError> {
        let Sizes { length, batch, hidden, batch_first, .. } = self.layer.sizes;
        let weights = self.direction.weights;
        let (width, direct) = (weights.data.columns(), weights.state.columns());
        let (sums, scaled_sums) = sums.split_at_mut(batch * direct);
        let state = Matrix::new(self.hidden, batch, hidden)?;
        Product::new(state, Rhs::Packed(&weights.state)).run(self.context, sums, direct)?;
        let place = |sequence: usize, at: usize, length: usize| {
            if batch_first { sequence * length + at } else { at * batch + sequence }
        };
        let data = |sequence: usize| {
            &gates[place(sequence, step - steps.start, steps.len()) * width..][..width]
        };
        let rules = Rules::new(self.layer, self.direction);
        if let Cell::Gru { .. } = self.layer.cell {
            for (sequence, sums) in sums.chunks_exact_mut(direct).enumerate() {
                let state = &self.hidden[sequence * hidden..][..hidden];
                self.context.run(GruGates { rules, data: data(sequence), state, sums });
            }
        }
        if let Some(scaled) = &weights.scaled {
            let reset = sums.get(hidden..).unwrap_or_default();
            let reset = Matrix::strided(reset, [batch, hidden], [direct, 1])?;
            Product::new(reset, Rhs::Packed(scaled)).run(self.context, scaled_sums, hidden)?;
        }
        for sequence in (0..batch).filter(|&sequence| self.layer.is_active(sequence, step)) {
            let own = sequence * hidden..(sequence + 1) * hidden;
            let (data, sums) = (data(sequence), &sums[sequence * direct..][..direct]);
            let state = &mut self.hidden[own.clone()];
            match self.layer.cell {
                Cell::Rnn => self.context.run(RnnStep { rules, data, sums, state }),
                Cell::Gru { linear_before_reset } => {
                    let (update, reset) = sums.split_at(hidden);
                    let new = if linear_before_reset { reset } else { &scaled_sums[own.clone()] };
                    self.context.run(GruStep { rules, data, update, new: &new[..hidden], state });
                }
                Cell::Lstm { .. } => {
                    let cell = &mut self.cell[own.clone()];
                    self.context.run(LstmStep { rules, data, sums, cell, state });
                }
            }
            let to = place(sequence, step, length) * hidden;
            self.y[to..to + hidden].copy_from_slice(&self.hidden[own]);
        }
        Ok(())
    }
}
