//! `ArgMax`: the index of the greatest element along an axis: of the first of equals, or the
//! last. `NaN` wins.

use remuda_ir::{
    AttrDef, AttrKind, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types,
    Val,
};

use crate::support::reduce::{arg_best, arg_types};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "ArgMax",
    since: 1,
    upgrades: &[],
    inputs: &[InputDef::new("data", Types::NUMBERS)],
    outputs: &[OutputDef::new("reduced")],
    attrs: &[
        AttrDef::new("axis", AttrKind::Int),
        AttrDef::new("keepdims", AttrKind::Int),
        AttrDef::new("select_last_index", AttrKind::Int),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Exact,
    infer: arg_types,
    reference,
    cases: include_str!("arg_max.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    arg_best(ctx, f64::gt, i128::gt)
}
