//! `BitwiseAnd`: the bitwise and of two tensors of integers, with broadcasting.

use remuda_ir::{InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types, Val};

use crate::support::elementwise::{broadcast_types, zip_ints};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "BitwiseAnd",
    since: 18,
    upgrades: &[],
    inputs: &[InputDef::new("a", Types::INTS), InputDef::new("b", Types::INTS)],
    outputs: &[OutputDef::new("c")],
    attrs: &[],
    traits: Traits::ELEMENTWISE,
    tolerance: Tolerance::Exact,
    infer: broadcast_types,
    reference,
    cases: include_str!("bitwise_and.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    zip_ints(ctx, |a, b| a & b)
}
