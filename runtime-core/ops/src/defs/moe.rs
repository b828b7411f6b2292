//! `MoE`: each token goes through the `k` experts that a router names, two layers with an activation between
//! them (and perhaps a gate), whose answers are summed by the router's weights.

use remuda_ir::{InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types, Val};

use crate::support::array::Array;
use crate::support::experts::{ATTRS, Layer, Routing, infer_experts, mixture};

pub(crate) static OP: OpDef = OpDef {
    domain: "com.microsoft",
    name: "MoE",
    since: 1,
    upgrades: &[],
    inputs: &[
        InputDef::new("input", Types::FLOATS),
        InputDef::new("router_probs", Types::FLOATS),
        InputDef::new("fc1_experts_weights", Types::FLOATS),
        InputDef::optional("fc1_experts_bias", Types::FLOATS),
        InputDef::new("fc2_experts_weights", Types::FLOATS),
        InputDef::optional("fc2_experts_bias", Types::FLOATS),
        InputDef::optional("fc3_experts_weights", Types::FLOATS),
        InputDef::optional("fc3_experts_bias", Types::FLOATS),
    ],
    outputs: &[OutputDef::new("output")],
    attrs: ATTRS,
    traits: Traits::PURE,
    tolerance: Tolerance::Float(4.0),
    infer: infer_experts,
    reference,
    cases: include_str!("moe.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let layer = |at: usize| -> Result<Option<Layer>, OpError> {
        let Some(weights) = Array::of_optional(ctx.opt_tensor(at)?)? else { return Ok(None) };
        Ok(Some(Layer { weights, bias: Array::of_optional(ctx.opt_tensor(at + 1)?)? }))
    };
    let (x, scores) = (Array::of(ctx.tensor(0)?)?, Array::of(ctx.tensor(1)?)?);
    let y =
        mixture(ctx.attrs(), &x, (&scores, &Routing::Scores), [layer(2)?, layer(4)?, layer(6)?])?;
    Ok(vec![y.to_floats(ctx.tensor(0)?.dtype())?.into()])
}
