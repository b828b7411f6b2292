//! `ReduceL1`: the sum of the distances from zero of the elements along some axes.

use remuda_ir::{
    AttrDef, AttrKind, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Upgrade,
    Val,
};

use crate::support::reduce::{REDUCIBLE, axes_to_input, inputs, reduce, reduced_types};

const INPUTS: [InputDef; 2] = inputs(REDUCIBLE);

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "ReduceL1",
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
    cases: include_str!("reduce_l1.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    reduce(
        ctx,
        |group| group.iter().map(|x| x.abs()).sum(),
        |group| Ok(group.iter().map(|x| x.abs()).sum()),
    )
}
