//! Mul: the product of two tensors, element by element, with broadcasting. Integers wrap.

use remuda_ir::{
    InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types, Upgrade, Val,
};
use remuda_tensor::Dim;

use crate::support::contents::broadcast_with_content;
use crate::support::elementwise::{upgrade_axis_broadcast, zip_numbers};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "Mul",
    since: 1,
    upgrades: &[Upgrade { below: 7, apply: upgrade_axis_broadcast }],
    inputs: &[InputDef::new("a", Types::NUMBERS), InputDef::new("b", Types::NUMBERS)],
    outputs: &[OutputDef::new("c")],
    attrs: &[],
    traits: Traits::ELEMENTWISE,
    tolerance: Tolerance::Float(1.0),
    infer: |ctx| broadcast_with_content(ctx, Dim::mul),
    reference,
    cases: include_str!("mul.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    zip_numbers(ctx, |a, b| a * b, |a, b| Ok(a.wrapping_mul(b)))
}
