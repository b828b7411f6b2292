//! `QuickGelu`: each element times the sigmoid of `alpha` times it.

use remuda_ir::{
    AttrDef, AttrKind, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types,
    Val,
};

use crate::support::activations::sigmoid;
use crate::support::elementwise::{map_floats, same_as_first};

pub(crate) static OP: OpDef = OpDef {
    domain: "com.microsoft",
    name: "QuickGelu",
    since: 1,
    upgrades: &[],
    inputs: &[InputDef::new("x", Types::FLOATS)],
    outputs: &[OutputDef::new("y")],
    attrs: &[AttrDef::new("alpha", AttrKind::Float)],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(1.0),
    infer: same_as_first,
    reference,
    cases: include_str!("quick_gelu.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let alpha = f64::from(ctx.attrs().float_or("alpha", 1.702)?);
    map_floats(ctx, |x| x * sigmoid(alpha * x))
}
