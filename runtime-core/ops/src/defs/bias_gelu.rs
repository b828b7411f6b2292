//! `BiasGelu`: Gelu of the sum of data and a bias.

use remuda_ir::{InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types, Val};

use crate::support::elementwise::same_as_first;
use crate::support::gelu::{biased_map, gelu};

pub(crate) static OP: OpDef = OpDef {
    domain: "com.microsoft",
    name: "BiasGelu",
    since: 1,
    upgrades: &[],
    inputs: &[InputDef::new("a", Types::FLOATS), InputDef::new("b", Types::FLOATS)],
    outputs: &[OutputDef::new("y")],
    attrs: &[],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(1.0),
    infer: same_as_first,
    reference,
    cases: include_str!("bias_gelu.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    biased_map(ctx, gelu)
}
