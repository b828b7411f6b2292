//! `BiasAdd`: the sum of data, a bias of its last axis, and a residual.

use remuda_ir::{
    InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types,
    Val,
};

use crate::support::array::Array;
use crate::support::elementwise::same_as_first;
use crate::support::skip_norm::add_input;

pub(crate) static OP: OpDef = OpDef {
    domain: "com.microsoft",
    name: "BiasAdd",
    since: 1,
    upgrades: &[],
    inputs: &[
        InputDef::new("x", Types::FLOATS),
        InputDef::new("bias", Types::FLOATS),
        InputDef::new("skip", Types::FLOATS),
    ],
    outputs: &[OutputDef::new("y")],
    attrs: &[],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(1.0),
    infer,
    reference,
    cases: include_str!("bias_add.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    same_as_first(ctx)
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let mut sum = Array::of(ctx.tensor(0)?)?;
    add_input(&mut sum, Some(ctx.tensor(1)?), "bias")?;
    add_input(&mut sum, Some(ctx.tensor(2)?), "skip")?;
    Ok(vec![sum.to_floats(ctx.tensor(0)?.dtype())?.into()])
}
