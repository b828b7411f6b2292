//! Abs: the distance of each element from zero.

use remuda_ir::{InputDef, OpDef, OpError, OutputDef, Tolerance, Traits, Types, Upgrade, Val};

use crate::support::elementwise::{map_numbers, same_as_first};
use crate::support::upgrades::drop_consumed_inputs;

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "Abs",
    since: 1,
    upgrades: &[Upgrade { below: 6, apply: drop_consumed_inputs }],
    inputs: &[InputDef::new("x", Types::NUMBERS)],
    outputs: &[OutputDef::new("y")],
    attrs: &[],
    traits: Traits::ELEMENTWISE,
    tolerance: Tolerance::Exact,
    infer: same_as_first,
    reference,
    cases: include_str!("abs.cases"),
};

fn reference(ctx: &remuda_ir::KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    map_numbers(ctx.tensor(0)?, f64::abs, i128::abs)
}
