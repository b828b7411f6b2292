//! Concat: tensors put together along an axis.

use remuda_ir::{
    Attr, AttrDef, AttrKind, Draft, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError,
    OutputDef, Tolerance, Traits, Types, Upgrade, Val,
};
use remuda_tensor::dim::DisplayDims;
use remuda_tensor::{Dim, Tensor};

use crate::support::axes::{gather_flat, resolve_axis};
use crate::support::flat::join_flat;

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "Concat",
    since: 1,
    upgrades: &[Upgrade { below: 4, apply: default_axis }],
    inputs: &[InputDef::variadic("inputs", Types::ANY)],
    outputs: &[OutputDef::new("concat_result")],
    attrs: &[AttrDef::required("axis", AttrKind::Int)],
    traits: Traits::PURE,
    tolerance: Tolerance::Exact,
    infer,
    reference,
    cases: include_str!("concat.cases"),
};

/// Before opset 4, the axis had a default.
fn default_axis(draft: &mut Draft<'_>) -> Result<(), OpError> {
    let axis = draft.node.attrs.int_or("axis", 1)?;
    draft.node.attrs.set("axis", Attr::Int(axis));
    Ok(())
}

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let dtype = ctx.dtype(0)?;
    let known =
        (0..ctx.input_count()).map(|at| ctx.dims(at)).collect::<Result<Option<Vec<_>>, _>>()?;
    let Some(all) = known else { return Ok(vec![Inferred::maybe(dtype, None)]) };
    let axis = resolve_axis(ctx.attrs().required_int("axis")?, all[0].len())?;
    let mut dims = all[0].to_vec();
    for other in &all[1..] {
        join(&mut dims, other, axis)?;
    }
    let content = (dims.len() == 1).then(|| content(ctx)).flatten();
    Ok(vec![Inferred::tensor(dtype, dims).with_content(content)])
}

/// Adds the dimensions of one more input.
fn join(dims: &mut [Dim], other: &[Dim], axis: usize) -> Result<(), OpError> {
    let differ = dims.iter().zip(other).enumerate().any(|(at, (a, b))| at != axis && a.differs(b));
    if dims.len() != other.len() || differ {
        let text = format!(
            "dimensions {} and {} do not join at axis {axis}",
            DisplayDims(dims),
            DisplayDims(other)
        );
        return Err(OpError::Invalid(text));
    }
    for (at, (dim, other)) in dims.iter_mut().zip(other).enumerate() {
        if at == axis {
            *dim = dim.add(other);
        } else if dim.as_i64().is_none() && other.as_i64().is_some() {
            *dim = other.clone();
        }
    }
    Ok(())
}

fn content(ctx: &InferCtx<'_>) -> Option<Vec<Dim>> {
    let parts = (0..ctx.input_count()).map(|at| ctx.content(at)).collect::<Option<Vec<_>>>()?;
    Some(parts.concat())
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let parts = ctx.tensors_from(0)?;
    let first = *parts.first().ok_or_else(|| OpError::invalid("expected at least one input"))?;
    let axis = resolve_axis(ctx.attrs().required_int("axis")?, first.rank())?;
    let symbolic =
        |tensor: &Tensor| tensor.dims().iter().map(|&dim| dim.into()).collect::<Vec<Dim>>();
    let mut dims = symbolic(first);
    for other in &parts[1..] {
        join(&mut dims, &symbolic(other), axis)?;
    }
    let dims = dims.iter().map(Dim::as_usize).collect::<Option<Vec<_>>>();
    let dims = dims.ok_or_else(|| OpError::invalid("the dimensions overflow"))?;
    let outer: usize = dims[..axis].iter().product();
    let rows: Vec<usize> = parts.iter().map(|part| part.dims()[axis..].iter().product()).collect();
    let starts: Vec<usize> = parts
        .iter()
        .scan(0, |start, part| Some(std::mem::replace(start, *start + part.len())))
        .collect();
    let source = (0..outer).flat_map(|block| {
        let rows = &rows;
        starts
            .iter()
            .zip(rows)
            .flat_map(move |(start, row)| start + block * row..start + (block + 1) * row)
    });
    let all = join_flat(&parts)?;
    Ok(vec![gather_flat(&all, dims, source)?.into()])
}
