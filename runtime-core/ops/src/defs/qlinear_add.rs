//! `QLinearAdd`: the sum of quantised tensors with broadcasting, quantised again.

use remuda_ir::{KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Val};

use crate::support::qlinear::{BINARY_INPUTS, binary, infer_binary};

pub(crate) static OP: OpDef = OpDef {
    domain: "com.microsoft",
    name: "QLinearAdd",
    since: 1,
    upgrades: &[],
    inputs: BINARY_INPUTS,
    outputs: &[OutputDef::new("c")],
    attrs: &[],
    traits: Traits::PURE,
    tolerance: Tolerance::OneStep(1.0),
    infer: infer_binary,
    reference,
    cases: include_str!("qlinear_add.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    binary(ctx, |a, b| a + b)
}
