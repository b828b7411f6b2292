//! `Normalizer`: each row divided by its maximum, by the sum of its distances from zero or by
//! its length; a row whose divisor is zero stays.

use remuda_ir::{
    AttrDef, AttrKind, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Val,
};
use remuda_tensor::{DType, Dim, Tensor};

use crate::support::activations::greater;
use crate::support::ml::{FEATURES, Rows};

pub(crate) static OP: OpDef = OpDef {
    domain: "ai.onnx.ml",
    name: "Normalizer",
    since: 1,
    upgrades: &[],
    inputs: &[InputDef::new("x", FEATURES)],
    outputs: &[OutputDef::new("y")],
    attrs: &[AttrDef::new("norm", AttrKind::Text)],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(1.0),
    infer,
    reference,
    cases: include_str!("normalizer.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    Ok(vec![Inferred::maybe(DType::F32, ctx.dims(0)?.map(<[Dim]>::to_vec))])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let divisor: fn(&[f64]) -> f64 = match ctx.attrs().text_or("norm", "MAX")? {
        "MAX" => |row| row.iter().copied().fold(f64::NEG_INFINITY, greater),
        "L1" => |row| row.iter().map(|x| x.abs()).sum(),
        "L2" => |row| row.iter().map(|x| x * x).sum::<f64>().sqrt(),
        other => {
            let text = format!("attribute `norm` expected `MAX`, `L1` or `L2`, got `{other}`");
            return Err(OpError::Invalid(text));
        }
    };
    let x = ctx.tensor(0)?;
    let rows = Rows::of(x)?;
    let values = rows.iter().flat_map(|row| {
        let divisor = Some(divisor(row)).filter(|&divisor| divisor != 0.0).unwrap_or(1.0);
        row.iter().map(move |x| (x / divisor) as f32).collect::<Vec<_>>()
    });
    let values = values.collect();
    Ok(vec![Tensor::from_vec::<f32>(x.dims(), values)?.into()])
}
