//! `QAttention`: `Attention` of com.microsoft whose input and weights are quantised.

use remuda_ir::{
    AttrDef, AttrKind, Attrs, InferCtx, Inferred, InputDef, KernelCtx, Node, OpDef, OpError,
    OpName, OutputDef, Tolerance, Traits, Types, Val,
};
use remuda_tensor::{DType, Dim};

use crate::evaluate;
use crate::support::quantize::scaled_matrix;

const REALS: Types = Types::one(DType::F32).or(Types::one(DType::F16));

pub(crate) static OP: OpDef = OpDef {
    domain: "com.microsoft",
    name: "QAttention",
    since: 1,
    upgrades: &[],
    inputs: &[
        InputDef::new("input", Types::BYTES).tied("T1"),
        InputDef::new("weight", Types::BYTES).tied("T2"),
        InputDef::new("bias", REALS).tied("T3"),
        InputDef::new("input_scale", REALS).tied("T3"),
        InputDef::new("weight_scale", REALS).tied("T3"),
        InputDef::optional("mask_index", Types::one(DType::I32)).tied(""),
        InputDef::optional("input_zero_point", Types::BYTES).tied("T1"),
        InputDef::optional("weight_zero_point", Types::BYTES).tied("T2"),
        InputDef::optional("past", REALS).tied("T3"),
    ],
    outputs: &[OutputDef::new("output"), OutputDef::optional("present")],
    attrs: &[
        AttrDef::new("do_rotary", AttrKind::Int),
        AttrDef::new("mask_filter_value", AttrKind::Float),
        AttrDef::required("num_heads", AttrKind::Int),
        AttrDef::new("past_present_share_buffer", AttrKind::Int),
        AttrDef::new("scale", AttrKind::Float),
        AttrDef::new("unidirectional", AttrKind::Int),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(8.0),
    infer,
    reference,
    cases: include_str!("qattention.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let dtype = ctx.dtype(2)?;
    let width = match ctx.dims(1)? {
        Some([_, all]) => all.floor_div(&Dim::Known(3)),
        _ => Dim::Unknown,
    };
    let dims = match ctx.dims(0)? {
        Some([batch, length, _]) => Some(vec![batch.clone(), length.clone(), width]),
        _ => None,
    };
    Ok(vec![Inferred::maybe(dtype, dims), Inferred::maybe(dtype, None)])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let dtype = ctx.tensor(2)?.dtype();
    let real = |tensor: usize, scale: usize, zero: usize| -> Result<Option<Val>, OpError> {
        let zero = ctx.opt_tensor(zero)?;
        let array = scaled_matrix(ctx.tensor(tensor)?, ctx.tensor(scale)?, zero, true)?;
        Ok(Some(array.to_floats(dtype)?.into()))
    };
    let given = |at: usize| ctx.opt_val(at).cloned();
    let inputs = [real(0, 3, 6)?, real(1, 4, 7)?, given(2), given(5), given(8)];
    let op = OpName::new("com.microsoft", "Attention");
    let mut node = Node::new(op, Vec::new(), ctx.node.outputs.clone());
    node.attrs = Attrs::clone(ctx.attrs());
    evaluate(&node, &inputs)
}
