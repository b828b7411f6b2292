//! Slice: ranges of places along some axes, with steps, as Python writes `start:end:step`.

use remuda_ir::{
    Draft, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits,
    Types, Upgrade, Val,
};
use remuda_tensor::Dim;

use crate::support::axes::{resolve_axis, select};
use crate::support::slices::slice_places;

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "Slice",
    since: 1,
    upgrades: &[Upgrade { below: 10, apply: ranges_to_inputs }],
    inputs: &[
        InputDef::new("data", Types::ANY),
        InputDef::new("starts", Types::INDEX).tied("Tind"),
        InputDef::new("ends", Types::INDEX).tied("Tind"),
        InputDef::optional("axes", Types::INDEX).tied("Tind"),
        InputDef::optional("steps", Types::INDEX).tied("Tind"),
    ],
    outputs: &[OutputDef::new("output")],
    attrs: &[],
    traits: Traits::PURE,
    tolerance: Tolerance::Exact,
    infer,
    reference,
    cases: include_str!("slice.cases"),
};

/// One range: the axis, and its start, end and step.
struct Range {
    axis: usize,
    start: Dim,
    end: Dim,
    step: i64,
}

/// What is asked for, or `None` where some of it is not known yet.
fn ranges(
    rank: usize,
    starts: Option<Vec<Dim>>,
    ends: Option<Vec<Dim>>,
    axes: Option<Vec<i64>>,
    steps: Option<Vec<i64>>,
) -> Result<Option<Vec<Range>>, OpError> {
    let (Some(starts), Some(ends), Some(axes)) = (starts, ends, axes) else { return Ok(None) };
    let Some(steps) = steps else { return Ok(None) };
    let count = starts.len();
    if [ends.len(), axes.len(), steps.len()] != [count; 3] {
        let text = format!(
            "`starts`, `ends`, `axes` and `steps` hold {count}, {}, {} and {} numbers",
            ends.len(),
            axes.len(),
            steps.len()
        );
        return Err(OpError::Invalid(text));
    }
    let mut seen = vec![false; rank];
    let mut ranges = Vec::with_capacity(count);
    for (((start, end), axis), step) in starts.into_iter().zip(ends).zip(axes).zip(steps) {
        let axis = resolve_axis(axis, rank)?;
        if std::mem::replace(&mut seen[axis], true) {
            return Err(OpError::Invalid(format!("`axes` names axis {axis} twice")));
        }
        if step == 0 {
            return Err(OpError::invalid("`steps` holds 0"));
        }
        ranges.push(Range { axis, start, end, step });
    }
    Ok(Some(ranges))
}

/// The size of a range of an axis, by algebra where it is not all numbers.
fn size(dim: &Dim, range: &Range) -> Dim {
    if let (Some(dim), Some(start), Some(end)) =
        (dim.as_usize(), range.start.as_i64(), range.end.as_i64())
    {
        return slice_places(dim, start, end, range.step)
            .map_or(Dim::Unknown, |(_, count)| count.into());
    }
    if range.step != 1 {
        return Dim::Unknown;
    }
    let zero = Dim::Known(0);
    let wrap = |at: &Dim| match at.as_i64() {
        Some(at) if at < 0 => dim.add(&Dim::Known(at)),
        _ => at.clone(),
    };
    let end = match range.end.as_i64() {
        Some(end) if end >= i64::from(i32::MAX) => dim.clone(),
        _ => wrap(&range.end).lesser(dim),
    };
    end.sub(&wrap(&range.start).lesser(dim)).greater(&zero)
}

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let dtype = ctx.dtype(0)?;
    let Some(dims) = ctx.dims(0)? else { return Ok(vec![Inferred::maybe(dtype, None)]) };
    let (starts, ends) = (ctx.content(1), ctx.content(2));
    let count = starts.as_ref().map_or(0, Vec::len);
    let axes = if ctx.has(3) { ctx.ints(3) } else { Some((0..count as i64).collect()) };
    let steps = if ctx.has(4) { ctx.ints(4) } else { Some(vec![1; count]) };
    let unknown_axes = axes.is_none();
    let named = axes.clone();
    let Some(ranges) = ranges(dims.len(), starts, ends, axes, steps)? else {
        let open = |at: usize| {
            unknown_axes
                || named.as_ref().is_some_and(|axes| {
                    axes.is_empty()
                        || axes.iter().any(|&axis| resolve_axis(axis, dims.len()).ok() == Some(at))
                })
        };
        let dims = dims
            .iter()
            .enumerate()
            .map(|(at, dim)| if open(at) { Dim::Unknown } else { dim.clone() });
        return Ok(vec![Inferred::tensor(dtype, dims)]);
    };
    let mut out = dims.to_vec();
    for range in &ranges {
        out[range.axis] = size(&dims[range.axis], range);
    }
    let content =
        ctx.content(0).filter(|_| dims.len() == 1).and_then(|content| match &ranges[..] {
            [range] => {
                let (start, count) = slice_places(
                    content.len(),
                    range.start.as_i64()?,
                    range.end.as_i64()?,
                    range.step,
                )?;
                places(start, count, range.step).map(|at| content.get(at).cloned()).collect()
            }
            _ => None,
        });
    Ok(vec![Inferred::tensor(dtype, out).with_content(content)])
}

fn places(start: usize, count: usize, step: i64) -> impl Iterator<Item = usize> {
    (0..count).map(move |at| (start as i128 + at as i128 * i128::from(step)) as usize)
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let mut x = ctx.tensor(0)?.clone();
    let known = |ints: Vec<i64>| Some(ints.into_iter().map(Dim::Known).collect::<Vec<_>>());
    let (starts, ends) = (ctx.ints(1)?, ctx.ints(2)?);
    let axes = ctx.opt_ints(3)?.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = ctx.opt_ints(4)?.unwrap_or_else(|| vec![1; starts.len()]);
    for range in
        ranges(x.rank(), known(starts), known(ends), Some(axes), Some(steps))?.unwrap_or_default()
    {
        let (start, end) = (range.start.as_i64().unwrap_or(0), range.end.as_i64().unwrap_or(0));
        let (start, count) = slice_places(x.dims()[range.axis], start, end, range.step)
            .ok_or_else(|| OpError::invalid("a range cannot be counted"))?;
        x = select(&x, range.axis, &places(start, count, range.step).collect::<Vec<_>>())?;
    }
    Ok(vec![x.into()])
}

/// Before opset 10, the ranges were attributes.
fn ranges_to_inputs(draft: &mut Draft<'_>) -> Result<(), OpError> {
    draft.ints_to_input("starts", 1)?;
    draft.ints_to_input("ends", 2)?;
    draft.ints_to_input("axes", 3)
}
