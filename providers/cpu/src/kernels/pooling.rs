//! `MaxPool` and `AveragePool` over one to three spatial axes, and the poolings of whole channels.

use remuda_ir::{Attrs, OpError, Val};
use remuda_kernels::pooling::{PoolAxis, Pooling, pool};
use remuda_kernels::reduce::{Reduction, reduce};
use remuda_tensor::{DType, bf16, f16};

use super::elementwise::{is_fast, with_fast};
use super::no_memory;
use crate::kernel::{Kernel, Preparation, Run, tensor, writable};

/// Windows, steps and pads beyond this are left to the reference.
const FAR: usize = 1 << 20;

#[derive(Clone, Copy)]
enum Padding {
    Explicit { before: usize, after: usize },
    Same { odd_at_end: bool },
}

/// A window along one axis, before the size of the input is known.
#[derive(Clone, Copy)]
struct Along {
    kernel: usize,
    stride: usize,
    dilation: usize,
    padding: Padding,
}

struct Pool {
    kind: Pooling,
    windows: Vec<Along>,
    ceil: bool,
}

pub(super) fn prepare(preparation: &Preparation<'_>) -> Option<Box<dyn Kernel>> {
    let node = preparation.node;
    let kind = match &*node.op.name {
        "MaxPool" => Pooling::Max,
        _ if node.attrs.bool_or("count_include_pad", false).ok()? => Pooling::AverageWithPadding,
        _ => Pooling::Average,
    };
    let rank = preparation.input_type(0)?.as_tensor()?.dims.as_ref()?.len();
    let windows = windows(&node.attrs, rank.checked_sub(2)?)?;
    let fits = is_fast(preparation.dtype(0)?)
        && (1..=3).contains(&windows.len())
        && node.output(1).is_none();
    let ceil = node.attrs.bool_or("ceil_mode", false).ok()?;
    fits.then(|| Box::new(Pool { kind, windows, ceil }) as Box<dyn Kernel>)
}

fn windows(attrs: &Attrs, axes: usize) -> Option<Vec<Along>> {
    let sizes = |name: &str, count: usize, default: usize| {
        let Some(given) = attrs.ints(name).ok()? else { return Some(vec![default; count]) };
        let sizes = given.iter().map(|&size| usize::try_from(size).ok());
        let sizes = sizes.collect::<Option<Vec<_>>>()?;
        let fits = sizes.len() == count && sizes.iter().all(|&size| (default..FAR).contains(&size));
        fits.then_some(sizes)
    };
    attrs.ints("kernel_shape").ok()??;
    let kernel = sizes("kernel_shape", axes, 1)?;
    let (strides, dilations) = (sizes("strides", axes, 1)?, sizes("dilations", axes, 1)?);
    let mode = attrs.text_or("auto_pad", "NOTSET").ok()?;
    let pads = if mode == "NOTSET" { sizes("pads", 2 * axes, 0)? } else { vec![0; 2 * axes] };
    let along = |axis: usize| {
        let padding = match mode {
            "NOTSET" | "VALID" => {
                Padding::Explicit { before: pads[axis], after: pads[axis + axes] }
            }
            "SAME_UPPER" => Padding::Same { odd_at_end: true },
            "SAME_LOWER" => Padding::Same { odd_at_end: false },
            _ => return None,
        };
        let (kernel, stride, dilation) = (kernel[axis], strides[axis], dilations[axis]);
        (kernel * dilation < FAR).then_some(Along { kernel, stride, dilation, padding })
    };
    (0..axes).map(along).collect()
}

impl Along {
    /// The axis of an input of this size; `None` where not even one window fits.
    fn over(self, input: usize, ceil: bool) -> Option<PoolAxis> {
        let Self { kernel, stride, dilation, padding } = self;
        let extent = (kernel - 1) * dilation + 1;
        let (output, pad_before, pad_after) = match padding {
            Padding::Explicit { before, after } => {
                let room = input.checked_add(before + after)?.checked_sub(extent)?;
                // The last window starts inside the input or the padding in front of it.
                let output = if ceil {
                    (room.div_ceil(stride) + 1).min((input + before).div_ceil(stride))
                } else {
                    room / stride + 1
                };
                (output, before, after)
            }
            Padding::Same { odd_at_end } => {
                let output = input.div_ceil(stride);
                let total = (output.saturating_sub(1) * stride + extent).saturating_sub(input);
                let (small, large) = (total / 2, total - total / 2);
                if odd_at_end { (output, small, large) } else { (output, large, small) }
            }
        };
        Some(PoolAxis { input, output, kernel, stride, dilation, pad_before, pad_after })
    }
}

impl Kernel for Pool {
    fn run(&self, run: &mut Run<'_>, inputs: &mut [Option<Val>]) -> Result<Vec<Val>, OpError> {
        let x = tensor(inputs, 0)?.contiguous();
        let misfit =
            || OpError::Invalid(format!("the windows do not fit an input of {:?}", x.dims()));
        let spatial = x.dims().get(2..).filter(|dims| dims.len() == self.windows.len());
        let spatial = spatial.ok_or_else(misfit)?;
        let axes = spatial.iter().zip(&self.windows);
        let axes = axes.map(|(&input, along)| along.over(input, self.ceil).ok_or_else(misfit));
        let axes = axes.collect::<Result<Vec<_>, _>>()?;
        let planes = x.dims()[0] * x.dims()[1];
        let mut dims = x.dims()[..2].to_vec();
        dims.extend(axes.iter().map(|axis| axis.output));
        let mut out = run.arena.tensor(x.dtype(), &dims)?;
        if out.len() > 0 {
            with_fast!(x.dtype(), T => {
                let (from, to) = (x.as_slice::<T>()?, writable(&mut out)?);
                pool(run.context(), self.kind, &axes, planes, from, to).map_err(no_memory)
            })?;
        }
        Ok(vec![out.into()])
    }
}

struct Global(Reduction);

pub(super) fn prepare_global(preparation: &Preparation<'_>) -> Option<Box<dyn Kernel>> {
    let mean = &*preparation.node.op.name == "GlobalAveragePool";
    let kind = if mean { Reduction::Mean } else { Reduction::Max };
    is_fast(preparation.dtype(0)?).then(|| Box::new(Global(kind)) as Box<dyn Kernel>)
}

impl Kernel for Global {
    fn run(&self, run: &mut Run<'_>, inputs: &mut [Option<Val>]) -> Result<Vec<Val>, OpError> {
        let x = tensor(inputs, 0)?.contiguous();
        let [batch, channels, spatial @ ..] = x.dims() else {
            return Err(OpError::Invalid(format!(
                "expected at least 3 dimensions, got {:?}",
                x.dims()
            )));
        };
        if spatial.is_empty() {
            return Err(OpError::Invalid("expected at least 3 dimensions, got 2".to_owned()));
        }
        let dims = [&[*batch, *channels][..], &vec![1; spatial.len()]].concat();
        let shape = [batch * channels, spatial.iter().product()];
        let mut out = run.arena.tensor(x.dtype(), &dims)?;
        with_fast!(x.dtype(), T => {
            let (from, to) = (x.as_slice::<T>()?, writable(&mut out)?);
            reduce::<T>(run.context(), self.0, from, to, &shape, &[false, true]);
            Ok(())
        })?;
        Ok(vec![out.into()])
    }
}
