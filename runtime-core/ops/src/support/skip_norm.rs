//! Layer normalisation of a sum of inputs, as the fused operators of transformers have it.

use remuda_ir::{Attrs, InferCtx, Inferred, OpError, Val};
use remuda_tensor::{DType, Dim, Tensor};

use super::array::Array;
use super::axes::resolve_axis;
use super::layer_norm::{normalize_from, scale_and_shift};
use super::normalize::broadcast_parameter;

/// What such an operator normalises and how.
pub(crate) struct SkipNorm<'a> {
    pub(crate) sum: Array,
    pub(crate) gamma: &'a Tensor,
    pub(crate) beta: Option<&'a Tensor>,
    /// Whether the mean is taken off.
    pub(crate) center: bool,
}

impl SkipNorm<'_> {
    /// Output, mean, inverse deviation and the sum itself.
    pub(crate) fn run(self, attrs: &Attrs, dtype: DType) -> Result<Vec<Val>, OpError> {
        let epsilon = f64::from(attrs.float_or("epsilon", 1e-12)?);
        let axis = resolve_axis(-1, self.sum.dims.len())?;
        let sum = self.sum.to_floats(dtype)?;
        let mut normal = normalize_from(self.sum, axis, epsilon, self.center)?;
        scale_and_shift(&mut normal.values, Some(self.gamma), self.beta)?;
        Ok(vec![
            normal.values.to_floats(dtype)?.into(),
            normal.mean.to_floats(DType::F32)?.into(),
            normal.inverse.to_floats(DType::F32)?.into(),
            sum.into(),
        ])
    }
}

/// Adds an input that may be left out, repeated to the dimensions.
pub(crate) fn add_input(
    sum: &mut Array,
    input: Option<&Tensor>,
    name: &str,
) -> Result<(), OpError> {
    if let Some(input) = input {
        let added = broadcast_parameter(input, name, &sum.dims)?;
        sum.values.iter_mut().zip(added.values).for_each(|(sum, value)| *sum += value);
    }
    Ok(())
}

/// The shape rule: output, mean, inverse deviation and sum.
pub(crate) fn infer_skip_norm(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let dims = ctx.dims(0)?.map(<[_]>::to_vec);
    let statistics = dims.as_ref().map(|dims| {
        let mut dims = dims.clone();
        dims.last_mut().into_iter().for_each(|last| *last = Dim::Known(1));
        dims
    });
    let full = Inferred::maybe(ctx.dtype(0)?, dims);
    let statistics = Inferred::maybe(DType::F32, statistics);
    Ok(vec![full.clone(), statistics.clone(), statistics, full])
}
