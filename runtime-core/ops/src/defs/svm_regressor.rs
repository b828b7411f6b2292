//! `SVMRegressor`: for each row the weighted sum of its kernel values with the support vectors,
//! or with `one_class` the sign of that. Without support vectors the model is linear.

use remuda_ir::{
    AttrDef, AttrKind, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Val,
};
use remuda_tensor::{DType, Dim, Tensor};

use crate::support::ml::{FEATURES, Rows, reals, row_count};
use crate::support::svm::{Machine, dot};

pub(crate) static OP: OpDef = OpDef {
    domain: "ai.onnx.ml",
    name: "SVMRegressor",
    since: 1,
    upgrades: &[],
    inputs: &[InputDef::new("x", FEATURES)],
    outputs: &[OutputDef::new("y")],
    attrs: &[
        AttrDef::new("coefficients", AttrKind::Floats),
        AttrDef::new("kernel_params", AttrKind::Floats),
        AttrDef::new("kernel_type", AttrKind::Text),
        AttrDef::new("n_supports", AttrKind::Int),
        AttrDef::new("one_class", AttrKind::Int),
        AttrDef::new("post_transform", AttrKind::Text),
        AttrDef::new("rho", AttrKind::Floats),
        AttrDef::new("support_vectors", AttrKind::Floats),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(1.0),
    infer,
    reference,
    cases: include_str!("svm_regressor.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    Ok(vec![Inferred::tensor(DType::F32, [row_count(ctx)?, Dim::Known(1)])])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let (attrs, rows) = (ctx.attrs(), Rows::of(ctx.tensor(0)?)?);
    let transform = attrs.text_or("post_transform", "NONE")?;
    if transform != "NONE" {
        return Err(OpError::Unsupported(format!("attribute `post_transform` of `{transform}`")));
    }
    let weights = reals(attrs, "coefficients")?;
    let vectors = usize::try_from(attrs.int_or("n_supports", 0)?)
        .map_err(|_| OpError::invalid("attribute `n_supports` is negative"))?;
    let machine = Machine::read(attrs, vectors, rows.width)?;
    let rho = reals(attrs, "rho")?.first().copied();
    let rho = rho.ok_or_else(|| OpError::invalid("attribute `rho` is missing"))?;
    let expected = if vectors == 0 { rows.width } else { vectors };
    if weights.len() != expected {
        let got = weights.len();
        let text = format!("attribute `coefficients` expected {expected} values, got {got}");
        return Err(OpError::Invalid(text));
    }
    let one_class = attrs.bool_or("one_class", false)?;
    let value = |row: &[f64]| {
        let sum =
            if vectors == 0 { dot(&weights, row) } else { dot(&weights, &machine.kernels(row)) };
        match (one_class, sum + rho) {
            (false, value) => value as f32,
            (true, value) if value > 0.0 => 1.0,
            (true, _) => -1.0,
        }
    };
    let values = rows.iter().map(value).collect();
    Ok(vec![Tensor::from_vec::<f32>([rows.count, 1], values)?.into()])
}
