//! `GlobalAveragePool`: the mean of each channel.

use remuda_ir::{InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types, Val};

use crate::support::pool::{infer_global, pool_globally};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "GlobalAveragePool",
    since: 1,
    upgrades: &[],
    inputs: &[InputDef::new("x", Types::FLOATS)],
    outputs: &[OutputDef::new("y")],
    attrs: &[],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(1.0),
    infer: infer_global,
    reference,
    cases: include_str!("global_average_pool.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    pool_globally(ctx, |channel| channel.iter().sum::<f64>() / channel.len() as f64)
}
