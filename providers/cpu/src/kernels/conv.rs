//! Conv and `FusedConv` of f32: bias, residual and activation in the same pass.

use remuda_ir::{Attrs, OpError, Val};
use remuda_kernels::conv::{AxisSpec, Conv, ConvError};
use remuda_kernels::gemm::{Activation, Epilogue, Residual};
use remuda_tensor::DType;

use super::activation;
use crate::kernel::{Kernel, Preparation, Run, optional, tensor, writable};

/// The largest window of weights that have no elements.
const MAX_EMPTY_TAPS: usize = 1 << 20;

/// What the attributes of a convolution say of its windows.
pub(super) struct Geometry {
    auto_pad: String,
    strides: Vec<i64>,
    dilations: Vec<i64>,
    pads: Vec<i64>,
    groups: i64,
}

struct ConvKernel {
    geometry: Geometry,
    activation: Activation,
}

pub(super) fn prepare(preparation: &Preparation<'_>) -> Option<Box<dyn Kernel>> {
    let attrs = &preparation.node.attrs;
    let kernel =
        ConvKernel { geometry: Geometry::read(attrs)?, activation: fused_activation(attrs)? };
    let floats = (0..2).all(|at| preparation.dtype(at) == Some(DType::F32));
    let rank = preparation.input_type(0)?.as_tensor()?.dims.as_ref()?.len();
    ((3..=5).contains(&rank) && floats).then(|| Box::new(kernel) as Box<dyn Kernel>)
}

fn fused_activation(attrs: &Attrs) -> Option<Activation> {
    let Some(name) = attrs.text("activation").ok()? else { return Some(Activation::None) };
    activation(name, attrs.floats("activation_params").ok()?.unwrap_or(&[]))
}

impl Kernel for ConvKernel {
    fn run(&self, run: &mut Run<'_>, inputs: &mut [Option<Val>]) -> Result<Vec<Val>, OpError> {
        let (x, w) = (tensor(inputs, 0)?.contiguous(), tensor(inputs, 1)?.contiguous());
        let (conv, dims) = self.geometry.conv(x.dims(), w.dims())?;
        let bias = optional(inputs, 2)?.map(remuda_tensor::Tensor::contiguous);
        let residual = optional(inputs, 3)?.map(remuda_tensor::Tensor::contiguous);
        if let Some(residual) = residual.as_ref().filter(|residual| residual.dims() != dims) {
            return Err(OpError::Invalid(format!(
                "a residual of {:?} does not fit {dims:?}",
                residual.dims()
            )));
        }
        let mut out = run.arena.tensor(DType::F32, &dims)?;
        let epilogue = Epilogue {
            row_bias: bias.as_ref().map(remuda_tensor::Tensor::as_slice).transpose()?,
            residual: match &residual {
                Some(residual) => {
                    Some(Residual { data: residual.as_slice()?, after_activation: false })
                }
                None => None,
            },
            activation: self.activation,
            ..Epilogue::default()
        };
        conv.run(run.context(), x.as_slice()?, w.as_slice()?, epilogue, writable(&mut out)?)
            .map_err(failed)?;
        Ok(vec![out.into()])
    }
}

pub(super) fn failed(error: impl Into<ConvError>) -> OpError {
    let error = error.into();
    match error {
        ConvError::TooLarge | ConvError::Memory(_) => OpError::Resource(error.to_string()),
        _ => OpError::Invalid(error.to_string()),
    }
}

impl Geometry {
    pub(super) fn read(attrs: &Attrs) -> Option<Self> {
        let ints = |name: &str| {
            attrs.ints(name).ok().map(|list| list.map(<[i64]>::to_vec).unwrap_or_default())
        };
        Some(Self {
            auto_pad: attrs.text_or("auto_pad", "NOTSET").ok()?.to_owned(),
            strides: ints("strides")?,
            dilations: ints("dilations")?,
            pads: ints("pads")?,
            groups: attrs.int_or("group", 1).ok()?,
        })
    }

    /// The convolution of data and weights of these dimensions, and the dimensions of its result.
    pub(super) fn conv(&self, x: &[usize], w: &[usize]) -> Result<(Conv, Vec<usize>), OpError> {
        let ([batch, channels, spatial @ ..], [output, inner, kernel @ ..]) = (x, w) else {
            return Err(OpError::Invalid("expected at least 3 dimensions".to_owned()));
        };
        let groups = usize::try_from(self.groups).unwrap_or(0);
        if spatial.len() != kernel.len() || inner.checked_mul(groups) != Some(*channels) {
            let text = format!("an input of {x:?} and weights of {w:?} do not fit {groups} groups");
            return Err(OpError::Invalid(text));
        }
        // Weights without elements may have windows of any size, which nothing else bounds.
        let taps = kernel.iter().try_fold(1usize, |taps, &size| taps.checked_mul(size));
        if w.contains(&0) && taps.is_none_or(|taps| taps > MAX_EMPTY_TAPS) {
            return Err(OpError::Resource(format!("weights of {w:?} have too large a window")));
        }
        let specs = spatial.iter().zip(kernel).enumerate();
        let specs =
            specs.map(|(axis, (&input, &kernel))| self.axis(axis, spatial.len(), input, kernel));
        let specs = specs.collect::<Result<Vec<_>, _>>()?;
        let conv = Conv::new(*batch, [*channels, *output], groups, &specs).map_err(failed)?;
        let axes = conv.output_axes();
        let dims = [&[*batch, *output][..], &axes[axes.len() - spatial.len()..]].concat();
        Ok((conv, dims))
    }

    fn axis(
        &self,
        axis: usize,
        axes: usize,
        input: usize,
        kernel: usize,
    ) -> Result<AxisSpec, OpError> {
        let size = |list: &[i64], at: usize, default: i64, what: &str| {
            let value = if list.is_empty() { Some(&default) } else { list.get(at) };
            value.and_then(|&value| usize::try_from(value).ok()).ok_or_else(|| {
                OpError::Invalid(format!("attribute `{what}` {list:?} does not fit {axes} axes"))
            })
        };
        let stride = size(&self.strides, axis, 1, "strides")?;
        let dilation = size(&self.dilations, axis, 1, "dilations")?;
        if stride == 0 || dilation == 0 || kernel == 0 {
            return Err(OpError::Invalid(
                "strides, dilations and kernel sizes are at least 1".to_owned(),
            ));
        }
        let pads = match self.auto_pad.as_str() {
            "NOTSET" | "" => {
                [size(&self.pads, axis, 0, "pads")?, size(&self.pads, axis + axes, 0, "pads")?]
            }
            "VALID" => [0, 0],
            mode => {
                // As many outputs as strides start within the input.
                let last = input.div_ceil(stride).saturating_sub(1).saturating_mul(stride);
                let reach = last.saturating_add((kernel - 1).saturating_mul(dilation));
                let total = reach.saturating_add(1).saturating_sub(input);
                let small = total / 2;
                if mode == "SAME_LOWER" { [total - small, small] } else { [small, total - small] }
            }
        };
        Ok(AxisSpec { input, kernel, stride, dilation, pads })
    }
}
