//! `RandomUniformLike`: numbers drawn evenly from `low` on, below `high`, as many as a tensor has. The
//! seed is that of `NumPy`'s `RandomState`.

use remuda_ir::{
    AttrDef, AttrKind, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types,
    Val,
};

use crate::support::random::{Twister, draw, float_dtype, type_like_first};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "RandomUniformLike",
    since: 1,
    upgrades: &[],
    inputs: &[InputDef::new("input", Types::ANY)],
    outputs: &[OutputDef::new("output")],
    attrs: &[
        AttrDef::new("dtype", AttrKind::Int),
        AttrDef::new("high", AttrKind::Float),
        AttrDef::new("low", AttrKind::Float),
        AttrDef::new("seed", AttrKind::Float),
    ],
    traits: Traits::IMPURE,
    tolerance: Tolerance::Shape,
    infer: type_like_first,
    reference,
    cases: include_str!("random_uniform_like.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let input = ctx.tensor(0)?;
    let dtype = float_dtype(ctx.attrs(), input.dtype())?;
    let low = f64::from(ctx.attrs().float_or("low", 0.0)?);
    let high = f64::from(ctx.attrs().float_or("high", 1.0)?);
    let mut random = Twister::of_float_seed(ctx.attrs())?;
    draw(dtype, input.dims(), || low + (high - low) * random.uniform())
}
