//! `MatMul`: matrix products by NumPy's rules. The second side may be weights in a block format.

use remuda_ir::{
    InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types,
    Val,
};
use remuda_tensor::DType;

use crate::support::array::Array;
use crate::support::matmul::{matmul, matmul_dims, matmul_ints};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "MatMul",
    since: 1,
    upgrades: &[],
    inputs: &[
        InputDef::new(
            "a",
            Types::FLOATS
                .or(Types::one(DType::I32))
                .or(Types::one(DType::I64))
                .or(Types::one(DType::U32))
                .or(Types::one(DType::U64)),
        ),
        InputDef::new(
            "b",
            Types::FLOATS
                .or(Types::one(DType::I32))
                .or(Types::one(DType::I64))
                .or(Types::one(DType::U32))
                .or(Types::one(DType::U64))
                .or(Types::BLOCK),
        )
        .tied(""),
    ],
    outputs: &[OutputDef::new("y")],
    attrs: &[],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(1.0),
    infer,
    reference,
    cases: include_str!("mat_mul.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    check_dtypes(ctx.dtype(0)?, ctx.dtype(1)?)?;
    let dims = match (ctx.dims(0)?, ctx.dims(1)?) {
        (Some(a), Some(b)) => Some(matmul_dims(a, b)?),
        _ => None,
    };
    Ok(vec![Inferred::maybe(ctx.dtype(0)?, dims)])
}

fn check_dtypes(a: DType, b: DType) -> Result<(), OpError> {
    if a == b || (matches!(b, DType::Block(_)) && a.is_float()) {
        return Ok(());
    }
    Err(OpError::Invalid(format!("cannot multiply `{a}` with `{b}`")))
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let (a, b) = (ctx.tensor(0)?, ctx.tensor(1)?);
    check_dtypes(a.dtype(), b.dtype())?;
    if a.dtype().is_int() {
        return Ok(vec![matmul_ints(a, b, a.dtype())?.into()]);
    }
    Ok(vec![matmul(&Array::of(a)?, &Array::of(b)?)?.to_floats(a.dtype())?.into()])
}
