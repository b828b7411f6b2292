//! `Linear`: rows times the transposed weights, plus a bias. Weights hold one row per output and may be
//! in a block format, whose blocks then run along the inputs, as in files of language models.

use remuda_ir::{
    InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types,
    Val,
};
use remuda_tensor::Dim;
use remuda_tensor::dim::DisplayDims;

use crate::support::array::Array;
use crate::support::matmul::matmul;

pub(crate) static OP: OpDef = OpDef {
    domain: "remuda",
    name: "Linear",
    since: 1,
    upgrades: &[],
    inputs: &[
        InputDef::new("x", Types::FLOATS),
        InputDef::new("weight", Types::FLOATS.or(Types::BLOCK)).tied(""),
        InputDef::optional("bias", Types::FLOATS).tied(""),
    ],
    outputs: &[OutputDef::new("y")],
    attrs: &[],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(4.0),
    infer,
    reference,
    cases: include_str!("linear.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let dtype = ctx.dtype(0)?;
    let (Some(x), Some(weight)) = (ctx.dims(0)?, ctx.dims(1)?) else {
        return Ok(vec![Inferred::maybe(dtype, None)]);
    };
    let dims = linear_dims(x, weight)?;
    if let (true, Some(bias)) = (ctx.has(2), ctx.input(2).and_then(|_| ctx.dims(2).ok().flatten()))
    {
        let fits = matches!(bias, [outputs] if !outputs.differs(&weight[0]));
        if !fits {
            return Err(OpError::Invalid(format!(
                "a bias of {} does not fit weights of {}",
                DisplayDims(bias),
                DisplayDims(weight)
            )));
        }
    }
    Ok(vec![Inferred::tensor(dtype, dims)])
}

fn linear_dims(x: &[Dim], weight: &[Dim]) -> Result<Vec<Dim>, OpError> {
    match (x, weight) {
        ([front @ .., features], [outputs, inputs]) if !features.differs(inputs) => {
            Ok([front, std::slice::from_ref(outputs)].concat())
        }
        _ => Err(OpError::Invalid(format!(
            "rows of {} do not fit weights of {}",
            DisplayDims(x),
            DisplayDims(weight)
        ))),
    }
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let (x, weight) = (ctx.tensor(0)?, ctx.tensor(1)?);
    let symbolic = |dims: &[usize]| dims.iter().map(|&dim| Dim::from(dim)).collect::<Vec<_>>();
    linear_dims(&symbolic(x.dims()), &symbolic(weight.dims()))?;
    let mut y = matmul(&Array::of(x)?, &Array::of(weight)?.permuted(&[1, 0])?)?;
    if let Some(bias) = ctx.opt_tensor(2)? {
        let bias = bias.to_f64_vec()?;
        if bias.len() != weight.dims()[0] {
            let text =
                format!("a bias of {} does not fit weights of {:?}", bias.len(), weight.dims());
            return Err(OpError::Invalid(text));
        }
        for row in y.values.chunks_mut(bias.len().max(1)) {
            row.iter_mut().zip(&bias).for_each(|(y, bias)| *y += bias);
        }
    }
    Ok(vec![y.to_floats(x.dtype())?.into()])
}
