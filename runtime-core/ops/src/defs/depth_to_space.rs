//! `DepthToSpace`: moves groups of channels into blocks of space.

use remuda_ir::{
    AttrDef, AttrKind, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};
use remuda_tensor::Dim;
use remuda_tensor::dim::DisplayDims;

use crate::support::array::with_rank;
use crate::support::blocks::{read_blocks, rearrange};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "DepthToSpace",
    since: 1,
    upgrades: &[],
    inputs: &[InputDef::new("input", Types::ANY)],
    outputs: &[OutputDef::new("output")],
    attrs: &[AttrDef::required("blocksize", AttrKind::Int), AttrDef::new("mode", AttrKind::Text)],
    traits: Traits::PURE,
    tolerance: Tolerance::Exact,
    infer,
    reference,
    cases: include_str!("depth_to_space.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let dtype = ctx.dtype(0)?;
    let block = Dim::from(read_blocks(ctx.attrs())?.0);
    let Some(dims) = ctx.dims(0)? else { return Ok(vec![Inferred::maybe(dtype, None)]) };
    let [batch, channels, height, width] = dims else {
        let got = DisplayDims(dims);
        return Err(OpError::Invalid(format!("`input` expected 4 dimensions, got {got}")));
    };
    let channels = channels.floor_div(&block.mul(&block));
    Ok(vec![Inferred::tensor(
        dtype,
        [batch.clone(), channels, height.mul(&block), width.mul(&block)],
    )])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let x = ctx.tensor(0)?;
    let (block, channels_first) = read_blocks(ctx.attrs())?;
    let [n, c, h, w] = with_rank(x.dims(), "input")?;
    let area =
        block.checked_mul(block).filter(|&area| c.is_multiple_of(area)).ok_or_else(|| {
            OpError::Invalid(format!(
                "{c} channels do not divide into blocks of {block} by {block}"
            ))
        })?;
    let (split, order) = if channels_first {
        ([n, c / area, block, block, h, w], [0, 1, 4, 2, 5, 3])
    } else {
        ([n, block, block, c / area, h, w], [0, 3, 4, 1, 5, 2])
    };
    let dims = vec![n, c / area, h * block, w * block];
    Ok(vec![rearrange(x, &split, &order, dims)?.into()])
}
