//! Gelu: each element times the share of a normal distribution below it.

use remuda_ir::{InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types, Val};

use crate::support::elementwise::{map_floats, same_as_first};
use crate::support::gelu::gelu;

pub(crate) static OP: OpDef = OpDef {
    domain: "com.microsoft",
    name: "Gelu",
    since: 1,
    upgrades: &[],
    inputs: &[InputDef::new("x", Types::FLOATS)],
    outputs: &[OutputDef::new("y")],
    attrs: &[],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(1.0),
    infer: same_as_first,
    reference,
    cases: include_str!("microsoft_gelu.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    map_floats(ctx, gelu)
}
