//! `ConvInteger`: a convolution of 8-bit integers less their zero points, as `i32`. Padding is the zero
//! point. The zero point of the weights may be one for each output channel.

use remuda_ir::{
    AttrDef, AttrKind, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};
use remuda_tensor::DType;

use crate::support::convolve::{conv_dims, convolve};
use crate::support::quantize::{less_zero, to_i32};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "ConvInteger",
    since: 10,
    upgrades: &[],
    inputs: &[
        InputDef::new("x", Types::BYTES).tied("T1"),
        InputDef::new("w", Types::BYTES).tied("T2"),
        InputDef::optional("x_zero_point", Types::BYTES).tied("T1"),
        InputDef::optional("w_zero_point", Types::BYTES).tied("T2"),
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
    tolerance: Tolerance::Exact,
    infer,
    reference,
    cases: include_str!("conv_integer.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    Ok(vec![Inferred::maybe(DType::I32, conv_dims(ctx, 0, 1)?)])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let x = less_zero(ctx.tensor(0)?, ctx.opt_tensor(2)?)?;
    let w = less_zero(ctx.tensor(1)?, ctx.opt_tensor(3)?)?;
    Ok(vec![to_i32(&convolve(ctx.attrs(), &x, &w, None)?)?.into()])
}
