//! `QLinearAveragePool`: the mean of each window of a quantised tensor, quantised again.

use remuda_ir::{
    AttrDef, AttrKind, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};
use remuda_tensor::DType;

use crate::support::array::Array;
use crate::support::pool::{infer_pool, pool, pool_input};
use crate::support::quantize::{dequantized, requantized};
use crate::support::window::Window;

pub(crate) static OP: OpDef = OpDef {
    domain: "com.microsoft",
    name: "QLinearAveragePool",
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
    attrs: &[
        AttrDef::new("auto_pad", AttrKind::Text),
        AttrDef::new("ceil_mode", AttrKind::Int),
        AttrDef::new("channels_last", AttrKind::Int),
        AttrDef::new("count_include_pad", AttrKind::Int),
        AttrDef::required("kernel_shape", AttrKind::Ints),
        AttrDef::new("pads", AttrKind::Ints),
        AttrDef::new("strides", AttrKind::Ints),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::OneStep(1.0),
    infer,
    reference,
    cases: include_str!("qlinear_average_pool.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    if ctx.attrs().bool_or("channels_last", false)? {
        return Err(OpError::unsupported("attribute `channels_last`"));
    }
    infer_pool(ctx)
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    if ctx.attrs().bool_or("channels_last", false)? {
        return Err(OpError::unsupported("attribute `channels_last`"));
    }
    pool_input(ctx)?;
    let x = dequantized(ctx, [0, 1, 2])?;
    let include_pads = ctx.attrs().bool_or("count_include_pad", false)?;
    let window = Window::read_pool(ctx.attrs())?;
    let (dims, values) = pool(&x, &window, |under, _| {
        let count = if include_pads { under.padded } else { under.offsets.len() as f64 };
        under.values().sum::<f64>() / count
    })?;
    requantized(ctx, Array { dims, values }, [3, 4], ctx.tensor(0)?.dtype())
}
