//! Celu: a continuously differentiable Elu: below zero `alpha` bounds it and scales its argument.

use remuda_ir::{
    AttrDef, AttrKind, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types,
    Val,
};

use crate::support::elementwise::{map_floats, same_as_first};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "Celu",
    since: 12,
    upgrades: &[],
    inputs: &[InputDef::new("x", Types::FLOATS)],
    outputs: &[OutputDef::new("y")],
    attrs: &[AttrDef::new("alpha", AttrKind::Float)],
    traits: Traits::ELEMENTWISE,
    tolerance: Tolerance::Float(1.0),
    infer: same_as_first,
    reference,
    cases: include_str!("celu.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let alpha = f64::from(ctx.attrs().float_or("alpha", 1.0)?);
    map_floats(ctx, |x| x.max(0.0) + (alpha * (x / alpha).exp_m1()).min(0.0))
}
