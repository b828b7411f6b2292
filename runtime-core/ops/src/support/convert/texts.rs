//! Numbers as texts: the shortest plain decimal that reads back to the same element.

use remuda_ir::OpError;
use remuda_tensor::{DType, Tensor};

use super::{Rounding, Values, from_floats, read as read_numbers};

/// Each element as text. Special values are `NaN`, `INF` and `-INF`.
pub(super) fn print(tensor: &Tensor) -> Result<Vec<String>, OpError> {
    Ok(match read_numbers(tensor)? {
        Values::Ints(values) => values.iter().map(ToString::to_string).collect(),
        Values::Floats(values) => {
            values.iter().map(|&value| print_float(value, tensor.dtype())).collect()
        }
    })
}

fn print_float(value: f64, dtype: DType) -> String {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "INF" } else { "-INF" }.into();
    }
    let same = |text: &str| {
        let Ok(again) = text.parse::<f64>() else { return false };
        let element = from_floats(&[1], &[again], dtype, Rounding::DEFAULT);
        element.ok().and_then(|element| element.to_f64_vec().ok()) == Some(vec![value])
    };
    let shortest = (0..17).map(|digits| format!("{value:.digits$e}")).find(|text| same(text));
    // Display of an `f64` never uses exponents.
    shortest.and_then(|text| text.parse::<f64>().ok()).unwrap_or(value).to_string()
}

/// Each text as a number, before it is converted to `to`.
pub(super) fn read(texts: &[&str], to: DType) -> Result<Values, OpError> {
    let whole = || texts.iter().map(|text| text.trim().parse::<i128>().ok()).collect();
    if !to.is_float()
        && let Some(values) = whole()
    {
        return Ok(Values::Ints(values));
    }
    let values = texts.iter().map(|text| {
        let number = text.trim();
        // What is read for an `f32` must not round to an `f64` first.
        let value = match to {
            DType::F32 => number.parse::<f32>().map(f64::from),
            _ => number.parse::<f64>(),
        };
        value.map_err(|_| OpError::Invalid(format!("`{text}` is no number")))
    });
    Ok(Values::Floats(values.collect::<Result<_, _>>()?))
}
