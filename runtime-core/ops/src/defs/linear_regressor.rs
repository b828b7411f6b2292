//! `LinearRegressor`: for each row and target the weighted sum of the features, plus an intercept.

use remuda_ir::{
    AttrDef, AttrKind, Attrs, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Val,
};
use remuda_tensor::{DType, Tensor};

use crate::support::linear::Linear;
use crate::support::ml::{FEATURES, Rows, Transform, row_count};

pub(crate) static OP: OpDef = OpDef {
    domain: "ai.onnx.ml",
    name: "LinearRegressor",
    since: 1,
    upgrades: &[],
    inputs: &[InputDef::new("x", FEATURES)],
    outputs: &[OutputDef::new("y")],
    attrs: &[
        AttrDef::new("coefficients", AttrKind::Floats),
        AttrDef::new("intercepts", AttrKind::Floats),
        AttrDef::new("post_transform", AttrKind::Text),
        AttrDef::new("targets", AttrKind::Int),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(1.0),
    infer,
    reference,
    cases: include_str!("linear_regressor.cases"),
};

fn targets(attrs: &Attrs) -> Result<usize, OpError> {
    let targets = attrs.int_or("targets", 1)?;
    usize::try_from(targets).map_err(|_| {
        OpError::Invalid(format!("attribute `targets` expected a count, got {targets}"))
    })
}

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    Ok(vec![Inferred::tensor(DType::F32, [row_count(ctx)?, targets(ctx.attrs())?.into()])])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let rows = Rows::of(ctx.tensor(0)?)?;
    let model = Linear::read(ctx.attrs(), targets(ctx.attrs())?, rows.width)?;
    let transform = Transform::read(ctx.attrs())?;
    let mut values = Vec::new();
    for row in rows.iter() {
        let mut scores = model.scores(row)?;
        transform.apply(&mut scores);
        values.extend(scores.into_iter().map(|score| score as f32));
    }
    Ok(vec![Tensor::from_vec::<f32>([rows.count, model.outputs], values)?.into()])
}
