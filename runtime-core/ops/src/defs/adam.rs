//! `Adam`: one step of the Adam optimiser for tensors, their gradients, and the running means
//! of gradients and squared gradients.

use remuda_ir::{
    AttrDef, AttrKind, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types,
    Val,
};

use crate::support::training::{REALS, step, step_types};

pub(crate) static OP: OpDef = OpDef {
    domain: "ai.onnx.preview.training",
    name: "Adam",
    since: 1,
    upgrades: &[],
    inputs: &[
        InputDef::new("r", REALS).tied(""),
        InputDef::new("t", Types::I64).tied(""),
        InputDef::variadic("inputs", REALS).tied(""),
    ],
    outputs: &[OutputDef::variadic("outputs")],
    attrs: &[
        AttrDef::new("alpha", AttrKind::Float),
        AttrDef::new("beta", AttrKind::Float),
        AttrDef::new("epsilon", AttrKind::Float),
        AttrDef::new("norm_coefficient", AttrKind::Float),
        AttrDef::new("norm_coefficient_post", AttrKind::Float),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(1.0),
    infer: |ctx| step_types(ctx, 4),
    reference,
    cases: include_str!("adam.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let alpha = f64::from(ctx.attrs().float_or("alpha", 0.9)?);
    let beta = f64::from(ctx.attrs().float_or("beta", 0.999)?);
    let epsilon = f64::from(ctx.attrs().float_or("epsilon", 1e-6)?);
    let norm = f64::from(ctx.attrs().float_or("norm_coefficient", 0.0)?);
    let norm_post = f64::from(ctx.attrs().float_or("norm_coefficient_post", 0.0)?);
    step(ctx, |rate, round, [x, gradient, mean, squares]| {
        let gradient = norm * x + gradient;
        let mean = alpha * mean + (1.0 - alpha) * gradient;
        let squares = beta * squares + (1.0 - beta) * gradient * gradient;
        let round = round as f64;
        let rate = if round > 0.0 {
            rate * (1.0 - beta.powf(round)).sqrt() / (1.0 - alpha.powf(round))
        } else {
            rate
        };
        let moved = x - rate * mean / (squares.sqrt() + epsilon);
        [(1.0 - norm_post) * moved, mean, squares]
    })
}
