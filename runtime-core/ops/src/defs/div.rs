//! Div: the quotient of two tensors, element by element, with broadcasting. Integers truncate
//! toward zero and wrap; dividing one by zero is an error.

use remuda_ir::{
    InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types, Upgrade, Val,
};

use crate::support::contents::{broadcast_with_content, truncated_quotient};
use crate::support::elementwise::{upgrade_axis_broadcast, zip_numbers};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "Div",
    since: 1,
    upgrades: &[Upgrade { below: 7, apply: upgrade_axis_broadcast }],
    inputs: &[InputDef::new("a", Types::NUMBERS), InputDef::new("b", Types::NUMBERS)],
    outputs: &[OutputDef::new("c")],
    attrs: &[],
    traits: Traits::ELEMENTWISE,
    tolerance: Tolerance::Float(1.0),
    infer: |ctx| broadcast_with_content(ctx, truncated_quotient),
    reference,
    cases: include_str!("div.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    zip_numbers(
        ctx,
        |a, b| a / b,
        |a, b| a.checked_div(b).ok_or_else(|| OpError::invalid("an integer is divided by zero")),
    )
}
