//! LSTM: a recurrent layer with a cell behind input, output and forget gates, which may peep at the cell.

use remuda_ir::{
    AttrDef, AttrKind, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Upgrade, Val,
};
use remuda_tensor::DType;

use crate::support::array::Array;
use crate::support::recurrent::{Layer, expect_dims, infer_recurrent, upgrade_recurrent};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "LSTM",
    since: 1,
    upgrades: &[Upgrade { below: 7, apply: upgrade_recurrent }],
    inputs: &[
        InputDef::new("x", Types::FLOATS),
        InputDef::new("w", Types::FLOATS),
        InputDef::new("r", Types::FLOATS),
        InputDef::optional("b", Types::FLOATS),
        InputDef::optional("sequence_lens", Types::one(DType::I32)).tied(""),
        InputDef::optional("initial_h", Types::FLOATS),
        InputDef::optional("initial_c", Types::FLOATS),
        InputDef::optional("p", Types::FLOATS),
    ],
    outputs: &[OutputDef::optional("y"), OutputDef::optional("y_h"), OutputDef::optional("y_c")],
    attrs: &[
        AttrDef::new("activation_alpha", AttrKind::Floats),
        AttrDef::new("activation_beta", AttrKind::Floats),
        AttrDef::new("activations", AttrKind::Texts),
        AttrDef::new("clip", AttrKind::Float),
        AttrDef::new("direction", AttrKind::Text),
        AttrDef::new("hidden_size", AttrKind::Int),
        AttrDef::new("layout", AttrKind::Int),
        AttrDef::new("input_forget", AttrKind::Int),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(4.0),
    infer,
    reference,
    cases: include_str!("lstm.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    infer_recurrent(ctx, 2)
}

/// The gates in their order in the weights.
const INPUT: usize = 0;
const OUTPUT: usize = 1;
const FORGET: usize = 2;
const CELL: usize = 3;

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let layer = Layer::read(ctx, 4, &["Sigmoid", "Tanh", "Tanh"])?;
    let hidden = layer.hidden;
    let coupled = ctx.attrs().bool_or("input_forget", false)?;
    let states = vec![layer.initial(ctx, 5)?, layer.initial(ctx, 6)?];
    let peep = Array::of_optional(ctx.opt_tensor(7)?)?;
    if let Some(peep) = &peep {
        expect_dims("p", &peep.dims, &[states[0].dims[0], 3 * hidden])?;
    }
    let done = layer.run(states, |step, states| {
        let sum = |gate: usize| -> Vec<f64> {
            let (data, state) = (step.data_through(gate), step.state_through(&states[0], gate));
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
