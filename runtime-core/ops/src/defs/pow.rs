//! Pow: a base to the power of an exponent, element by element, with broadcasting. The result has the
//! dtype of the base; integer powers of integers wrap, other results truncate to it.

use remuda_ir::{
    InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types, Upgrade, Val,
};
use remuda_tensor::{DType, Element, Tensor, dispatch_float};

use crate::support::elementwise::{broadcast_pair, broadcast_types, upgrade_axis_broadcast};
use crate::support::numbers::Wrapping;
use crate::support::unsupported_dtype;

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "Pow",
    since: 1,
    upgrades: &[Upgrade { below: 7, apply: upgrade_axis_broadcast }],
    inputs: &[
        InputDef::new("x", Types::FLOATS.or(Types::INDEX)),
        InputDef::new("y", Types::NUMBERS).tied(""),
    ],
    outputs: &[OutputDef::new("z")],
    attrs: &[],
    traits: Traits::ELEMENTWISE,
    tolerance: Tolerance::Float(1.0),
    infer: broadcast_types,
    reference,
    cases: include_str!("pow.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let (base, exponent) = broadcast_pair(ctx.tensor(0)?, ctx.tensor(1)?)?;
    match base.dtype() {
        DType::I32 => int_powers::<i32>(&base, &exponent),
        DType::I64 => int_powers::<i64>(&base, &exponent),
        dtype => dispatch_float!(dtype, T => float_powers::<T>(&base, &exponent),
            else Err(unsupported_dtype(dtype))),
    }
}

fn float_powers<T: Element>(base: &Tensor, exponent: &Tensor) -> Result<Vec<Val>, OpError> {
    let pairs = base.to_vec::<T>()?.into_iter().zip(exponent.to_f64_vec()?);
    let values = pairs.map(|(x, y)| T::from_f64(x.to_f64().powf(y))).collect();
    Ok(vec![Tensor::from_vec::<T>(base.dims(), values)?.into()])
}

fn int_powers<T: Wrapping>(base: &Tensor, exponent: &Tensor) -> Result<Vec<Val>, OpError> {
    let bases = base.to_vec::<T>()?;
    let values = if exponent.dtype().is_int() {
        let power = |(x, y): (T, i64)| match u64::try_from(y) {
            Ok(y) => T::wrap(wrapping_power(x.widen(), y)),
            Err(_) => T::from_f64(x.to_f64().powf(y as f64)),
        };
        bases.into_iter().zip(exponent.to_i64_vec()?).map(power).collect()
    } else {
        let power = |(x, y): (T, f64)| T::from_f64(x.to_f64().powf(y));
        bases.into_iter().zip(exponent.to_f64_vec()?).map(power).collect()
    };
    Ok(vec![Tensor::from_vec::<T>(base.dims(), values)?.into()])
}

/// `base` to the power of `exponent`, modulo 2^128.
fn wrapping_power(mut base: i128, mut exponent: u64) -> i128 {
    let mut power = 1i128;
    while exponent > 0 {
        if exponent & 1 == 1 {
            power = power.wrapping_mul(base);
        }
        base = base.wrapping_mul(base);
        exponent >>= 1;
    }
    power
}
