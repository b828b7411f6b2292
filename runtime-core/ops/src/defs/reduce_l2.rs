//! `ReduceL2`: the square root of the sum of squares of the elements along some axes. Integers
//! truncate.

use remuda_ir::{
    AttrDef, AttrKind, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Upgrade,
    Val,
};

use crate::support::reduce::{REDUCIBLE, axes_to_input, inputs, reduce, reduced_types, whole};

const INPUTS: [InputDef; 2] = inputs(REDUCIBLE);

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "ReduceL2",
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
    cases: include_str!("reduce_l2.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let length = |group: &[f64]| group.iter().map(|x| x * x).sum::<f64>().sqrt();
    reduce(ctx, length, |group| Ok(whole(length, group)))
}
