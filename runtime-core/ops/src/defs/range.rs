//! Range: numbers from `start` on, `delta` apart, in front of `limit`.

use remuda_ir::{
    AttrDef, AttrKind, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};
use remuda_tensor::{DType, Dim, Element, Tensor, dispatch_float, dispatch_int};

use crate::support::numbers::Wrapping;
use crate::support::unsupported_dtype;

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "Range",
    since: 11,
    upgrades: &[],
    inputs: &[
        InputDef::new("start", Types::NUMBERS),
        InputDef::new("limit", Types::NUMBERS),
        InputDef::new("delta", Types::NUMBERS),
    ],
    outputs: &[OutputDef::new("output")],
    attrs: &[AttrDef::new("stash_type", AttrKind::Int)],
    traits: Traits::DATA_DEPENDENT,
    tolerance: Tolerance::Float(1.0),
    infer,
    reference,
    cases: include_str!("range.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let dtype = ctx.dtype(0)?;
    if !matches!(dtype, DType::I64 | DType::I32) {
        return Ok(vec![Inferred::tensor(dtype, [Dim::Unknown])]);
    }
    let one = |at: usize| ctx.content(at).and_then(|content| content.into_iter().next());
    let (Some(start), Some(limit), Some(delta)) = (one(0), one(1), one(2)) else {
        return Ok(vec![Inferred::tensor(dtype, [Dim::Unknown])]);
    };
    let count = match delta.as_i64() {
        Some(delta) if delta > 0 => {
            limit.sub(&start).ceil_div(&Dim::Known(delta)).greater(&Dim::Known(0))
        }
        Some(delta) if delta < 0 && delta > i64::MIN => {
            start.sub(&limit).ceil_div(&Dim::Known(-delta)).greater(&Dim::Known(0))
        }
        _ => Dim::Unknown,
    };
    let content = count
        .as_usize()
        .filter(|&count| count <= 64)
        .map(|count| (0..count).map(|at| start.add(&delta.mul(&at.into()))).collect());
    Ok(vec![Inferred::tensor(dtype, [count]).with_content(content)])
}

/// A list that a machine can hold.
const MAX_ELEMENTS: f64 = 1e12;

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let (start, limit, delta) = (ctx.tensor(0)?, ctx.tensor(1)?, ctx.tensor(2)?);
    let bounds = [start, limit, delta];
    dispatch_int!(start.dtype(), T => ints::<T>(bounds), else {
        dispatch_float!(start.dtype(), T => floats::<T>(bounds),
            else Err(unsupported_dtype(start.dtype())))
    })
}

fn floats<T: Element>(bounds: [&Tensor; 3]) -> Result<Vec<Val>, OpError> {
    let [start, limit, delta] = scalars::<T>(bounds)?.map(Element::to_f64);
    let count = count((limit - start) / delta)?;
    let values = (0..count).map(|at| T::from_f64(start + at as f64 * delta)).collect();
    Ok(vec![Tensor::vector::<T>(values).into()])
}

fn ints<T: Wrapping>(bounds: [&Tensor; 3]) -> Result<Vec<Val>, OpError> {
    let [start, limit, delta] = scalars::<T>(bounds)?.map(Wrapping::widen);
    if delta == 0 {
        return Err(OpError::invalid("`delta` is 0"));
    }
    let (way, step) = ((limit - start) * delta.signum(), delta.abs());
    let steps = (way + step - 1).div_euclid(step).max(0);
    let count = count(steps as f64)?;
    let values = (0..count).map(|at| T::wrap(start + at as i128 * delta)).collect();
    Ok(vec![Tensor::vector::<T>(values).into()])
}

fn count(steps: f64) -> Result<usize, OpError> {
    let steps = steps.ceil().max(0.0);
    if steps.is_nan() {
        return Err(OpError::invalid("`delta` is 0, or a bound is no number"));
    }
    if steps > MAX_ELEMENTS {
        return Err(OpError::Resource(format!(
            "a range of {steps} elements does not fit in memory"
        )));
    }
    Tensor::zeros(DType::F64, [steps as usize])?;
    Ok(steps as usize)
}

fn scalars<T: Element>(tensors: [&Tensor; 3]) -> Result<[T; 3], OpError> {
    let mut values = [T::default(); 3];
    for (value, tensor) in values.iter_mut().zip(tensors) {
        let [only] = tensor.to_vec::<T>()?[..] else {
            return Err(OpError::Invalid(format!(
                "expected one element, got dimensions {:?}",
                tensor.dims()
            )));
        };
        *value = only;
    }
    Ok(values)
}
