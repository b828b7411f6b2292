//! `QLinearConcat`: quantised tensors put together along an axis, each with a scale and zero point of
//! its own, quantised again with common ones.

use remuda_ir::{
    Attr, AttrDef, AttrKind, Attrs, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError,
    OutputDef, Tolerance, Traits, Types, Val,
};
use remuda_tensor::{DType, Dim, Tensor};

use crate::support::array::Array;
use crate::support::axes::resolve_axis;
use crate::support::compose::step;
use crate::support::quantize::{dequantized, requantized};

const STORED: Types = Types::BYTES;

pub(crate) static OP: OpDef = OpDef {
    domain: "com.microsoft",
    name: "QLinearConcat",
    since: 1,
    upgrades: &[],
    inputs: &[
        InputDef::new("y_scale", Types::one(DType::F32)).tied(""),
        InputDef::new("y_zero_point", STORED),
        InputDef::variadic("inputs", STORED.or(Types::one(DType::F32))).tied(""),
    ],
    outputs: &[OutputDef::new("y")],
    attrs: &[AttrDef::required("axis", AttrKind::Int)],
    traits: Traits::PURE,
    tolerance: Tolerance::OneStep(1.0),
    infer,
    reference,
    cases: include_str!("qlinear_concat.cases"),
};

/// Where the tensors stand among the inputs: each is followed by its scale and zero point.
fn parts(count: usize) -> Result<impl Iterator<Item = usize>, OpError> {
    if count < 5 || !(count - 2).is_multiple_of(3) {
        let text =
            format!("expected a tensor, scale and zero point for each part, got {count} inputs");
        return Err(OpError::Invalid(text));
    }
    Ok((2..count).step_by(3))
}

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let dtype = ctx.dtype(1)?;
    let mut joined: Option<Vec<Dim>> = None;
    for at in parts(ctx.input_count())? {
        let Some(dims) = ctx.dims(at)? else { return Ok(vec![Inferred::maybe(dtype, None)]) };
        let axis = resolve_axis(ctx.attrs().required_int("axis")?, dims.len())?;
        joined = Some(match joined {
            None => dims.to_vec(),
            Some(mut sum) if sum.len() == dims.len() => {
                sum[axis] = sum[axis].add(&dims[axis]);
                sum
            }
            Some(_) => return Err(OpError::invalid("the parts differ in rank")),
        });
    }
    Ok(vec![Inferred::maybe(dtype, joined)])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let mut real = Vec::new();
    for at in parts(ctx.inputs.len())? {
        let part = dequantized(ctx, [at, at + 1, at + 2])?;
        real.push(Some(Val::from(Tensor::from_vec(part.dims, part.values)?)));
    }
    let mut attrs = Attrs::default();
    attrs.set("axis", Attr::Int(ctx.attrs().required_int("axis")?));
    let joined = step("Concat", attrs, real)?;
    requantized(ctx, Array::of(joined.tensor()?)?, [0, 1], DType::U8)
}
