//! LSTM: a recurrent layer with a cell behind input, output and forget gates, which may peep at the cell.

use remuda_ir::{
    AttrDef, AttrKind, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Upgrade, Val,
};
use remuda_tensor::DType;

use crate::support::lstm::{FUNCTIONS, GATES, lstm};
use crate::support::recurrent::{Layer, infer_recurrent, upgrade_recurrent};

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

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    lstm(ctx, &Layer::read(ctx, GATES, FUNCTIONS)?, <[f64]>::to_vec)
}
