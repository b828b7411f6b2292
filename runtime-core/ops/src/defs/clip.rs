//! Clip: each element kept between `min` and `max`, which default to the least and greatest
//! finite number of the dtype. Where `min` is above `max`, everything is `max`. `NaN` stays
//! `NaN`.

use remuda_ir::{
    Draft, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types, Upgrade, Val,
};
use remuda_tensor::{DType, Element, Tensor, bf16, f16};

use crate::support::elementwise::{by_kind, map_with, same_as_first};
use crate::support::upgrades::{drop_consumed_inputs, float_to_input};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "Clip",
    since: 1,
    upgrades: &[
        Upgrade { below: 6, apply: drop_consumed_inputs },
        Upgrade { below: 11, apply: bounds_to_inputs },
    ],
    inputs: &[
        InputDef::new("input", Types::NUMBERS),
        InputDef::optional("min", Types::NUMBERS),
        InputDef::optional("max", Types::NUMBERS),
    ],
    outputs: &[OutputDef::new("output")],
    attrs: &[],
    traits: Traits::ELEMENTWISE,
    tolerance: Tolerance::Exact,
    infer: same_as_first,
    reference,
    cases: include_str!("clip.cases"),
};

/// Before opset 11, the bounds were attributes.
fn bounds_to_inputs(draft: &mut Draft<'_>) -> Result<(), OpError> {
    float_to_input(draft, "min", 1)?;
    float_to_input(draft, "max", 2)
}

/// The largest finite value of a float dtype.
fn largest(dtype: DType) -> f64 {
    match dtype {
        DType::F16 => f64::from(f16::MAX),
        DType::BF16 => f64::from(bf16::MAX),
        DType::F32 => f64::from(f32::MAX),
        _ => f64::MAX,
    }
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let data = ctx.tensor(0)?;
    let (min, max) = (ctx.opt_tensor(1)?, ctx.opt_tensor(2)?);
    by_kind!(data.dtype(), T,
    float => {
        let limit = largest(data.dtype());
        let low = bound::<T>(min, "min")?.map_or(-limit, Element::to_f64);
        let high = bound::<T>(max, "max")?.map_or(limit, Element::to_f64);
        map_with::<T>(data, |x| {
            let value = x.to_f64();
            let raised = if value < low { low } else { value };
            T::from_f64(if raised > high { high } else { raised })
        })
    },
    int => {
        let low = bound::<T>(min, "min")?.unwrap_or(T::MIN);
        let high = bound::<T>(max, "max")?.unwrap_or(T::MAX);
        map_with::<T>(data, |x| x.max(low).min(high))
    })
}

/// The one element of a bound, if it is given.
fn bound<T: Element>(tensor: Option<&Tensor>, name: &str) -> Result<Option<T>, OpError> {
    let Some(tensor) = tensor else { return Ok(None) };
    match tensor.to_vec::<T>()?[..] {
        [value] => Ok(Some(value)),
        _ => Err(OpError::Invalid(format!(
            "`{name}` expected one element, got dimensions {:?}",
            tensor.dims()
        ))),
    }
}
