//! `ReduceMean`: the mean of elements along some axes. Integers truncate; there is none of no integers.

use remuda_ir::{
    AttrDef, AttrKind, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Upgrade,
    Val,
};

use crate::support::reduce::{REDUCIBLE, axes_to_input, inputs, reduce, reduced_types};

const INPUTS: [InputDef; 2] = inputs(REDUCIBLE);

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "ReduceMean",
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
    cases: include_str!("reduce_mean.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    reduce(
        ctx,
        |group| group.iter().sum::<f64>() / group.len() as f64,
        |group| {
            let none = || OpError::invalid("there is no mean of no integers");
            group.iter().sum::<i128>().checked_div(group.len() as i128).ok_or_else(none)
        },
    )
}
