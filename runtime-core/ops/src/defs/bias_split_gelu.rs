//! `BiasSplitGelu`: data and a bias, split in two along the last axis: the first half times the Gelu of the
//! second.

use remuda_ir::{
    InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types,
    Val,
};
use remuda_tensor::Dim;

use crate::support::array::Array;
use crate::support::gelu::gelu;
use crate::support::skip_norm::add_input;

pub(crate) static OP: OpDef = OpDef {
    domain: "com.microsoft",
    name: "BiasSplitGelu",
    since: 1,
    upgrades: &[],
    inputs: &[InputDef::new("x", Types::FLOATS), InputDef::new("bias", Types::FLOATS)],
    outputs: &[OutputDef::new("y")],
    attrs: &[],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(1.0),
    infer,
    reference,
    cases: include_str!("bias_split_gelu.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let mut dims = ctx.dims(0)?.map(<[Dim]>::to_vec);
    if let Some(last) = dims.as_mut().and_then(|dims| dims.last_mut()) {
        *last = last.floor_div(&Dim::Known(2));
    }
    Ok(vec![Inferred::maybe(ctx.dtype(0)?, dims)])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let mut x = Array::of(ctx.tensor(0)?)?;
    let wide = x.dims.last().copied().unwrap_or(1);
    if !wide.is_multiple_of(2) {
        let dims = &x.dims;
        return Err(OpError::Invalid(format!("the last axis of {dims:?} does not split in two")));
    }
    add_input(&mut x, Some(ctx.tensor(1)?), "bias")?;
    let halves = x.values.chunks(wide.max(1)).map(|row| row.split_at(wide / 2));
    let products = halves.flat_map(|(a, b)| a.iter().zip(b).map(|(a, b)| a * gelu(*b)));
    let values = products.collect();
    let mut dims = x.dims;
    dims.last_mut().into_iter().for_each(|last| *last /= 2);
    Ok(vec![Array { dims, values }.to_floats(ctx.tensor(0)?.dtype())?.into()])
}
