//! Pooling: one number out of each window of each channel.

use remuda_ir::{Attrs, InferCtx, Inferred, KernelCtx, OpError, Val};
use remuda_tensor::Dim;
use remuda_tensor::dim::DisplayDims;

use super::array::{Array, offset_of, position_of, positions};
use super::window::Window;

/// What lies under a window: the offsets of its elements in the channel, the channel, and how many
/// taps of the window lie in the input or its padding.
pub(crate) struct Under<'a> {
    pub(crate) offsets: &'a [usize],
    pub(crate) channel: &'a [f64],
    pub(crate) padded: f64,
}

impl Under<'_> {
    /// The elements.
    pub(crate) fn values(&self) -> impl Iterator<Item = f64> + '_ {
        self.offsets.iter().map(|&offset| self.channel[offset])
    }
}

/// The output dimensions of pooling input 0.
pub(crate) fn pool_dims(ctx: &InferCtx<'_>) -> Result<Option<Vec<Dim>>, OpError> {
    ctx.dims(0)?.map(|dims| pooled_dims(ctx.attrs(), dims)).transpose()
}

/// The output dimensions of pooling `[batch, channels, spatial..]`.
pub(crate) fn pooled_dims(attrs: &Attrs, dims: &[Dim]) -> Result<Vec<Dim>, OpError> {
    let spatial = spatial_dims(dims)?;
    let window = Window::read_pool(attrs)?;
    Ok(dims[..2].iter().cloned().chain(window.output(spatial)?).collect())
}

/// The spatial dimensions, if there are any.
fn spatial_dims(dims: &[Dim]) -> Result<&[Dim], OpError> {
    if dims.len() < 3 {
        return Err(OpError::Invalid(format!(
            "expected at least 3 dimensions, got {}",
            DisplayDims(dims)
        )));
    }
    Ok(&dims[2..])
}

/// The shape rule of a pooling operator.
pub(crate) fn infer_pool(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    Ok(vec![Inferred::maybe(ctx.dtype(0)?, pool_dims(ctx)?)])
}

/// The data as `[batch, channels, spatial..]`.
pub(crate) fn pool_input(ctx: &KernelCtx<'_>) -> Result<Array, OpError> {
    let x = Array::of(ctx.tensor(0)?)?;
    if x.dims.len() < 3 {
        return Err(OpError::Invalid(format!("expected at least 3 dimensions, got {:?}", x.dims)));
    }
    Ok(x)
}

/// Pools every channel: `f` sees what is under the window and the number of the channel.
pub(crate) fn pool<T: Clone>(
    x: &Array,
    window: &Window,
    mut f: impl FnMut(&Under<'_>, usize) -> T,
) -> Result<(Vec<usize>, Vec<T>), OpError> {
    let grid = window.over(&x.dims[2..])?;
    let dims: Vec<usize> = x.dims[..2].iter().chain(&grid.output).copied().collect();
    super::array::element_count(&dims)?;
    let plane: usize = grid.input.iter().product();
    let channels = x.dims[0] * x.dims[1];
    let cells: Vec<(Vec<usize>, f64)> = if channels == 0 { Vec::new() } else { cells(&grid) };
    let mut out = Vec::with_capacity(channels * cells.len());
    for channel in 0..channels {
        let values = &x.values[channel * plane..][..plane];
        for (offsets, padded) in &cells {
            out.push(f(&Under { offsets, channel: values, padded: *padded }, channel));
        }
    }
    Ok((dims, out))
}

fn cells(grid: &super::window::Grid) -> Vec<(Vec<usize>, f64)> {
    positions(&grid.output)
        .map(|place| {
            let (inside, padded) = grid.under(&place);
            (inside.iter().map(|position| offset_of(position, &grid.input)).collect(), padded)
        })
        .collect()
}

/// Pools input 0 into one float output of its dtype.
pub(crate) fn pool_floats(
    ctx: &KernelCtx<'_>,
    f: impl Fn(&Under<'_>) -> f64,
) -> Result<Vec<Val>, OpError> {
    let x = pool_input(ctx)?;
    let (dims, values) = pool(&x, &Window::read_pool(ctx.attrs())?, |under, _| f(under))?;
    Ok(vec![Array { dims, values }.to_numbers(ctx.tensor(0)?.dtype())?.into()])
}

/// The shape rule of a pooling over all spatial axes, which stay as ones.
pub(crate) fn infer_global(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let dtype = ctx.dtype(0)?;
    let Some(dims) = ctx.dims(0)? else { return Ok(vec![Inferred::maybe(dtype, None)]) };
    let ones = spatial_dims(dims)?.iter().map(|_| Dim::Known(1));
    Ok(vec![Inferred::tensor(dtype, dims[..2].iter().cloned().chain(ones))])
}

/// Pools all spatial axes of input 0.
pub(crate) fn pool_globally(
    ctx: &KernelCtx<'_>,
    f: impl Fn(&[f64]) -> f64,
) -> Result<Vec<Val>, OpError> {
    let x = pool_input(ctx)?;
    let plane: usize = x.dims[2..].iter().product();
    let mut dims = x.dims.clone();
    dims[2..].fill(1);
    let channel = |at: usize| f(&x.values[at * plane..][..plane]);
    let values = (0..dims[0] * dims[1]).map(channel).collect();
    Ok(vec![Array { dims, values }.to_floats(ctx.tensor(0)?.dtype())?.into()])
}

/// The greatest element and where it lies; the first of equals. NaN is never the greatest.
pub(crate) fn greatest(under: &Under<'_>) -> Option<(f64, usize)> {
    under.offsets.iter().fold(None, |best, &offset| {
        let value = under.channel[offset];
        match best {
            Some((most, _)) if value <= most || value.is_nan() => best,
            _ => Some((value, offset)),
        }
    })
}

/// The indices of elements as `MaxPool` gives them: over the whole tensor, the spatial axes in
/// row-major or column-major order.
pub(crate) fn pool_index(
    offset: usize,
    channel: usize,
    spatial: &[usize],
    column_major: bool,
) -> i64 {
    let plane: usize = spatial.iter().product();
    let mut within = offset;
    if column_major {
        let position = position_of(offset, spatial);
        within = position.iter().zip(spatial).rev().fold(0, |sum, (&at, &dim)| sum * dim + at);
    }
    (channel * plane + within) as i64
}
