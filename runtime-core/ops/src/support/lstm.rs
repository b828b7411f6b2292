//! The cell of LSTM, which plain and quantised layers share.

use remuda_ir::{KernelCtx, OpError, Val};

use super::array::Array;
use super::recurrent::{Layer, expect_dims};

/// How many gates the weights hold.
pub(crate) const GATES: usize = 4;
/// The activations by default: of the gates, of what enters the cell, and of what leaves it.
pub(crate) const FUNCTIONS: &[&str] = &["Sigmoid", "Tanh", "Tanh"];

/// The gates in their order in the weights.
const INPUT: usize = 0;
const OUTPUT: usize = 1;
const FORGET: usize = 2;
const CELL: usize = 3;

/// Runs the layer over input 0; the states are inputs 5 and 6, the peepholes input 7. The recurrent
/// weights see the state through `seen`.
pub(crate) fn lstm(
    ctx: &KernelCtx<'_>,
    layer: &Layer,
    seen: impl Fn(&[f64]) -> Vec<f64>,
) -> Result<Vec<Val>, OpError> {
    let hidden = layer.hidden;
    let coupled = ctx.attrs().bool_or("input_forget", false)?;
    let states = vec![layer.initial(ctx, 5)?, layer.initial(ctx, 6)?];
    let peep = Array::of_optional(ctx.opt_tensor(7)?)?;
    if let Some(peep) = &peep {
        expect_dims("p", &peep.dims, &[states[0].dims[0], 3 * hidden])?;
    }
    let done = layer.run(states, |step, states| {
        let state = seen(&states[0]);
        let sum = |gate: usize| -> Vec<f64> {
            let (data, state) = (step.data_through(gate), step.state_through(&state, gate));
            data.iter().zip(&state).map(|(x, h)| x + h).collect()
        };
        let peeped = |gate: usize, at: usize, cell: f64| {
            let place = (step.direction * 3 + gate) * hidden + at;
            peep.as_ref().map_or(0.0, |peep| peep.values[place] * cell)
        };
        let [inputs, outputs, forgets, cells] = [sum(INPUT), sum(OUTPUT), sum(FORGET), sum(CELL)];
        for at in 0..hidden {
            let old = states[1][at];
            let input = step.activate(0, inputs[at] + peeped(INPUT, at, old));
            let forget = if coupled {
                1.0 - input
            } else {
                step.activate(0, forgets[at] + peeped(FORGET, at, old))
            };
            let cell = forget * old + input * step.activate(1, cells[at]);
            let output = step.activate(0, outputs[at] + peeped(OUTPUT, at, cell));
            states[0][at] = output * step.activate(2, cell);
            states[1][at] = cell;
        }
    })?;
    layer.outputs(done, ctx.tensor(0)?.dtype())
}
