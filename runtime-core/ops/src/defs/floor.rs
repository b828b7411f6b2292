//! Floor: each element rounded down to a whole number.

use remuda_ir::{
    InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types, Upgrade, Val,
};

use crate::support::elementwise::{map_floats, same_as_first};
use crate::support::upgrades::drop_consumed_inputs;

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "Floor",
    since: 1,
    upgrades: &[Upgrade { below: 6, apply: drop_consumed_inputs }],
    inputs: &[InputDef::new("x", Types::FLOATS)],
    outputs: &[OutputDef::new("y")],
    attrs: &[],
    traits: Traits::ELEMENTWISE,
    tolerance: Tolerance::Exact,
    infer: same_as_first,
    reference,
    cases: include_str!("floor.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    map_floats(ctx, f64::floor)
}
