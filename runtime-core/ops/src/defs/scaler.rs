//! `Scaler`: each element less `offset`, times `scale`; both are one number or one for each
//! place of the last axis.

use remuda_ir::{
    AttrDef, AttrKind, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Val,
};
use remuda_tensor::{DType, Dim, Tensor};

use crate::support::ml::FEATURES;

pub(crate) static OP: OpDef = OpDef {
    domain: "ai.onnx.ml",
    name: "Scaler",
    since: 1,
    upgrades: &[],
    inputs: &[InputDef::new("x", FEATURES)],
    outputs: &[OutputDef::new("y")],
    attrs: &[AttrDef::new("offset", AttrKind::Floats), AttrDef::new("scale", AttrKind::Floats)],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(1.0),
    infer,
    reference,
    cases: include_str!("scaler.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    Ok(vec![Inferred::maybe(DType::F32, ctx.dims(0)?.map(<[Dim]>::to_vec))])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let x = ctx.tensor(0)?;
    let width = x.dims().last().copied().unwrap_or(1);
    let factors = |name, default| -> Result<Vec<f64>, OpError> {
        let list = ctx.attrs().floats(name)?.map_or(vec![default], <[f32]>::to_vec);
        if list.len() == 1 || list.len() == width {
            return Ok(list.into_iter().map(f64::from).collect());
        }
        Err(OpError::Invalid(format!(
            "attribute `{name}` expected 1 or {width} values, got {}",
            list.len()
        )))
    };
    let (offset, scale) = (factors("offset", 0.0f32)?, factors("scale", 1.0)?);
    let pick = |list: &[f64], at: usize| list[if list.len() == 1 { 0 } else { at % width }];
    let values = x.to_f64_vec()?.into_iter().enumerate();
    let values = values.map(|(at, x)| ((x - pick(&offset, at)) * pick(&scale, at)) as f32);
    Ok(vec![Tensor::from_vec::<f32>(x.dims(), values.collect())?.into()])
}
