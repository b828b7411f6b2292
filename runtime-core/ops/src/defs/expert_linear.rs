//! `ExpertLinear`: rows times the transposed weights of experts, which are chosen row by row. Weights
//! hold one matrix per expert, laid out as those of `Linear`; where a model keeps its experts apart,
//! those behind the ones of `weight` are in `more`. Each token has one row, which all its experts get,
//! or one row per expert; it gets one result per expert that `experts` names.

use remuda_ir::{
    InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types,
    Val,
};
use remuda_tensor::dim::DisplayDims;
use remuda_tensor::{Dim, Tensor};

use crate::support::array::Array;

pub(crate) static OP: OpDef = OpDef {
    domain: "remuda",
    name: "ExpertLinear",
    since: 1,
    upgrades: &[],
    inputs: &[
        InputDef::new("x", Types::FLOATS),
        InputDef::new("weight", Types::FLOATS.or(Types::BLOCK)).tied("W"),
        InputDef::new("experts", Types::I64).tied(""),
        InputDef::variadic("more", Types::FLOATS.or(Types::BLOCK)).tied("W"),
    ],
    outputs: &[OutputDef::new("y")],
    attrs: &[],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(4.0),
    infer,
    reference,
    cases: include_str!("expert_linear.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let dtype = ctx.dtype(0)?;
    let places = std::iter::once(1).chain(3..ctx.input_count());
    let weights = places.map(|at| ctx.dims(at)).collect::<Result<Option<Vec<_>>, _>>()?;
    let (Some(x), Some(weights), Some(experts)) = (ctx.dims(0)?, weights, ctx.dims(2)?) else {
        return Ok(vec![Inferred::maybe(dtype, None)]);
    };
    Ok(vec![Inferred::tensor(dtype, result_dims(x, &together(&weights)?, experts)?)])
}

/// The dimensions of the matrices of all experts, one after the other.
fn together(parts: &[&[Dim]]) -> Result<Vec<Dim>, OpError> {
    let (first, more) = parts.split_first().ok_or_else(|| OpError::invalid("no weights"))?;
    let mut all = first.to_vec();
    for part in more {
        let (Some((count, matrix)), Some((more, other))) =
            (all.split_first_mut(), part.split_first())
        else {
            return Err(apart(first, part));
        };
        if matrix.len() != other.len() || matrix.iter().zip(other).any(|(a, b)| a.differs(b)) {
            return Err(apart(first, part));
        }
        *count = count.add(more);
    }
    Ok(all)
}

fn apart(one: &[Dim], other: &[Dim]) -> OpError {
    OpError::Invalid(format!(
        "weights of {} and {} do not go together",
        DisplayDims(one),
        DisplayDims(other)
    ))
}

fn result_dims(x: &[Dim], weight: &[Dim], experts: &[Dim]) -> Result<Vec<Dim>, OpError> {
    if let ([rows, slots, inputs], [_, outputs, depth], [tokens, used]) = (x, weight, experts)
        && !rows.differs(tokens)
        && !inputs.differs(depth)
        && (*slots == Dim::Known(1) || !slots.differs(used))
    {
        return Ok(vec![tokens.clone(), used.clone(), outputs.clone()]);
    }
    Err(OpError::Invalid(format!(
        "rows of {} and experts of {} do not fit weights of {}",
        DisplayDims(x),
        DisplayDims(experts),
        DisplayDims(weight)
    )))
}

/// The matrices of all experts, one after the other.
fn matrices(parts: &[&Tensor]) -> Result<Array, OpError> {
    let mut all = Array::of(parts[0])?;
    for part in &parts[1..] {
        let part = Array::of(part)?;
        all.dims[0] += part.dims[0];
        all.values.extend(part.values);
    }
    Ok(all)
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let (x, experts) = (ctx.tensor(0)?, ctx.tensor(2)?);
    let mut weights = vec![ctx.tensor(1)?];
    weights.extend(ctx.tensors_from(3)?);
    let symbolic = |dims: &[usize]| dims.iter().map(|&dim| Dim::from(dim)).collect::<Vec<_>>();
    let dims: Vec<_> = weights.iter().map(|weight| symbolic(weight.dims())).collect();
    let dims = together(&dims.iter().map(Vec::as_slice).collect::<Vec<_>>())?;
    result_dims(&symbolic(x.dims()), &dims, &symbolic(experts.dims()))?;
    let (rows, matrices) = (Array::of(x)?, matrices(&weights)?);
    let (slots, used) = (x.dims()[1], experts.dims()[1]);
    let [count, outputs, depth] = [matrices.dims[0], matrices.dims[1], matrices.dims[2]];
    let mut values = Vec::new();
    for (place, &expert) in experts.to_vec::<i64>()?.iter().enumerate() {
        let expert = usize::try_from(expert).ok().filter(|&expert| expert < count);
        let expert = expert.ok_or_else(|| {
            OpError::Invalid(format!("an expert is not one of {count}, expected 0 to {count} - 1"))
        })?;
        let row = if slots == 1 { place / used } else { place };
        let row = &rows.values[row * depth..][..depth];
        for output in 0..outputs {
            let weights = &matrices.values[(expert * outputs + output) * depth..][..depth];
            values.push(row.iter().zip(weights).map(|(x, weight)| x * weight).sum());
        }
    }
    let y = Array { dims: vec![experts.dims()[0], used, outputs], values };
    Ok(vec![y.to_floats(x.dtype())?.into()])
}
