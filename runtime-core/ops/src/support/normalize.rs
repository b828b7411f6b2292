//! Normalisation of slices to mean 0 and variance 1, and the attributes that go with it.

use remuda_ir::{Attrs, OpError};
use remuda_tensor::{DType, Tensor};

use super::array::Array;

/// The attribute `epsilon`.
pub(crate) fn read_epsilon(attrs: &Attrs) -> Result<f64, OpError> {
    Ok(f64::from(attrs.float_or("epsilon", 1e-5)?))
}

/// Mean and (population) variance of a slice.
pub(crate) fn mean_and_variance(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let (sum, count) =
        values.clone().fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    let mean: f64 = sum / count;
    (mean, values.map(|value| (value - mean) * (value - mean)).sum::<f64>() / count)
}

/// Gives each chunk of `size` elements mean 0 and variance 1.
pub(crate) fn normalize_chunks(values: &mut [f64], size: usize, epsilon: f64) {
    for chunk in values.chunks_mut(size.max(1)) {
        let (mean, variance) = mean_and_variance(chunk.iter().copied());
        let inverse = 1.0 / (variance + epsilon).sqrt();
        chunk.iter_mut().for_each(|value| *value = (*value - mean) * inverse);
    }
}

/// A vector of one number for each channel.
pub(crate) fn channel_vector(
    tensor: &Tensor,
    name: &str,
    channels: usize,
) -> Result<Vec<f64>, OpError> {
    if tensor.dims() != [channels] {
        let got = tensor.dims();
        return Err(OpError::Invalid(format!("`{name}` expected [{channels}], got {got:?}")));
    }
    Ok(tensor.to_f64_vec()?)
}

/// Scales and shifts each channel of `[batch, channels, ..]`.
pub(crate) fn scale_channels(array: &mut Array, scale: &[f64], bias: &[f64]) {
    let plane = array.dims[2..].iter().product::<usize>().max(1);
    for (at, plane) in array.values.chunks_mut(plane).enumerate() {
        let channel = at % scale.len().max(1);
        plane.iter_mut().for_each(|value| *value = *value * scale[channel] + bias[channel]);
    }
}

/// The attribute `stash_type`: the dtype of means and inverse deviations.
pub(crate) fn stash_dtype(attrs: &Attrs) -> Result<DType, OpError> {
    match attrs.int_or("stash_type", 1)? {
        1 => Ok(DType::F32),
        10 => Ok(DType::F16),
        11 => Ok(DType::F64),
        16 => Ok(DType::BF16),
        other => Err(OpError::Unsupported(format!("attribute `stash_type` of {other}"))),
    }
}

/// The data of a normalisation over channels: at least `[batch, channels]`.
pub(crate) fn channels_of(x: &Array) -> Result<usize, OpError> {
    x.dims.get(1).copied().ok_or_else(|| {
        OpError::Invalid(format!("expected at least 2 dimensions, got {:?}", x.dims))
    })
}

/// The scale or bias of a normalisation over the last axes, repeated to the data.
pub(crate) fn broadcast_parameter(
    tensor: &Tensor,
    name: &str,
    dims: &[usize],
) -> Result<Array, OpError> {
    Array::of(tensor)?.broadcast_to(dims).map_err(|_| {
        OpError::Invalid(format!("`{name}` of {:?} does not broadcast to {dims:?}", tensor.dims()))
    })
}

/// The dimensions of statistics: those of the data, ones from `axis` on.
pub(crate) fn statistics_dims<D: Clone + From<usize>>(dims: &[D], axis: usize) -> Vec<D> {
    let ones = dims[axis..].iter().map(|_| D::from(1usize));
    dims[..axis].iter().cloned().chain(ones).collect()
}
