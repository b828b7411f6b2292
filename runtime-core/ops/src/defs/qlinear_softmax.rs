//! `QLinearSoftmax`: the softmax of a quantised tensor, quantised again. Below opset 13 of ONNX it runs over
//! all axes from `axis` on, later over that one.

use remuda_ir::{
    AttrDef, AttrKind, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};
use remuda_tensor::{DType, Tensor};

use crate::support::array::Array;
use crate::support::attention::softmax;
use crate::support::axes::{along_axis, resolve_axis};
use crate::support::elementwise::same_as_first;
use crate::support::quantize::{dequantized, requantized};

pub(crate) static OP: OpDef = OpDef {
    domain: "com.microsoft",
    name: "QLinearSoftmax",
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
    attrs: &[AttrDef::new("axis", AttrKind::Int), AttrDef::required("opset", AttrKind::Int)],
    traits: Traits::PURE,
    tolerance: Tolerance::OneStep(1.0),
    infer,
    reference,
    cases: include_str!("qlinear_softmax.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    same_as_first(ctx)
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let x = dequantized(ctx, [0, 1, 2])?;
    let axis = resolve_axis(ctx.attrs().int_or("axis", -1)?, x.dims.len())?;
    let lines = Tensor::from_vec(&x.dims[..], x.values)?;
    let (lines, axis) = if ctx.attrs().required_int("opset")? < 13 {
        let [outer, inner] =
            [&x.dims[..axis], &x.dims[axis..]].map(|dims| dims.iter().product::<usize>());
        (lines.reshape([outer, inner])?, 1)
    } else {
        (lines, axis as i64)
    };
    let made = along_axis(&lines, axis, |line| softmax(line, None))?;
    let made = made.first().ok_or_else(|| OpError::invalid("no result"))?.tensor()?.to_vec()?;
    requantized(ctx, Array { dims: x.dims, values: made }, [3, 4], ctx.tensor(0)?.dtype())
}
