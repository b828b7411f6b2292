//! `ConvTranspose` of f32 over one to three spatial axes.

use remuda_ir::{Attrs, OpError, Val};
use remuda_kernels::conv::{ConvTranspose, TransposedAxis};
use remuda_tensor::{DType, Tensor};

use super::conv::failed;
use crate::kernel::{Kernel, Preparation, Run, optional, tensor, writable};

/// How the padding in front is found.
#[derive(Clone, Copy, PartialEq)]
enum Padding {
    Explicit,
    Valid,
    Same { odd_at_end: bool },
}

/// What the attributes say of one axis.
struct Along {
    kernel: Option<usize>,
    stride: usize,
    dilation: usize,
    pads: [usize; 2],
    extra: usize,
    output: Option<usize>,
}

struct Transposed {
    axes: Vec<Along>,
    padding: Padding,
    groups: usize,
}

pub(super) fn prepare(preparation: &Preparation<'_>) -> Option<Box<dyn Kernel>> {
    let node = preparation.node;
    let floats =
        (0..3).all(|at| node.input(at).is_none() || preparation.dtype(at) == Some(DType::F32));
    let rank = preparation.input_type(0)?.as_tensor()?.dims.as_ref()?.len().checked_sub(2)?;
    let padding = match node.attrs.text_or("auto_pad", "NOTSET").ok()? {
        "NOTSET" | "" => Padding::Explicit,
        "VALID" => Padding::Valid,
        "SAME_UPPER" => Padding::Same { odd_at_end: true },
        "SAME_LOWER" => Padding::Same { odd_at_end: false },
        _ => return None,
    };
    let groups = usize::try_from(node.attrs.int_or("group", 1).ok()?).ok()?;
    let axes = axes(&node.attrs, rank)?;
    let fits = floats && (1..=3).contains(&rank);
    fits.then(|| Box::new(Transposed { axes, padding, groups }) as Box<dyn Kernel>)
}

fn axes(attrs: &Attrs, rank: usize) -> Option<Vec<Along>> {
    // Nothing where the attribute is odd, an empty list where it is left out.
    let sizes = |name: &str, counts: &[usize]| -> Option<Vec<usize>> {
        let Some(given) = attrs.ints(name).ok()? else { return Some(Vec::new()) };
        let sizes = given.iter().map(|&size| usize::try_from(size).ok());
        sizes.collect::<Option<Vec<_>>>().filter(|sizes| counts.contains(&sizes.len()))
    };
    let (kernel, pads) = (sizes("kernel_shape", &[rank])?, sizes("pads", &[2 * rank])?);
    let (strides, dilations) = (sizes("strides", &[rank])?, sizes("dilations", &[rank])?);
    // Some writers give all dimensions of the output; the last ones count.
    let with_channels = [rank, rank + 2];
    let (extra, output) =
        (sizes("output_padding", &with_channels)?, sizes("output_shape", &with_channels)?);
    let last = |list: &[usize], axis: usize| list.iter().rev().nth(rank - 1 - axis).copied();
    let along = |axis: usize| Along {
        kernel: kernel.get(axis).copied(),
        stride: strides.get(axis).copied().unwrap_or(1),
        dilation: dilations.get(axis).copied().unwrap_or(1),
        pads: [axis, rank + axis].map(|at| pads.get(at).copied().unwrap_or(0)),
        extra: last(&extra, axis).unwrap_or(0),
        output: last(&output, axis),
    };
    Some((0..rank).map(along).collect())
}

impl Along {
    /// The axis for an input of this size; `None` where there is no such output.
    fn over(&self, padding: Padding, input: usize, kernel: usize) -> Option<TransposedAxis> {
        let &Self { stride, dilation, extra, .. } = self;
        if self.kernel.is_some_and(|asked| asked != kernel) {
            return None;
        }
        // The size without any padding taken off.
        let reach = input.checked_sub(1)?.checked_mul(stride)?;
        let span = kernel.checked_sub(1)?.checked_mul(dilation)?;
        let full = reach.checked_add(span)?.checked_add(extra)?.checked_add(1)?;
        let (chosen, odd_at_end) = match padding {
            Padding::Same { odd_at_end } => (Some(input.checked_mul(stride)?), odd_at_end),
            _ => (None, false),
        };
        let (output, pad) = match self.output.or(chosen) {
            Some(output) => {
                let total = full.saturating_sub(output);
                (output, if odd_at_end { total / 2 } else { total - total / 2 })
            }
            None if padding == Padding::Valid => (full, 0),
            None => (full.checked_sub(self.pads[0])?.checked_sub(self.pads[1])?, self.pads[0]),
        };
        Some(TransposedAxis { input, output, kernel, stride, dilation, pad })
    }
}

impl Kernel for Transposed {
    fn run(&self, run: &mut Run<'_>, inputs: &mut [Option<Val>]) -> Result<Vec<Val>, OpError> {
        let (x, w) = (tensor(inputs, 0)?.contiguous(), tensor(inputs, 1)?.contiguous());
        let misfit = || {
            let (x, w, groups) = (x.dims(), w.dims(), self.groups);
            OpError::Invalid(format!("data {x:?} do not fit weights {w:?} in {groups} groups"))
        };
        let ([batch, channels, spatial @ ..], [rows, columns, kernel @ ..]) = (x.dims(), w.dims())
        else {
            return Err(misfit());
        };
        let rank = self.axes.len();
        if channels != rows || spatial.len() != rank || kernel.len() != rank {
            return Err(misfit());
        }
        let axes = self.axes.iter().zip(spatial.iter().zip(kernel));
        let axes = axes.map(|(along, (&input, &kernel))| along.over(self.padding, input, kernel));
        let axes = axes.collect::<Option<Vec<_>>>().ok_or_else(misfit)?;
        let output = columns.checked_mul(self.groups).ok_or_else(misfit)?;
        let conv = ConvTranspose::new(*batch, [*channels, output], self.groups, &axes);
        let conv = conv.map_err(failed)?;
        let mut dims = vec![*batch, output];
        dims.extend(axes.iter().map(|axis| axis.output));
        let bias = optional(inputs, 2)?.map(Tensor::contiguous);
        if let Some(bias) = bias.as_ref().filter(|bias| bias.dims() != [output]) {
            let text = format!("the bias expected [{output}], got {:?}", bias.dims());
            return Err(OpError::Invalid(text));
        }
        let bias = bias.as_ref().map(Tensor::as_slice).transpose()?;
        let mut out = run.arena.tensor(DType::F32, &dims)?;
        conv.run(run.context(), x.as_slice()?, w.as_slice()?, bias, writable(&mut out)?)
            .map_err(failed)?;
        Ok(vec![out.into()])
    }
}
