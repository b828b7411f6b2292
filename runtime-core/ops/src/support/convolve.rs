//! Convolutions over any number of spatial axes, in `f64`: exact for 8-bit integers.

use remuda_ir::{Attrs, InferCtx, OpError};
use remuda_tensor::Dim;
use remuda_tensor::dim::DisplayDims;

use super::array::{Array, positions};
use super::window::{Grid, Window, per_axis};

/// The attribute `group`.
pub(crate) fn read_group(attrs: &Attrs) -> Result<usize, OpError> {
    let group = attrs.int_or("group", 1)?;
    usize::try_from(group).ok().filter(|&group| group > 0).ok_or_else(|| {
        OpError::Invalid(format!("`group` expected a positive integer, got {group}"))
    })
}

/// The window that the attributes and the spatial dimensions of the weights describe.
pub(crate) fn read_window(attrs: &Attrs, weights: &[usize]) -> Result<Window, OpError> {
    if let Some(given) = attrs.ints("kernel_shape")? {
        let kernel = per_axis(attrs, "kernel_shape", weights.len())?;
        if kernel != weights {
            return Err(OpError::Invalid(format!(
                "`kernel_shape` {given:?} is not that of the weights, {weights:?}"
            )));
        }
    }
    Window::read(attrs, weights.to_vec())
}

/// The output dimensions of a convolution whose data and weights are these inputs.
pub(crate) fn conv_dims(
    ctx: &InferCtx<'_>,
    data: usize,
    weights: usize,
) -> Result<Option<Vec<Dim>>, OpError> {
    let (Some(x), Some(w)) = (ctx.dims(data)?, ctx.dims(weights)?) else { return Ok(None) };
    if x.len() < 3 || x.len() != w.len() {
        return Err(OpError::Invalid(format!(
            "expected data and weights of the same 3 or more dimensions, got {} and {}",
            DisplayDims(x),
            DisplayDims(w)
        )));
    }
    let group = read_group(ctx.attrs())?;
    if x[1].differs(&w[1].mul(&group.into())) {
        return Err(OpError::Invalid(format!(
            "data of {} channels do not fit weights {} in {group} groups",
            x[1],
            DisplayDims(w)
        )));
    }
    let kernel: Option<Vec<usize>> = w[2..].iter().map(Dim::as_usize).collect();
    let spatial = match kernel {
        Some(kernel) => read_window(ctx.attrs(), &kernel)?.output(&x[2..])?,
        None => vec![Dim::Unknown; x.len() - 2],
    };
    Ok(Some([x[0].clone(), w[0].clone()].into_iter().chain(spatial).collect()))
}

/// The sizes of a convolution.
struct Sizes {
    group: usize,
    /// Channels of a group.
    inputs: usize,
    /// Output channels of a group.
    outputs: usize,
}

fn sizes(x: &Array, w: &Array, attrs: &Attrs) -> Result<Sizes, OpError> {
    let group = read_group(attrs)?;
    let mismatch = || {
        OpError::Invalid(format!(
            "data {:?} do not fit weights {:?} in {group} groups",
            x.dims, w.dims
        ))
    };
    if x.dims.len() < 3 || x.dims.len() != w.dims.len() {
        return Err(mismatch());
    }
    let fits = w.dims[1].checked_mul(group) == Some(x.dims[1]) && w.dims[0].is_multiple_of(group);
    if !fits {
        return Err(mismatch());
    }
    Ok(Sizes { group, inputs: w.dims[1], outputs: w.dims[0] / group })
}

/// A bias must have one element for each output channel.
fn check_bias(bias: Option<&Array>, channels: usize) -> Result<(), OpError> {
    match bias {
        Some(bias) if bias.dims != [channels] => {
            Err(OpError::Invalid(format!("the bias expected [{channels}], got {:?}", bias.dims)))
        }
        _ => Ok(()),
    }
}

/// An array of `[batch, channels, spatial..]`, each channel filled with its bias.
fn biased(dims: Vec<usize>, bias: Option<&Array>) -> Result<Array, OpError> {
    let mut out = Array::filled(dims, 0.0)?;
    if let Some(bias) = bias {
        let plane = out.dims[2..].iter().product::<usize>().max(1);
        for (at, plane) in out.values.chunks_mut(plane).enumerate() {
            plane.fill(bias.values[at % bias.values.len().max(1)]);
        }
    }
    Ok(out)
}

/// A convolution of `x` `[n, c, spatial..]` with `w` `[m, c / group, kernel..]`.
pub(crate) fn convolve(
    attrs: &Attrs,
    x: &Array,
    w: &Array,
    bias: Option<&Array>,
) -> Result<Array, OpError> {
    let sizes = sizes(x, w, attrs)?;
    check_bias(bias, w.dims[0])?;
    let grid = read_window(attrs, &w.dims[2..])?.over(&x.dims[2..])?;
    let dims: Vec<usize> = [x.dims[0], w.dims[0]].into_iter().chain(grid.output.clone()).collect();
    let mut out = biased(dims, bias)?;
    if out.values.is_empty() || x.values.is_empty() {
        return Ok(out);
    }
    let Sizes { group, inputs, outputs } = sizes;
    let taps = w.dims[2..].iter().product::<usize>();
    let (x_plane, y_plane) =
        (grid.input.iter().product::<usize>(), grid.output.iter().product::<usize>());
    for (tap, place) in positions(&w.dims[2..]).enumerate() {
        let pairs = grid.pairs(&place);
        for (at, out) in out.values.chunks_exact_mut(y_plane).enumerate() {
            let (image, channel) = (at / (group * outputs), at % (group * outputs));
            let first = image * group * inputs + channel / outputs * inputs;
            for input in 0..inputs {
                let weight = w.values[(channel * inputs + input) * taps + tap];
                let x = &x.values[(first + input) * x_plane..][..x_plane];
                pairs.iter().for_each(|&(to, from)| out[to] += weight * x[from]);
            }
        }
    }
    Ok(out)
}

/// The transpose of a convolution: `x` `[n, c, spatial..]`, `w` `[c, m / group, kernel..]`. The grid
/// is that of the convolution from the output of this operator to its input.
pub(crate) fn convolve_transposed(
    grid: &Grid,
    group: usize,
    x: &Array,
    w: &Array,
    bias: Option<&Array>,
) -> Result<Array, OpError> {
    let (inputs, outputs) = (x.dims[1] / group, w.dims[1]);
    let channels = outputs
        .checked_mul(group)
        .ok_or_else(|| OpError::invalid("`group` times the channels overflows"))?;
    check_bias(bias, channels)?;
    let dims: Vec<usize> = [x.dims[0], channels].into_iter().chain(grid.input.clone()).collect();
    let mut out = biased(dims, bias)?;
    if out.values.is_empty() || x.values.is_empty() {
        return Ok(out);
    }
    let taps = w.dims[2..].iter().product::<usize>();
    let (x_plane, y_plane) =
        (grid.output.iter().product::<usize>(), grid.input.iter().product::<usize>());
    for (tap, place) in positions(&w.dims[2..]).enumerate() {
        let pairs = grid.pairs(&place);
        for (at, out) in out.values.chunks_exact_mut(y_plane).enumerate() {
            let (image, channel) = (at / channels, at % channels);
            let (part, output) = (channel / outputs, channel % outputs);
            for input in part * inputs..(part + 1) * inputs {
                let weight = w.values[(input * outputs + output) * taps + tap];
                let x = &x.values[(image * x.dims[1] + input) * x_plane..][..x_plane];
                pairs.iter().for_each(|&(from, to)| out[to] += weight * x[from]);
            }
        }
    }
    Ok(out)
}
