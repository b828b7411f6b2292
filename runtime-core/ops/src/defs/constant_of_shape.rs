//! `ConstantOfShape:` one value in every place of a tensor of these dimensions; 0 as `f32` by default.

use remuda_ir::{
    AttrDef, AttrKind, Attrs, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};
use remuda_tensor::{DType, Dim, Tensor};

use crate::support::axes::gather_flat;

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "ConstantOfShape",
    since: 9,
    upgrades: &[],
    inputs: &[InputDef::new("input", Types::I64)],
    outputs: &[OutputDef::new("output")],
    attrs: &[AttrDef::new("value", AttrKind::Tensor)],
    traits: Traits::PURE,
    tolerance: Tolerance::Exact,
    infer,
    reference,
    cases: include_str!("constant_of_shape.cases"),
};

/// The value to repeat.
fn value(ctx: &Attrs) -> Result<Tensor, OpError> {
    let value = ctx.tensor("value")?.cloned().unwrap_or_else(|| Tensor::vector(vec![0.0f32]));
    if value.len() != 1 {
        return Err(OpError::Invalid(format!(
            "attribute `value` expected one element, got {}",
            value.len()
        )));
    }
    Ok(value)
}

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let value = value(ctx.attrs())?;
    let Some(dims) = ctx.content(0) else {
        let rank =
            ctx.dims(0)?.and_then(|dims| dims.first()?.as_usize()).filter(|&rank| rank <= 64);
        return Ok(vec![Inferred::maybe(value.dtype(), rank.map(|rank| vec![Dim::Unknown; rank]))]);
    };
    if let Some(size) = dims.iter().filter_map(Dim::as_i64).find(|&size| size < 0) {
        return Err(OpError::Invalid(format!("`input` holds {size}, expected sizes")));
    }
    let content = match dims[..] {
        [Dim::Known(count)] if count <= 64 && matches!(value.dtype(), DType::I64 | DType::I32) => {
            value.to_i64_vec()?.first().map(|&value| vec![Dim::Known(value); count as usize])
        }
        _ => None,
    };
    Ok(vec![Inferred::tensor(value.dtype(), dims).with_content(content)])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let dims = ctx.ints(0)?.into_iter().map(|size| {
        usize::try_from(size)
            .map_err(|_| OpError::Invalid(format!("`input` holds {size}, expected sizes")))
    });
    let dims = dims.collect::<Result<Vec<_>, _>>()?;
    let count = super::super::support::array::element_count(&dims)?;
    let value = value(ctx.attrs())?;
    Tensor::zeros(value.dtype(), dims.clone())?;
    Ok(vec![gather_flat(&value, dims, std::iter::repeat_n(0, count))?.into()])
}
