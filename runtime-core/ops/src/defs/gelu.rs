//! Gelu: each element times the share of a normal distribution below it, or the tanh
//! approximation of that.

use remuda_ir::{
    AttrDef, AttrKind, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types,
    Val,
};
use std::f64::consts::{FRAC_1_SQRT_2, PI};

use crate::support::elementwise::{map_floats, same_as_first};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "Gelu",
    since: 20,
    upgrades: &[],
    inputs: &[InputDef::new("x", Types::FLOATS)],
    outputs: &[OutputDef::new("y")],
    attrs: &[AttrDef::new("approximate", AttrKind::Text)],
    traits: Traits::ELEMENTWISE,
    tolerance: Tolerance::Float(1.0),
    infer: same_as_first,
    reference,
    cases: include_str!("gelu.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let gelu = match ctx.attrs().text_or("approximate", "none")? {
        "none" => |x: f64| 0.5 * x * (1.0 + libm::erf(x * FRAC_1_SQRT_2)),
        "tanh" => |x: f64| {
            let slope = (2.0 / PI).sqrt();
            0.5 * x * (1.0 + (slope * (x + 0.044_715 * x.powi(3))).tanh())
        },
        other => {
            let text = format!("attribute `approximate` expected `none` or `tanh`, got `{other}`");
            return Err(OpError::Invalid(text));
        }
    };
    map_floats(ctx, gelu)
}
