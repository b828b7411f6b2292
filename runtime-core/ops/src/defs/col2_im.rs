//! `Col2Im`: puts columns of blocks back to where a sliding window took them from, and sums where they
//! overlap.

use remuda_ir::{
    AttrDef, AttrKind, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};
use remuda_tensor::Dim;
use remuda_tensor::dim::DisplayDims;

use crate::support::array::{Array, positions};
use crate::support::window::Window;

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "Col2Im",
    since: 18,
    upgrades: &[],
    inputs: &[
        InputDef::new("input", Types::NUMBERS),
        InputDef::new("image_shape", Types::I64).tied(""),
        InputDef::new("block_shape", Types::I64).tied(""),
    ],
    outputs: &[OutputDef::new("output")],
    attrs: &[
        AttrDef::new("dilations", AttrKind::Ints),
        AttrDef::new("pads", AttrKind::Ints),
        AttrDef::new("strides", AttrKind::Ints),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(1.0),
    infer,
    reference,
    cases: include_str!("col2_im.cases"),
};

fn sizes(values: &[i64], name: &str) -> Result<Vec<usize>, OpError> {
    let sizes: Option<Vec<usize>> =
        values.iter().map(|&size| usize::try_from(size).ok().filter(|&size| size > 0)).collect();
    sizes.ok_or_else(|| {
        OpError::Invalid(format!("`{name}` expected positive sizes, got {values:?}"))
    })
}

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let dtype = ctx.dtype(0)?;
    let (Some(dims), Some(image), Some(block)) = (ctx.dims(0)?, ctx.content(1), ctx.content(2))
    else {
        return Ok(vec![Inferred::maybe(dtype, None)]);
    };
    let [batch, rows, _] = dims else {
        let got = DisplayDims(dims);
        return Err(OpError::Invalid(format!("`input` expected 3 dimensions, got {got}")));
    };
    let area = block.iter().fold(Dim::Known(1), |area, size| area.mul(size));
    Ok(vec![Inferred::tensor(
        dtype,
        [batch.clone(), rows.floor_div(&area)].into_iter().chain(image),
    )])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let x = Array::of(ctx.tensor(0)?)?;
    let [batch, rows, columns] = x.with_rank("input")?;
    let image = sizes(&ctx.ints(1)?, "image_shape")?;
    let block = sizes(&ctx.ints(2)?, "block_shape")?;
    let grid = Window::read(ctx.attrs(), block.clone())?.over(&image)?;
    let taps = block.iter().try_fold(1usize, |taps, &size| taps.checked_mul(size));
    let taps = taps.filter(|&taps| rows.is_multiple_of(taps)).ok_or_else(|| {
        OpError::Invalid(format!("{rows} rows are no multiple of blocks {block:?}"))
    })?;
    if grid.output.iter().product::<usize>() != columns {
        let text = format!("{columns} columns do not fit windows {:?}", grid.output);
        return Err(OpError::Invalid(text));
    }
    let channels = rows / taps;
    let dims: Vec<usize> = [batch, channels].into_iter().chain(image.clone()).collect();
    let mut out = Array::filled(dims, 0.0)?;
    let plane: usize = image.iter().product();
    for (tap, place) in positions(&block).enumerate() {
        let pairs = grid.pairs(&place);
        for (at, out) in out.values.chunks_exact_mut(plane).enumerate() {
            let x = &x.values[(at * taps + tap) * columns..][..columns];
            pairs.iter().for_each(|&(from, to)| out[to] += x[from]);
        }
    }
    Ok(vec![out.to_numbers(ctx.tensor(0)?.dtype())?.into()])
}
