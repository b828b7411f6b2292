//! Bernoulli: 1 with the probability that each element is, else 0. An element becomes 1 where a number
//! drawn as `RandomUniform` draws it is below it.

use remuda_ir::{
    AttrDef, AttrKind, Attrs, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};
use remuda_tensor::{DType, Dim};

use crate::support::dtypes::dtype_attr;
use crate::support::random::{Twister, draw};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "Bernoulli",
    since: 15,
    upgrades: &[],
    inputs: &[InputDef::new("input", Types::FLOATS)],
    outputs: &[OutputDef::new("output")],
    attrs: &[AttrDef::new("dtype", AttrKind::Int), AttrDef::new("seed", AttrKind::Float)],
    traits: Traits::IMPURE,
    tolerance: Tolerance::Shape,
    infer,
    reference,
    cases: include_str!("bernoulli.cases"),
};

fn target(attrs: &Attrs, default: DType) -> Result<DType, OpError> {
    let dtype = dtype_attr(attrs, "dtype")?.unwrap_or(default);
    if Types::NUMBERS.or(Types::BOOL).contains(dtype) {
        return Ok(dtype);
    }
    Err(OpError::Invalid(format!("attribute `dtype` expected a number or `bool`, got `{dtype}`")))
}

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let dtype = target(ctx.attrs(), ctx.dtype(0)?)?;
    Ok(vec![Inferred::maybe(dtype, ctx.dims(0)?.map(<[Dim]>::to_vec))])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let input = ctx.tensor(0)?;
    let dtype = target(ctx.attrs(), input.dtype())?;
    let mut random = Twister::of_float_seed(ctx.attrs())?;
    let mut chances = input.to_f64_vec()?.into_iter();
    draw(dtype, input.dims(), || {
        let chance = chances.next().unwrap_or(0.0);
        f64::from(u8::from(random.uniform() < chance))
    })
}
