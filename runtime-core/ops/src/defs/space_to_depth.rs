//! `SpaceToDepth`: moves blocks of space into channels.

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
    name: "SpaceToDepth",
    since: 1,
    upgrades: &[],
    inputs: &[InputDef::new("input", Types::ANY)],
    outputs: &[OutputDef::new("output")],
    attrs: &[AttrDef::required("blocksize", AttrKind::Int), AttrDef::new("mode", AttrKind::Text)],
    traits: Traits::PURE,
    tolerance: Tolerance::Exact,
    infer,
    reference,
    cases: include_str!("space_to_depth.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let dtype = ctx.dtype(0)?;
    let block = Dim::from(read_blocks(ctx.attrs())?.0);
    let Some(dims) = ctx.dims(0)? else { return Ok(vec![Inferred::maybe(dtype, None)]) };
    let [batch, channels, height, width] = dims else {
        let got = DisplayDims(dims);
        return Err(OpError::Invalid(format!("`input` expected 4 dimensions, got {got}")));
    };
    let channels = channels.mul(&block).mul(&block);
    let space = [height.floor_div(&block), width.floor_div(&block)];
    Ok(vec![Inferred::tensor(dtype, [batch.clone(), channels].into_iter().chain(space))])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let x = ctx.tensor(0)?;
    let (block, channels_first) = read_blocks(ctx.attrs())?;
    let [n, c, h, w] = with_rank(x.dims(), "input")?;
    if !h.is_multiple_of(block) || !w.is_multiple_of(block) {
        let text = format!("{h} by {w} elements do not divide into blocks of {block} by {block}");
        return Err(OpError::Invalid(text));
    }
    let split = [n, c, h / block, block, w / block, block];
    let order = if channels_first { [0, 1, 3, 5, 2, 4] } else { [0, 3, 5, 1, 2, 4] };
    let channels = c.saturating_mul(block).saturating_mul(block);
    let dims = vec![n, channels, h / block, w / block];
    Ok(vec![rearrange(x, &split, &order, dims)?.into()])
}
