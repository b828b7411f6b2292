//! Elements put to places of a tensor, or combined with what is there.

use remuda_ir::{OpError, Val};
use remuda_tensor::Tensor;

use super::axes::gather_flat;
use super::flat::join_flat;
use super::numbers::{Numbers, Pair};

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
    let combined = match Pair::of(data, updates)? {
        Pair::Floats(values, updates) => Numbers::Floats(combine(values, places, updates, float)),
        Pair::Ints(values, updates) => Numbers::Ints(combine(values, places, updates, int)),
    };
    Ok(vec![combined.to_tensor(data.dtype(), data.dims())?.into()])
}

fn replace(data: &Tensor, places: &[usize], updates: &Tensor) -> Result<Tensor, OpError> {
    let mut source: Vec<usize> = (0..data.len()).collect();
    for (at, &place) in places.iter().enumerate() {
        source[place] = data.len() + at;
    }
    gather_flat(&join_flat(&[data, updates])?, data.dims().to_vec(), source.into_iter())
}

fn combine<W: Copy>(
    mut values: Vec<W>,
    places: &[usize],
    updates: Vec<W>,
    f: fn(W, W) -> W,
) -> Vec<W> {
    for (&place, update) in places.iter().zip(updates) {
        values[place] = f(values[place], update);
    }
    values
}
