//! `BitCast`: the same bits read as another dtype of the same width.

use remuda_ir::{
    AttrDef, AttrKind, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};
use remuda_tensor::{DType, Dim};

use crate::support::dtypes::dtype_of;

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "BitCast",
    since: 26,
    upgrades: &[],
    inputs: &[InputDef::new(
        "input",
        Types::NUMBERS
            .or(Types::SMALL_FLOATS)
            .or(Types::SMALL_INTS)
            .or(Types::BOOL)
            .or(Types::COMPLEX),
    )],
    outputs: &[OutputDef::new("output")],
    attrs: &[AttrDef::required("to", AttrKind::Int)],
    traits: Traits::VIEW,
    tolerance: Tolerance::Exact,
    infer,
    reference,
    cases: include_str!("bit_cast.cases"),
};

/// The dtype that `to` names, if it is as wide as `from`.
fn target(from: DType, to: i64) -> Result<DType, OpError> {
    let dtype = dtype_of(to)?;
    if dtype.bits() == from.bits() {
        return Ok(dtype);
    }
    Err(OpError::Invalid(format!(
        "attribute `to` names `{dtype}` of {} bits, the input is `{from}` of {}",
        dtype.bits(),
        from.bits()
    )))
}

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let dtype = target(ctx.dtype(0)?, ctx.attrs().required_int("to")?)?;
    Ok(vec![Inferred::maybe(dtype, ctx.dims(0)?.map(<[Dim]>::to_vec))])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let input = ctx.tensor(0)?;
    let dtype = target(input.dtype(), ctx.attrs().required_int("to")?)?;
    Ok(vec![input.bit_cast(dtype)?.into()])
}
