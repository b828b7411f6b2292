//! Split: a tensor taken apart along an axis, by sizes or into equal parts (the last may be smaller).

use remuda_ir::{
    AttrDef, AttrKind, Draft, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Upgrade, Val,
};
use remuda_tensor::Dim;
use remuda_tensor::dim::DisplayDims;

use crate::support::axes::{resolve_axis, select};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "Split",
    since: 1,
    upgrades: &[Upgrade { below: 13, apply: sizes_to_input }],
    inputs: &[InputDef::new("input", Types::ANY), InputDef::optional("split", Types::I64).tied("")],
    outputs: &[OutputDef::variadic("outputs")],
    attrs: &[AttrDef::new("axis", AttrKind::Int), AttrDef::new("num_outputs", AttrKind::Int)],
    traits: Traits::PURE,
    tolerance: Tolerance::Exact,
    infer,
    reference,
    cases: include_str!("split.cases"),
};

/// The size of each part on the axis.
fn parts(sizes: Option<Vec<Dim>>, whole: &Dim, count: usize) -> Result<Vec<Dim>, OpError> {
    if let Some(sizes) = sizes {
        let total = sizes.iter().fold(Dim::Known(0), |total, size| total.add(size));
        let negative = sizes.iter().any(|size| size.as_i64().is_some_and(|size| size < 0));
        if negative || sizes.len() != count || total.differs(whole) {
            let text = format!(
                "parts of {} do not make up an axis of {whole} for {count} outputs",
                DisplayDims(&sizes)
            );
            return Err(OpError::Invalid(text));
        }
        return Ok(sizes);
    }
    let each = whole.ceil_div(&Dim::from(count));
    let part = |at: usize| {
        let left = whole.sub(&each.mul(&Dim::from(at)));
        if at + 1 < count && whole.as_i64().is_none() {
            each.clone()
        } else {
            each.lesser(&left.greater(&Dim::Known(0)))
        }
    };
    Ok((0..count).map(part).collect())
}

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let (dtype, count) = (ctx.dtype(0)?, ctx.output_count());
    let Some(dims) = ctx.dims(0)? else { return Ok(vec![Inferred::maybe(dtype, None); count]) };
    let axis = resolve_axis(ctx.attrs().int_or("axis", 0)?, dims.len())?;
    let sizes = match (ctx.has(1), ctx.content(1)) {
        (true, None) => vec![Dim::Unknown; count],
        (_, sizes) => parts(sizes, &dims[axis], count)?,
    };
    let content = ctx.content(0).filter(|_| dims.len() == 1);
    let mut start = 0usize;
    let typed = |size: &Dim| {
        let mut dims = dims.to_vec();
        dims[axis] = size.clone();
        let end = size.as_usize().and_then(|size| start.checked_add(size));
        let piece = content
            .as_ref()
            .zip(end)
            .and_then(|(content, end)| content.get(start..end).map(<[Dim]>::to_vec));
        start = end.unwrap_or(usize::MAX);
        Inferred::tensor(dtype, dims).with_content(piece)
    };
    Ok(sizes.iter().map(typed).collect())
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let x = ctx.tensor(0)?;
    let axis = resolve_axis(ctx.attrs().int_or("axis", 0)?, x.rank())?;
    let given = ctx.opt_ints(1)?.map(|sizes| sizes.into_iter().map(Dim::Known).collect());
    let sizes = parts(given, &x.dims()[axis].into(), ctx.output_count())?;
    let mut start = 0;
    let piece = |size: &Dim| {
        let size = size.as_usize().unwrap_or(0);
        let places: Vec<usize> = (start..start + size).collect();
        start += size;
        Ok(select(x, axis, &places)?.into())
    };
    sizes.iter().map(piece).collect()
}

/// Before opset 13, the sizes were an attribute.
fn sizes_to_input(draft: &mut Draft<'_>) -> Result<(), OpError> {
    draft.ints_to_input("split", 1)
}
