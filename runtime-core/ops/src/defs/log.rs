//! Log: the natural logarithm of each element.

use remuda_ir::{
    InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types, Upgrade, Val,
};

use crate::support::elementwise::{map_floats, same_as_first};
use crate::support::upgrades::drop_consumed_inputs;

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "Log",
    since: 1,
    upgrades: &[Upgrade { below: 6, apply: drop_consumed_inputs }],
    inputs: &[InputDef::new("x", Types::FLOATS)],
    outputs: &[OutputDef::new("y")],
    attrs: &[],
    traits: Traits::ELEMENTWISE,
    tolerance: Tolerance::Float(1.0),
    infer: same_as_first,
    reference,
    cases: include_str!("log.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    map_floats(ctx, f64::ln)
}
