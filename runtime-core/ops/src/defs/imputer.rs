//! `Imputer`: elements that equal one value (`NaN` counts as equal to itself) replaced by
//! another, which may differ for each place of the last axis.

use remuda_ir::{
    AttrDef, AttrKind, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Val,
};
use remuda_tensor::{DType, Element, Tensor, dispatch_float};

use crate::support::elementwise::same_as_first;
use crate::support::ml::FEATURES;
use crate::support::unsupported_dtype;

pub(crate) static OP: OpDef = OpDef {
    domain: "ai.onnx.ml",
    name: "Imputer",
    since: 1,
    upgrades: &[],
    inputs: &[InputDef::new("x", FEATURES)],
    outputs: &[OutputDef::new("y")],
    attrs: &[
        AttrDef::new("imputed_value_floats", AttrKind::Floats),
        AttrDef::new("imputed_value_int64s", AttrKind::Ints),
        AttrDef::new("replaced_value_float", AttrKind::Float),
        AttrDef::new("replaced_value_int64", AttrKind::Int),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Exact,
    infer: same_as_first,
    reference,
    cases: include_str!("imputer.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let (x, attrs) = (ctx.tensor(0)?, ctx.attrs());
    if x.dtype().is_float() {
        let values = attrs.floats("imputed_value_floats")?.unwrap_or(&[]);
        let values: Vec<f64> = values.iter().copied().map(f64::from).collect();
        let gone = f64::from(attrs.float_or("replaced_value_float", 0.0)?);
        let is_gone = |value: f64| value == gone || (value.is_nan() && gone.is_nan());
        return dispatch_float!(x.dtype(), T => {
            replaced::<T, f64>(x, &values, |x| is_gone(x.to_f64()), |value| T::from_f64(*value))
        }, else Err(unsupported_dtype(x.dtype())));
    }
    let values = attrs.ints("imputed_value_int64s")?.unwrap_or(&[]);
    let gone = attrs.int_or("replaced_value_int64", 0)?;
    match x.dtype() {
        DType::I32 => {
            replaced::<i32, i64>(x, values, |x| i64::from(x) == gone, |&value| value as i32)
        }
        _ => replaced::<i64, i64>(x, values, |x| x == gone, |&value| value),
    }
}

fn replaced<T: Element, V>(
    x: &Tensor,
    values: &[V],
    is_gone: impl Fn(T) -> bool,
    convert: impl Fn(&V) -> T,
) -> Result<Vec<Val>, OpError> {
    let width = x.dims().last().copied().unwrap_or(1);
    if values.len() != 1 && values.len() != width {
        let text = format!("expected 1 or {width} imputed values, got {}", values.len());
        return Err(OpError::Invalid(text));
    }
    let mut elements = x.to_vec::<T>()?;
    for (at, element) in elements.iter_mut().enumerate().filter(|(_, element)| is_gone(**element)) {
        *element = convert(&values[if values.len() == 1 { 0 } else { at % width }]);
    }
    Ok(vec![Tensor::from_vec::<T>(x.dims(), elements)?.into()])
}
