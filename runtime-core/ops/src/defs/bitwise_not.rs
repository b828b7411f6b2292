//! `BitwiseNot`: each integer with all its bits flipped.

use remuda_ir::{InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types, Val};

use crate::support::elementwise::{map_numbers, same_as_first};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "BitwiseNot",
    since: 18,
    upgrades: &[],
    inputs: &[InputDef::new("x", Types::INTS)],
    outputs: &[OutputDef::new("y")],
    attrs: &[],
    traits: Traits::ELEMENTWISE,
    tolerance: Tolerance::Exact,
    infer: same_as_first,
    reference,
    cases: include_str!("bitwise_not.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let tensor = ctx.tensor(0)?;
    map_numbers(tensor, |x| x, |x| !x)
}
