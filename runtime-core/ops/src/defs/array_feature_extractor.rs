//! `ArrayFeatureExtractor`: elements of the last axis at given indices.

use remuda_ir::{
    InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types,
    Val,
};
use remuda_tensor::{Dim, Tensor};

use crate::support::join::{concat, part};
use crate::support::ml::FEATURES;

pub(crate) static OP: OpDef = OpDef {
    domain: "ai.onnx.ml",
    name: "ArrayFeatureExtractor",
    since: 1,
    upgrades: &[],
    inputs: &[InputDef::new("x", TYPES), InputDef::new("y", Types::I64).tied("")],
    outputs: &[OutputDef::new("z")],
    attrs: &[],
    traits: Traits::PURE,
    tolerance: Tolerance::Exact,
    infer,
    reference,
    cases: include_str!("array_feature_extractor.cases"),
};

const TYPES: Types = FEATURES.or(Types::STRING);

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let picked = ctx.dims(1)?.map_or(Dim::Unknown, |dims| {
        dims.iter().fold(Dim::Known(1), |product, dim| product.mul(dim))
    });
    let dims = match ctx.dims(0)? {
        None => None,
        Some([] | [_]) => Some(vec![Dim::Known(1), picked]),
        Some([outer @ .., _]) => Some(outer.iter().cloned().chain([picked]).collect()),
    };
    Ok(vec![Inferred::maybe(ctx.dtype(0)?, dims)])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let x = ctx.tensor(0)?;
    let Some((&width, outer)) = x.dims().split_last() else {
        return Err(OpError::invalid("expected at least 1 dimension, got 0"));
    };
    let places = ctx.ints(1)?.into_iter().map(|at| {
        usize::try_from(at)
            .ok()
            .filter(|&at| at < width)
            .ok_or_else(|| OpError::Invalid(format!("index {at} is outside an axis of {width}")))
    });
    let places = places.collect::<Result<Vec<_>, _>>()?;
    let axis = x.rank() - 1;
    let mut dims = outer.to_vec();
    dims.push(places.len());
    if x.rank() == 1 {
        dims.insert(0, 1);
    }
    if places.is_empty() {
        return Ok(vec![Tensor::zeros(x.dtype(), dims)?.into()]);
    }
    let parts = places.iter().map(|&at| part(x, axis, at, 1)).collect::<Result<Vec<_>, _>>()?;
    Ok(vec![concat(&parts, axis)?.reshape(dims)?.into()])
}
