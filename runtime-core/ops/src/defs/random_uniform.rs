//! `RandomUniform`: numbers drawn evenly from `low` on, below `high`. The seed is that of `NumPy`'s
//! `RandomState`.

use remuda_ir::{AttrDef, AttrKind, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Val};
use remuda_tensor::DType;

use crate::support::random::{Twister, asked_type, draw, float_dtype, shape_attr};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "RandomUniform",
    since: 1,
    upgrades: &[],
    inputs: &[],
    outputs: &[OutputDef::new("output")],
    attrs: &[
        AttrDef::new("dtype", AttrKind::Int),
        AttrDef::new("high", AttrKind::Float),
        AttrDef::new("low", AttrKind::Float),
        AttrDef::new("seed", AttrKind::Float),
        AttrDef::required("shape", AttrKind::Ints),
    ],
    traits: Traits::IMPURE,
    tolerance: Tolerance::Float(1.0),
    infer: asked_type,
    reference,
    cases: include_str!("random_uniform.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let dims = shape_attr(ctx.attrs())?;
    let dtype = float_dtype(ctx.attrs(), DType::F32)?;
    let low = f64::from(ctx.attrs().float_or("low", 0.0)?);
    let high = f64::from(ctx.attrs().float_or("high", 1.0)?);
    let mut random = Twister::of_float_seed(ctx.attrs())?;
    draw(dtype, &dims, || low + (high - low) * random.uniform())
}
