//! `BitwiseNot`: each integer with all its bits flipped.

use remuda_ir::{InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types, Val};
use remuda_tensor::dispatch_int;

use crate::support::elementwise::{map_with, same_as_first};
use crate::support::unsupported_dtype;

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
    dispatch_int!(tensor.dtype(), T => map_with::<T>(tensor, |x| !x), else Err(unsupported_dtype(tensor.dtype())))
}
