//! `ThresholdedRelu`: each element above `alpha`, zero otherwise.

use remuda_ir::{
    AttrDef, AttrKind, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types,
    Val,
};

use crate::support::elementwise::{map_floats, same_as_first};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "ThresholdedRelu",
    since: 10,
    upgrades: &[],
    inputs: &[InputDef::new("x", Types::FLOATS)],
    outputs: &[OutputDef::new("y")],
    attrs: &[AttrDef::new("alpha", AttrKind::Float)],
    traits: Traits::ELEMENTWISE,
    tolerance: Tolerance::Exact,
    infer: same_as_first,
    reference,
    cases: include_str!("thresholded_relu.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let alpha = f64::from(ctx.attrs().float_or("alpha", 1.0)?);
    map_floats(ctx, |x| if x > alpha { x } else { 0.0 })
}
