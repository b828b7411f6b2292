//! `ReduceMin`: the least of the elements along some axes. `NaN` wins; of no elements it is the
//! greatest value of the dtype.

use remuda_ir::{
    AttrDef, AttrKind, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types,
    Upgrade, Val,
};
use remuda_tensor::{DType, Dim};

use crate::support::activations::lesser;
use crate::support::reduce::{Groups, greatest_int};
use crate::support::reduce::{axes_to_input, inputs, reduce, reduced_with_content};

const INPUTS: [InputDef; 2] = inputs(Types::NUMBERS.or(Types::BOOL));

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "ReduceMin",
    since: 1,
    upgrades: &[Upgrade { below: 18, apply: axes_to_input }],
    inputs: &INPUTS,
    outputs: &[OutputDef::new("reduced")],
    attrs: &[
        AttrDef::new("keepdims", AttrKind::Int),
        AttrDef::new("noop_with_empty_axes", AttrKind::Int),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Exact,
    infer: |ctx| reduced_with_content(ctx, Dim::lesser),
    reference,
    cases: include_str!("reduce_min.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let groups = Groups::of(ctx)?;
    if groups.dtype() == DType::Bool {
        return groups.truths(|group| !group.contains(&false));
    }
    let greatest = greatest_int(groups.dtype());
    reduce(
        ctx,
        |group| group.iter().copied().fold(f64::INFINITY, lesser),
        |group| Ok(group.iter().copied().min().unwrap_or(greatest)),
    )
}
