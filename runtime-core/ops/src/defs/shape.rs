//! Shape: the dimensions of a tensor, or a range of them.

use remuda_ir::{
    AttrDef, AttrKind, Attrs, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};
use remuda_tensor::{DType, Dim, Tensor};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "Shape",
    since: 1,
    upgrades: &[],
    inputs: &[InputDef::new("data", Types::ANY)],
    outputs: &[OutputDef::new("shape")],
    attrs: &[AttrDef::new("end", AttrKind::Int), AttrDef::new("start", AttrKind::Int)],
    traits: Traits::PURE,
    tolerance: Tolerance::Exact,
    infer,
    reference,
    cases: include_str!("shape.cases"),
};

/// Which axes are asked for; both ends clamp.
fn range(attrs: &Attrs, rank: usize) -> Result<std::ops::Range<usize>, OpError> {
    let rank = rank as i64;
    let clamp = |at: i64| if at < 0 { at.saturating_add(rank) } else { at }.clamp(0, rank) as usize;
    let start = clamp(attrs.int_or("start", 0)?);
    let end = clamp(attrs.int_or("end", rank)?);
    Ok(start..end.max(start))
}

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let Some(dims) = ctx.dims(0)? else {
        return Ok(vec![Inferred::tensor(DType::I64, [Dim::Unknown])]);
    };
    let asked = dims[range(ctx.attrs(), dims.len())?].to_vec();
    Ok(vec![Inferred::tensor(DType::I64, [asked.len().into()]).with_content(Some(asked))])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let dims = ctx.tensor(0)?.dims();
    let asked = dims[range(ctx.attrs(), dims.len())?].iter().map(|&dim| dim as i64).collect();
    Ok(vec![Tensor::vector::<i64>(asked).into()])
}
