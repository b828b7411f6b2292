//! `ReduceLogSumExp`: the logarithm of the sum of e to the power of each element along some
//! axes, without overflow.

use remuda_ir::{
    AttrDef, AttrKind, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Upgrade,
    Val,
};

use crate::support::activations::greater;
use crate::support::reduce::{REDUCIBLE, axes_to_input, inputs, reduce, reduced_types, whole};

const INPUTS: [InputDef; 2] = inputs(REDUCIBLE);

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "ReduceLogSumExp",
    since: 1,
    upgrades: &[Upgrade { below: 18, apply: axes_to_input }],
    inputs: &INPUTS,
    outputs: &[OutputDef::new("reduced")],
    attrs: &[
        AttrDef::new("keepdims", AttrKind::Int),
        AttrDef::new("noop_with_empty_axes", AttrKind::Int),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(1.0),
    infer: reduced_types,
    reference,
    cases: include_str!("reduce_log_sum_exp.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    reduce(ctx, log_sum_exp, |group| Ok(whole(log_sum_exp, group)))
}

fn log_sum_exp(group: &[f64]) -> f64 {
    let max = group.iter().copied().fold(f64::NEG_INFINITY, greater);
    if !max.is_finite() {
        return max;
    }
    max + group.iter().map(|x| (x - max).exp()).sum::<f64>().ln()
}
