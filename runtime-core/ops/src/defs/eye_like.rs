//! `EyeLike:` ones on a diagonal, zeros elsewhere, of the dimensions of the input.

use remuda_ir::{
    AttrDef, AttrKind, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};
use remuda_tensor::{Dim, Element, Tensor, dispatch_numeric_or_bool};

use crate::support::dtypes::dtype_attr;
use crate::support::unsupported_dtype;

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "EyeLike",
    since: 9,
    upgrades: &[],
    inputs: &[InputDef::new("input", Types::NUMBERS.or(Types::BOOL))],
    outputs: &[OutputDef::new("output")],
    attrs: &[AttrDef::new("dtype", AttrKind::Int), AttrDef::new("k", AttrKind::Int)],
    traits: Traits::PURE,
    tolerance: Tolerance::Exact,
    infer,
    reference,
    cases: include_str!("eye_like.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let dtype = dtype_attr(ctx.attrs(), "dtype")?.unwrap_or(ctx.dtype(0)?);
    Ok(vec![Inferred::maybe(dtype, ctx.dims(0)?.map(<[Dim]>::to_vec))])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let x = ctx.tensor(0)?;
    let &[rows, columns] = x.dims() else {
        return Err(OpError::Invalid(format!("expected 2 dimensions, got {}", x.rank())));
    };
    let dtype = dtype_attr(ctx.attrs(), "dtype")?.unwrap_or(x.dtype());
    let k = i128::from(ctx.attrs().int_or("k", 0)?);
    dispatch_numeric_or_bool!(dtype, T => {
        let value = |at: usize| T::from_f64(f64::from((at % columns) as i128 - (at / columns) as i128 == k));
        let values = (0..rows * columns).map(value).collect::<Vec<_>>();
        Ok(vec![Tensor::from_vec([rows, columns], values)?.into()])
    }, else Err(unsupported_dtype(dtype)))
}
