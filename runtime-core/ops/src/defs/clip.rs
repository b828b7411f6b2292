//! Clip: each element kept between `min` and `max`, which default to the least and greatest
//! finite number of the dtype. Where `min` is above `max`, everything is `max`. `NaN` stays
//! `NaN`.

use remuda_ir::{
    Draft, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types, Upgrade, Val,
};
use remuda_tensor::{DType, Tensor, bf16, f16};

use crate::support::elementwise::same_as_first;
use crate::support::numbers::{Numbers, check_same};
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
    let low = bound(data, ctx.opt_tensor(1)?, "min")?;
    let high = bound(data, ctx.opt_tensor(2)?, "max")?;
    let mut numbers = Numbers::of(data)?;
    match &mut numbers {
        Numbers::Floats(values) => {
            let float = |bound: Option<Numbers>| match bound {
                Some(Numbers::Floats(values)) => values.first().copied(),
                _ => None,
            };
            let limit = largest(data.dtype());
            let (low, high) = (float(low).unwrap_or(-limit), float(high).unwrap_or(limit));
            for value in values {
                let raised = if *value < low { low } else { *value };
                *value = if raised > high { high } else { raised };
            }
        }
        Numbers::Ints(values) => {
            let int = |bound: Option<Numbers>| match bound {
                Some(Numbers::Ints(values)) => values.first().copied(),
                _ => None,
            };
            let (low, high) = (int(low).unwrap_or(i128::MIN), int(high).unwrap_or(i128::MAX));
            values.iter_mut().for_each(|value| *value = (*value).max(low).min(high));
        }
    }
    Ok(vec![numbers.to_tensor(data.dtype(), data.dims())?.into()])
}

/// The one element of a bound, if it is given.
fn bound(data: &Tensor, bound: Option<&Tensor>, name: &str) -> Result<Option<Numbers>, OpError> {
    let Some(bound) = bound else { return Ok(None) };
    check_same(data.dtype(), bound)?;
    if bound.len() == 1 {
        return Ok(Some(Numbers::of(bound)?));
    }
    Err(OpError::Invalid(format!(
        "`{name}` expected one element, got dimensions {:?}",
        bound.dims()
    )))
}
