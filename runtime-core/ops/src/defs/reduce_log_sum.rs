//! `ReduceLogSum`: the logarithm of the sum of the elements along some axes.

use remuda_ir::{
    AttrDef, AttrKind, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Upgrade,
    Val,
};

use crate::support::reduce::{REDUCIBLE, axes_to_input, inputs, reduce, reduced_types, whole};

const INPUTS: [InputDef; 2] = inputs(REDUCIBLE);

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "ReduceLogSum",
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
    cases: include_str!("reduce_log_sum.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let log_sum = |group: &[f64]| group.iter().sum::<f64>().ln();
    reduce(ctx, log_sum, |group| Ok(whole(log_sum, group)))
}
