//! Sum: the sum of several tensors, element by element, with broadcasting.

use remuda_ir::{
    InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types, Upgrade, Val,
};

use crate::support::elementwise::{broadcast_types, fold_numbers};
use crate::support::upgrades::drop_consumed_inputs;

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "Sum",
    since: 1,
    upgrades: &[Upgrade { below: 6, apply: drop_consumed_inputs }],
    inputs: &[InputDef::variadic("inputs", Types::FLOATS)],
    outputs: &[OutputDef::new("sum")],
    attrs: &[],
    traits: Traits::ELEMENTWISE,
    tolerance: Tolerance::Float(1.0),
    infer: broadcast_types,
    reference,
    cases: include_str!("sum.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    fold_numbers(ctx, |a, b| a + b, |a, b| a + b, |sum| sum)
}
