//! Relu: each element above zero, zero otherwise.

use remuda_ir::{
    InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types, Upgrade, Val,
};

use crate::support::elementwise::{map_numbers, same_as_first};
use crate::support::upgrades::drop_consumed_inputs;

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "Relu",
    since: 1,
    upgrades: &[Upgrade { below: 6, apply: drop_consumed_inputs }],
    inputs: &[InputDef::new("x", Types::FLOATS.or(Types::SIGNED))],
    outputs: &[OutputDef::new("y")],
    attrs: &[],
    traits: Traits::ELEMENTWISE,
    tolerance: Tolerance::Exact,
    infer: same_as_first,
    reference,
    cases: include_str!("relu.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    map_numbers(ctx.tensor(0)?, |x| if x < 0.0 { 0.0 } else { x }, |x| x.max(0))
}
