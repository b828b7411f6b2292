//! `ExpertLinear`: rows times the transposed weights of experts, which are chosen row by row. Weights
//! hold one matrix per expert, laid out as those of `Linear`. Each token has one row, which all its
//! experts get, or one row per expert; it gets one result per expert that `experts` names.

use remuda_ir::{
    InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types,
    Val,
};
use remuda_tensor::Dim;
use remuda_tensor::dim::DisplayDims;

use crate::support::array::Array;

pub(crate) static OP: OpDef = OpDef {
    domain: "remuda",
    name: "ExpertLinear",
    since: 1,
    upgrades: &[],
    inputs: &[
        InputDef::new("x", Types::FLOATS),
        InputDef::new("weight", Types::FLOATS.or(Types::BLOCK)).tied(""),
        InputDef::new("experts", Types::I64).tied(""),
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
    let (Some(x), Some(weight), Some(experts)) = (ctx.dims(0)?, ctx.dims(1)?, ctx.dims(2)?) else {
        return Ok(vec![Inferred::maybe(dtype, None)]);
    };
    Ok(vec![Inferred::tensor(dtype, result_dims(x, weight, experts)?)])
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

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let (x, weight, experts) = (ctx.tensor(0)?, ctx.tensor(1)?, ctx.tensor(2)?);
    let symbolic = |dims: &[usize]| dims.iter().map(|&dim| Dim::from(dim)).collect::<Vec<_>>();
    result_dims(&symbolic(x.dims()), &symbolic(weight.dims()), &symbolic(experts.dims()))?;
    let (slots, used) = (x.dims()[1], experts.dims()[1]);
    let [count, outputs, depth] = [weight.dims()[0], weight.dims()[1], weight.dims()[2]];
    let (rows, matrices) = (Array::of(x)?, Array::of(weight)?);
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
