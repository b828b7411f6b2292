//! Min: the least of several tensors, element by element, with broadcasting. `NaN` wins.

use remuda_ir::{
    InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types, Upgrade, Val,
};
use remuda_tensor::Dim;

use crate::support::activations::lesser;
use crate::support::contents::broadcast_with_content;
use crate::support::elementwise::fold_numbers;
use crate::support::upgrades::drop_consumed_inputs;

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "Min",
    since: 1,
    upgrades: &[Upgrade { below: 6, apply: drop_consumed_inputs }],
    inputs: &[InputDef::variadic("inputs", Types::NUMBERS)],
    outputs: &[OutputDef::new("min")],
    attrs: &[],
    traits: Traits::ELEMENTWISE,
    tolerance: Tolerance::Exact,
    infer: |ctx| broadcast_with_content(ctx, Dim::lesser),
    reference,
    cases: include_str!("min.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    fold_numbers(ctx, lesser, i128::min, |min| min)
}
