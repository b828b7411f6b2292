//! `ReduceSum`: the sum of elements along some axes. Integers wrap.

use remuda_ir::{
    AttrDef, AttrKind, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Upgrade,
    Val,
};
use remuda_tensor::Dim;

use crate::support::reduce::{REDUCIBLE, axes_to_input, inputs, reduce, reduced_with_content};

const INPUTS: [InputDef; 2] = inputs(REDUCIBLE);

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "ReduceSum",
    since: 1,
    upgrades: &[Upgrade { below: 13, apply: axes_to_input }],
    inputs: &INPUTS,
    outputs: &[OutputDef::new("reduced")],
    attrs: &[
        AttrDef::new("keepdims", AttrKind::Int),
        AttrDef::new("noop_with_empty_axes", AttrKind::Int),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(1.0),
    infer: |ctx| reduced_with_content(ctx, Dim::add),
    reference,
    cases: include_str!("reduce_sum.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    reduce(ctx, |group| group.iter().sum(), |group| Ok(group.iter().sum()))
}
