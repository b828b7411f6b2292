//! `QLinearGlobalAveragePool`: the mean of each channel of a quantised tensor, quantised again. The channels
//! are axis 1, or with `channels_last` the last.

use remuda_ir::{
    AttrDef, AttrKind, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};
use remuda_tensor::{DType, Dim};

use crate::support::array::Array;
use crate::support::quantize::{dequantized, requantized};

pub(crate) static OP: OpDef = OpDef {
    domain: "com.microsoft",
    name: "QLinearGlobalAveragePool",
    since: 1,
    upgrades: &[],
    inputs: &[
        InputDef::new("x", Types::BYTES),
        InputDef::new("x_scale", Types::one(DType::F32)).tied(""),
        InputDef::optional("x_zero_point", Types::BYTES),
        InputDef::new("y_scale", Types::one(DType::F32)).tied(""),
        InputDef::optional("y_zero_point", Types::BYTES),
    ],
    outputs: &[OutputDef::new("y")],
    attrs: &[AttrDef::new("channels_last", AttrKind::Int)],
    traits: Traits::PURE,
    tolerance: Tolerance::OneStep(1.0),
    infer,
    reference,
    cases: include_str!("qlinear_global_average_pool.cases"),
};

/// The axes over which the mean is taken.
fn spatial(last: bool, rank: usize) -> Result<std::ops::Range<usize>, OpError> {
    if rank < 3 {
        return Err(OpError::Invalid(format!("expected at least 3 dimensions, got {rank}")));
    }
    Ok(if last { 1..rank - 1 } else { 2..rank })
}

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let last = ctx.attrs().bool_or("channels_last", false)?;
    let Some(dims) = ctx.dims(0)? else { return Ok(vec![Inferred::maybe(ctx.dtype(0)?, None)]) };
    let mut dims = dims.to_vec();
    let axes = spatial(last, dims.len())?;
    dims[axes].fill(Dim::Known(1));
    Ok(vec![Inferred::tensor(ctx.dtype(0)?, dims)])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let x = dequantized(ctx, [0, 1, 2])?;
    let axes = spatial(ctx.attrs().bool_or("channels_last", false)?, x.dims.len())?;
    let plane: usize = x.dims[axes.clone()].iter().product();
    let inner: usize = x.dims[axes.end..].iter().product();
    let mut dims = x.dims.clone();
    dims[axes].fill(1);
    let mut y = Array::filled(dims, 0.0)?;
    for (at, mean) in y.values.iter_mut().enumerate() {
        let (block, channel) = (at / inner, at % inner);
        let place = |spot: usize| (block * plane + spot) * inner + channel;
        *mean = (0..plane).map(|spot| x.values[place(spot)]).sum::<f64>() / plane as f64;
    }
    requantized(ctx, y, [3, 4], ctx.tensor(0)?.dtype())
}
