//! `FeatureVectorizer`: several tables of features side by side, each cut or filled with zeros to its
//! number of columns.

use remuda_ir::{
    AttrDef, AttrKind, Attrs, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Val,
};
use remuda_tensor::{DType, Dim, Tensor};

use crate::support::array::vec_of;
use crate::support::ml::{FEATURES, Rows, row_count};

pub(crate) static OP: OpDef = OpDef {
    domain: "ai.onnx.ml",
    name: "FeatureVectorizer",
    since: 1,
    upgrades: &[],
    inputs: &[InputDef::variadic("x", FEATURES)],
    outputs: &[OutputDef::new("y")],
    attrs: &[AttrDef::new("inputdimensions", AttrKind::Ints)],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(1.0),
    infer,
    reference,
    cases: include_str!("feature_vectorizer.cases"),
};

/// The columns of each input.
fn widths(attrs: &Attrs, inputs: usize) -> Result<Option<Vec<usize>>, OpError> {
    let Some(widths) = attrs.ints("inputdimensions")? else { return Ok(None) };
    let sizes = widths.iter().map(|&width| usize::try_from(width)).collect::<Result<Vec<_>, _>>();
    match sizes {
        Ok(sizes) if sizes.len() == inputs => Ok(Some(sizes)),
        _ => Err(OpError::Invalid(format!(
            "attribute `inputdimensions` expected a size for each of {inputs} inputs, got {widths:?}"
        ))),
    }
}

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let width = match widths(ctx.attrs(), ctx.input_count())? {
        Some(widths) => widths.into_iter().try_fold(0usize, usize::checked_add).map(Dim::from),
        None => None,
    };
    Ok(vec![Inferred::tensor(DType::F32, [row_count(ctx)?, width.unwrap_or(Dim::Unknown)])])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let tables = ctx.tensors_from(0)?.into_iter().map(Rows::of).collect::<Result<Vec<_>, _>>()?;
    let first = tables.first().ok_or_else(|| OpError::invalid("expected at least one input"))?;
    let widths = widths(ctx.attrs(), tables.len())?
        .unwrap_or_else(|| tables.iter().map(|table| table.width).collect());
    let total = widths.iter().try_fold(0usize, |sum, &width| sum.checked_add(width));
    let total =
        total.ok_or_else(|| OpError::invalid("attribute `inputdimensions` is too large"))?;
    let mut values = vec_of(&[first.count, total], 0f32)?;
    let mut left = 0;
    for (table, &width) in tables.iter().zip(&widths) {
        if table.count != first.count {
            let text = format!("the inputs have {} and {} rows", first.count, table.count);
            return Err(OpError::Invalid(text));
        }
        for (at, row) in table.iter().enumerate() {
            let slots = &mut values[at * total + left..at * total + left + width];
            slots.iter_mut().zip(row).for_each(|(slot, &x)| *slot = x as f32);
        }
        left += width;
    }
    Ok(vec![Tensor::from_vec::<f32>([first.count, total], values)?.into()])
}
