//! `NonZero:` the places of elements that are not zero, one column each, in row-major order.

use remuda_ir::{
    InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types,
    Val,
};
use remuda_tensor::{DType, Dim, Tensor};

use crate::support::array::positions;

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "NonZero",
    since: 9,
    upgrades: &[],
    inputs: &[InputDef::new("x", Types::NUMBERS.or(Types::BOOL).or(Types::STRING))],
    outputs: &[OutputDef::new("y")],
    attrs: &[],
    traits: Traits::DATA_DEPENDENT,
    tolerance: Tolerance::Exact,
    infer,
    reference,
    cases: include_str!("non_zero.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let rank = ctx.dims(0)?.map_or(Dim::Unknown, |dims| dims.len().into());
    Ok(vec![Inferred::tensor(DType::I64, [rank, Dim::Unknown])])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let x = ctx.tensor(0)?;
    let is_set: Vec<bool> = if x.dtype() == DType::String {
        x.texts().iter().map(|text| !text.is_empty()).collect()
    } else {
        x.to_f64_vec()?.into_iter().map(|value| value != 0.0).collect()
    };
    let found: Vec<Vec<usize>> = positions(x.dims())
        .zip(is_set)
        .filter(|(_, is_set)| *is_set)
        .map(|(position, _)| position)
        .collect();
    let rows =
        (0..x.rank()).flat_map(|axis| found.iter().map(move |position| position[axis] as i64));
    Ok(vec![Tensor::from_vec([x.rank(), found.len()], rows.collect::<Vec<_>>())?.into()])
}
