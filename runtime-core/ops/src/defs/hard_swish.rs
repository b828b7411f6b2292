//! `HardSwish`: each element times its `HardSigmoid` of slope 1/6.

use remuda_ir::{InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types, Val};

use crate::support::activations::hard_sigmoid;
use crate::support::elementwise::{map_floats, same_as_first};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "HardSwish",
    since: 14,
    upgrades: &[],
    inputs: &[InputDef::new("x", Types::FLOATS)],
    outputs: &[OutputDef::new("y")],
    attrs: &[],
    traits: Traits::ELEMENTWISE,
    tolerance: Tolerance::Float(1.0),
    infer: same_as_first,
    reference,
    cases: include_str!("hard_swish.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    map_floats(ctx, |x| x * hard_sigmoid(x, 1.0 / 6.0, 0.5))
}
