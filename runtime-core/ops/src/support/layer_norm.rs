//! Layer normalisation: over all axes from one on, with a scale and perhaps a bias.

use remuda_ir::{InferCtx, OpError};
use remuda_tensor::{Dim, Tensor};

use super::array::Array;
use super::axes::resolve_axis;
use super::normalize::{broadcast_parameter, mean_and_variance, statistics_dims};

/// The data normalised, and the mean and the inverse deviation of each slice.
pub(crate) struct Normalized {
    pub(crate) values: Array,
    pub(crate) mean: Array,
    pub(crate) inverse: Array,
}

/// Normalises the axes from `axis` on; without `center`, only the size is normalised.
pub(crate) fn normalize_from(
    mut x: Array,
    axis: usize,
    epsilon: f64,
    center: bool,
) -> Result<Normalized, OpError> {
    let dims = statistics_dims(&x.dims, axis);
    let size = x.dims[axis..].iter().product::<usize>();
    let (mut means, mut inverses) = (Vec::new(), Vec::new());
    for chunk in x.values.chunks_mut(size.max(1)) {
        let (mean, variance) = if center {
            mean_and_variance(chunk.iter().copied())
        } else {
            (0.0, chunk.iter().map(|value| value * value).sum::<f64>() / size as f64)
        };
        let inverse = 1.0 / (variance + epsilon).sqrt();
        chunk.iter_mut().for_each(|value| *value = (*value - mean) * inverse);
        means.push(mean);
        inverses.push(inverse);
    }
    let mean = statistics(&dims, means)?;
    Ok(Normalized { values: x, mean, inverse: statistics(&dims, inverses)? })
}

/// Empty slices have statistics too: those of nothing.
fn statistics(dims: &[usize], mut values: Vec<f64>) -> Result<Array, OpError> {
    values.resize(super::array::element_count(dims)?, f64::NAN);
    Ok(Array { dims: dims.to_vec(), values })
}

/// Scales and shifts by parameters that broadcast to the data.
pub(crate) fn scale_and_shift(
    x: &mut Array,
    scale: Option<&Tensor>,
    bias: Option<&Tensor>,
) -> Result<(), OpError> {
    if let Some(scale) = scale {
        let scale = broadcast_parameter(scale, "scale", &x.dims)?;
        x.values.iter_mut().zip(scale.values).for_each(|(value, scale)| *value *= scale);
    }
    if let Some(bias) = bias {
        let bias = broadcast_parameter(bias, "bias", &x.dims)?;
        x.values.iter_mut().zip(bias.values).for_each(|(value, bias)| *value += bias);
    }
    Ok(())
}

/// The dimensions of the data and of its statistics.
pub(crate) type LayerDims = (Option<Vec<Dim>>, Option<Vec<Dim>>);

/// Input 0's dimensions and those of its statistics from the attribute `axis`.
pub(crate) fn layer_dims(ctx: &InferCtx<'_>) -> Result<LayerDims, OpError> {
    let Some(dims) = ctx.dims(0)? else { return Ok((None, None)) };
    let axis = resolve_axis(ctx.attrs().int_or("axis", -1)?, dims.len())?;
    let ones = dims[axis..].iter().map(|_| Dim::Known(1));
    let statistics = dims[..axis].iter().cloned().chain(ones).collect();
    Ok((Some(dims.to_vec()), Some(statistics)))
}
