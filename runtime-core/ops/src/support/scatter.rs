//! Elements put to places of a tensor, or combined with what is there.

use remuda_ir::{OpError, Val};
use remuda_tensor::{Element, Tensor};

use super::axes::gather_flat;
use super::elementwise::{Wrapping, by_kind};
use super::flat::join_flat;

type FloatFn = fn(f64, f64) -> f64;
type IntFn = fn(i128, i128) -> i128;

/// A copy of `data` with the elements of `updates` at these offsets, in order.
pub(crate) fn scatter(
    data: &Tensor,
    places: &[usize],
    updates: &Tensor,
    reduction: &str,
) -> Result<Vec<Val>, OpError> {
    let (float, int): (FloatFn, IntFn) = match reduction {
        "none" => return Ok(vec![replace(data, places, updates)?.into()]),
        "add" => (|a, b| a + b, |a, b| a + b),
        "mul" => (|a, b| a * b, |a, b| a * b),
        "min" => (super::activations::lesser, i128::min),
        "max" => (super::activations::greater, i128::max),
        other => {
            let text = format!(
                "attribute `reduction` expected `none`, `add`, `mul`, `min` or `max`, got `{other}`"
            );
            return Err(OpError::Invalid(text));
        }
    };
    by_kind!(data.dtype(), T,
        float => combine::<T>(data, places, updates, |a, b| T::from_f64(float(a.to_f64(), b.to_f64()))),
        int => combine::<T>(data, places, updates, |a, b| T::wrap(int(a.widen(), b.widen()))))
}

fn replace(data: &Tensor, places: &[usize], updates: &Tensor) -> Result<Tensor, OpError> {
    let mut source: Vec<usize> = (0..data.len()).collect();
    for (at, &place) in places.iter().enumerate() {
        source[place] = data.len() + at;
    }
    gather_flat(&join_flat(&[data, updates])?, data.dims().to_vec(), source.into_iter())
}

fn combine<T: Element>(
    data: &Tensor,
    places: &[usize],
    updates: &Tensor,
    f: impl Fn(T, T) -> T,
) -> Result<Vec<Val>, OpError> {
    let mut values = data.to_vec::<T>()?;
    for (&place, update) in places.iter().zip(updates.to_vec::<T>()?) {
        values[place] = f(values[place], update);
    }
    Ok(vec![Tensor::from_vec(data.dims(), values)?.into()])
}
