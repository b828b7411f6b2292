//! `Adagrad`: one step of the ADAGRAD optimiser for tensors, their gradients and their summed squared
//! gradients.

use remuda_ir::{
    AttrDef, AttrKind, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types,
    Val,
};

use crate::support::training::{REALS, step, step_types};

pub(crate) static OP: OpDef = OpDef {
    domain: "ai.onnx.preview.training",
    name: "Adagrad",
    since: 1,
    upgrades: &[],
    inputs: &[
        InputDef::new("r", REALS).tied(""),
        InputDef::new("t", Types::I64).tied(""),
        InputDef::variadic("inputs", REALS).tied(""),
    ],
    outputs: &[OutputDef::variadic("outputs")],
    attrs: &[
        AttrDef::new("decay_factor", AttrKind::Float),
        AttrDef::new("epsilon", AttrKind::Float),
        AttrDef::new("norm_coefficient", AttrKind::Float),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(1.0),
    infer: |ctx| step_types(ctx, 3),
    reference,
    cases: include_str!("adagrad.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let decay = f64::from(ctx.attrs().float_or("decay_factor", 0.0)?);
    let epsilon = f64::from(ctx.attrs().float_or("epsilon", 1e-6)?);
    let norm = f64::from(ctx.attrs().float_or("norm_coefficient", 0.0)?);
    step(ctx, |rate, round, [x, gradient, squares]| {
        let rate = rate / (1.0 + round as f64 * decay);
        let gradient = norm * x + gradient;
        let squares = squares + gradient * gradient;
        [x - rate * gradient / (squares.sqrt() + epsilon), squares]
    })
}
