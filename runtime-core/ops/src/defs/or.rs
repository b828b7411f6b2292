//! Or: the or of two tensors of truth values, with broadcasting.

use remuda_ir::{
    InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types, Upgrade, Val,
};

use crate::support::elementwise::{broadcast_types, upgrade_axis_broadcast, zip_bools};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "Or",
    since: 1,
    upgrades: &[Upgrade { below: 7, apply: upgrade_axis_broadcast }],
    inputs: &[InputDef::new("a", Types::BOOL), InputDef::new("b", Types::BOOL)],
    outputs: &[OutputDef::new("c")],
    attrs: &[],
    traits: Traits::ELEMENTWISE,
    tolerance: Tolerance::Exact,
    infer: broadcast_types,
    reference,
    cases: include_str!("or.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    zip_bools(ctx, |a, b| a | b)
}
