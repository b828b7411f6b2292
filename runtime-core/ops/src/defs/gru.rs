//! GRU: a recurrent layer with an update gate and a reset gate.

use remuda_ir::{
    AttrDef, AttrKind, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Upgrade, Val,
};
use remuda_tensor::DType;

use crate::support::recurrent::{Layer, infer_recurrent, upgrade_recurrent};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "GRU",
    since: 1,
    upgrades: &[Upgrade { below: 7, apply: upgrade_recurrent }],
    inputs: &[
        InputDef::new("x", Types::FLOATS),
        InputDef::new("w", Types::FLOATS),
        InputDef::new("r", Types::FLOATS),
        InputDef::optional("b", Types::FLOATS),
        InputDef::optional("sequence_lens", Types::one(DType::I32)).tied(""),
        InputDef::optional("initial_h", Types::FLOATS),
    ],
    outputs: &[OutputDef::optional("y"), OutputDef::optional("y_h")],
    attrs: &[
        AttrDef::new("activation_alpha", AttrKind::Floats),
        AttrDef::new("activation_beta", AttrKind::Floats),
        AttrDef::new("activations", AttrKind::Texts),
        AttrDef::new("clip", AttrKind::Float),
        AttrDef::new("direction", AttrKind::Text),
        AttrDef::new("hidden_size", AttrKind::Int),
        AttrDef::new("layout", AttrKind::Int),
        AttrDef::new("linear_before_reset", AttrKind::Int),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(4.0),
    infer,
    reference,
    cases: include_str!("gru.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    infer_recurrent(ctx, 1)
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let layer = Layer::read(ctx, 3, &["Sigmoid", "Tanh"])?;
    let linear_first = ctx.attrs().bool_or("linear_before_reset", false)?;
    let done = layer.run(vec![layer.initial(ctx, 5)?], |step, states| {
        let h = &states[0];
        let gate = |gate: usize| -> Vec<f64> {
            let (data, state) = (step.data_through(gate), step.state_through(h, gate));
            data.iter().zip(&state).map(|(x, h)| step.activate(0, x + h)).collect()
        };
        let (update, reset) = (gate(0), gate(1));
        let scaled =
            |by: &[f64]| -> Vec<f64> { by.iter().zip(&reset).map(|(x, r)| x * r).collect() };
        let state = if linear_first {
            scaled(&step.state_through(h, 2))
        } else {
            step.state_through(&scaled(h), 2)
        };
        let new = step.data_through(2);
        let new = new.iter().zip(&state).map(|(x, h)| step.activate(1, x + h));
        let mixed = new.zip(&update).zip(h).map(|((new, z), h)| (1.0 - z) * new + z * h);
        states[0] = mixed.collect();
    })?;
    layer.outputs(done, ctx.tensor(0)?.dtype())
}
