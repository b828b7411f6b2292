//! RNN: a recurrent layer with one activation: `h = f(x W + h R + b)`.

use remuda_ir::{
    AttrDef, AttrKind, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Upgrade, Val,
};
use remuda_tensor::DType;

use crate::support::recurrent::{Layer, infer_recurrent, upgrade_recurrent};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "RNN",
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
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(4.0),
    infer,
    reference,
    cases: include_str!("rnn.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    infer_recurrent(ctx, 1)
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let layer = Layer::read(ctx, 1, &["Tanh"])?;
    let done = layer.run(vec![layer.initial(ctx, 5)?], |step, states| {
        let data = step.data_through(0);
        let state = step.state_through(&states[0], 0);
        states[0] = data.iter().zip(&state).map(|(x, h)| step.activate(0, x + h)).collect();
    })?;
    layer.outputs(done, ctx.tensor(0)?.dtype())
}
