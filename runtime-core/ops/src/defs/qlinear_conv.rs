//! `QLinearConv`: a convolution of quantised tensors with a quantised result. Scales and zero points of the
//! weights may be one for each output channel; the bias counts in units of data scale times weight scale.

use remuda_ir::{
    AttrDef, AttrKind, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};
use remuda_tensor::DType;

use crate::support::array::Array;
use crate::support::convolve::{conv_dims, convolve};
use crate::support::quantize::{less_zero, requantized, scalar_f64, spread};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "QLinearConv",
    since: 10,
    upgrades: &[],
    inputs: &[
        InputDef::new("x", Types::BYTES).tied("T1"),
        InputDef::new("x_scale", Types::one(DType::F32)).tied(""),
        InputDef::new("x_zero_point", Types::BYTES).tied("T1"),
        InputDef::new("w", Types::BYTES).tied("T2"),
        InputDef::new("w_scale", Types::one(DType::F32)).tied(""),
        InputDef::new("w_zero_point", Types::BYTES).tied("T2"),
        InputDef::new("y_scale", Types::one(DType::F32)).tied(""),
        InputDef::new("y_zero_point", Types::BYTES).tied(""),
        InputDef::optional("b", Types::one(DType::I32)).tied(""),
    ],
    outputs: &[OutputDef::new("y")],
    attrs: &[
        AttrDef::new("auto_pad", AttrKind::Text),
        AttrDef::new("dilations", AttrKind::Ints),
        AttrDef::new("group", AttrKind::Int),
        AttrDef::new("kernel_shape", AttrKind::Ints),
        AttrDef::new("pads", AttrKind::Ints),
        AttrDef::new("strides", AttrKind::Ints),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::OneStep(1.0),
    infer,
    reference,
    cases: include_str!("qlinear_conv.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    Ok(vec![Inferred::maybe(ctx.dtype(7)?, conv_dims(ctx, 0, 3)?)])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let x = less_zero(ctx.tensor(0)?, ctx.opt_tensor(2)?)?;
    let w = less_zero(ctx.tensor(3)?, ctx.opt_tensor(5)?)?;
    let bias = Array::of_optional(ctx.opt_tensor(8)?)?;
    let mut y = convolve(ctx.attrs(), &x, &w, bias.as_ref())?;
    let x_scale = scalar_f64(ctx.tensor(1)?, "x_scale")?;
    let w_scales = spread(ctx.tensor(4)?, "w_scale", &y.dims, 1, 0)?;
    y.values.iter_mut().zip(w_scales).for_each(|(value, scale)| *value *= x_scale * scale);
    requantized(ctx, y, [6, 7], DType::U8)
}
