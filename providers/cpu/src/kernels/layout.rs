//! Operators that move elements: any dtype of whole bytes, by its bits.

use remuda_ir::{OpError, Val};
use remuda_kernels::layout::{AxisMap, concat, gather, split, transpose};
use remuda_tensor::storage::{cast, cast_mut};
use remuda_tensor::{DType, Tensor};

use super::remap::mapped;
use super::resolve_axis;
use crate::kernel::{Kernel, Preparation, Run, tensor};

/// Whether elements can be moved by their bits, and how many bytes they have.
pub(super) fn width(preparation: &Preparation<'_>, at: usize) -> Option<usize> {
    preparation.dtype(at)?.element_bytes().filter(|bytes| matches!(bytes, 1 | 2 | 4 | 8))
}

/// Runs `$body` with `T` bound to an unsigned integer of the dtype's width.
macro_rules! by_width {
    ($dtype:expr, $T:ident => $body:expr) => {
        match $dtype.element_bytes() {
            Some(1) => {
                type $T = u8;
                $body
            }
            Some(2) => {
                type $T = u16;
                $body
            }
            Some(4) => {
                type $T = u32;
                $body
            }
            Some(8) => {
                type $T = u64;
                $body
            }
            _ => Err(OpError::Bug(format!("a kernel that moves elements got `{}`", $dtype))),
        }
    };
}
pub(super) use by_width;

pub(super) fn bits<T: remuda_tensor::Scalar>(tensor: &Tensor) -> Result<&[T], OpError> {
    let bytes = tensor.bytes().unwrap_or(&[]);
    cast(bytes).ok_or_else(|| OpError::Bug("misaligned elements".to_owned()))
}

/// A result that is written by its bits. Booleans are made as bytes and named afterwards.
pub(super) fn new_bits(run: &mut Run<'_>, dtype: DType, dims: &[usize]) -> Result<Tensor, OpError> {
    run.arena.tensor(if dtype == DType::Bool { DType::U8 } else { dtype }, dims)
}

pub(super) fn bits_mut<T: remuda_tensor::Scalar>(tensor: &mut Tensor) -> Result<&mut [T], OpError> {
    let bytes =
        tensor.bytes_mut().ok_or_else(|| OpError::Bug("a result is not writable".to_owned()))?;
    cast_mut(bytes).ok_or_else(|| OpError::Bug("misaligned elements".to_owned()))
}

pub(super) fn finish(tensor: Tensor, dtype: DType) -> Result<Val, OpError> {
    Ok(if tensor.dtype() == dtype { tensor } else { tensor.bit_cast(dtype)? }.into())
}

struct Transpose {
    perm: Option<Vec<i64>>,
    /// Whether the result may be a view.
    view: bool,
}

pub(super) fn prepare_transpose(preparation: &Preparation<'_>) -> Option<Box<dyn Kernel>> {
    width(preparation, 0)?;
    let perm = preparation.node.attrs.ints("perm").ok()?.map(<[i64]>::to_vec);
    Some(Box::new(Transpose { perm, view: preparation.may_be_view(0) }))
}

impl Kernel for Transpose {
    fn run(&self, run: &mut Run<'_>, inputs: &mut [Option<Val>]) -> Result<Vec<Val>, OpError> {
        let x = tensor(inputs, 0)?;
        let axes: Vec<usize> = match &self.perm {
            None => (0..x.rank()).rev().collect(),
            Some(perm) => {
                perm.iter().map(|&axis| resolve_axis(axis, x.rank())).collect::<Result<_, _>>()?
            }
        };
        // Also checks that it is a permutation.
        let view = x.permute(&axes)?;
        if self.view {
            return Ok(vec![view.into()]);
        }
        let x = x.contiguous();
        let mut out = new_bits(run, x.dtype(), view.dims())?;
        by_width!(x.dtype(), T => {
            transpose::<T>(run.context(), bits(&x)?, bits_mut(&mut out)?, x.dims(), &axes);
            Ok(())
        })?;
        Ok(vec![finish(out, x.dtype())?])
    }
}

struct Concat(i64);

pub(super) fn prepare_concat(preparation: &Preparation<'_>) -> Option<Box<dyn Kernel>> {
    let node = preparation.node;
    (0..node.inputs.len()).try_for_each(|at| width(preparation, at).map(|_| ()))?;
    Some(Box::new(Concat(node.attrs.int("axis").ok()??)))
}

impl Kernel for Concat {
    fn run(&self, run: &mut Run<'_>, inputs: &mut [Option<Val>]) -> Result<Vec<Val>, OpError> {
        let parts = (0..inputs.len()).map(|at| Ok(tensor(inputs, at)?.contiguous()));
        let parts = parts.collect::<Result<Vec<_>, OpError>>()?;
        let first = parts
            .first()
            .ok_or_else(|| OpError::Invalid("expected at least one input".to_owned()))?;
        let axis = resolve_axis(self.0, first.rank())?;
        let mut dims = first.dims().to_vec();
        dims[axis] = 0;
        for part in &parts {
            let fits = part.rank() == dims.len()
                && part.dtype() == first.dtype()
                && part
                    .dims()
                    .iter()
                    .zip(&dims)
                    .enumerate()
                    .all(|(at, (a, b))| at == axis || a == b);
            if !fits {
                let text = format!(
                    "dimensions {:?} and {:?} do not join at axis {axis}",
                    first.dims(),
                    part.dims()
                );
                return Err(OpError::Invalid(text));
            }
            dims[axis] += part.dims()[axis];
        }
        let mut out = new_bits(run, first.dtype(), &dims)?;
        if out.len() > 0 {
            by_width!(first.dtype(), T => {
                let sources = parts.iter().filter(|part| part.len() > 0);
                let sources = sources.map(|part| Ok((bits::<T>(part)?, part.dims()[axis..].iter().product())));
                let sources = sources.collect::<Result<Vec<_>, OpError>>()?;
                concat(run.context(), &sources, bits_mut(&mut out)?);
                Ok(())
            })?;
        }
        Ok(vec![finish(out, first.dtype())?])
    }
}

struct Split {
    axis: i64,
    parts: usize,
}

pub(super) fn prepare_split(preparation: &Preparation<'_>) -> Option<Box<dyn Kernel>> {
    width(preparation, 0)?;
    let node = preparation.node;
    Some(Box::new(Split { axis: node.attrs.int_or("axis", 0).ok()?, parts: node.outputs.len() }))
}

impl Kernel for Split {
    fn run(&self, run: &mut Run<'_>, inputs: &mut [Option<Val>]) -> Result<Vec<Val>, OpError> {
        let x = tensor(inputs, 0)?.contiguous();
        let axis = resolve_axis(self.axis, x.rank())?;
        let size = x.dims()[axis];
        let sizes: Vec<usize> = match crate::kernel::optional(inputs, 1)? {
            Some(sizes) => sizes
                .to_i64_vec()?
                .iter()
                .map(|&size| usize::try_from(size).unwrap_or(usize::MAX))
                .collect(),
            None => {
                let each = size.div_ceil(self.parts.max(1));
                (0..self.parts).map(|part| each.min(size.saturating_sub(part * each))).collect()
            }
        };
        let total = sizes.iter().try_fold(0usize, |total, &size| total.checked_add(size));
        if total != Some(size) || sizes.len() != self.parts {
            return Err(OpError::Invalid(format!(
                "parts of {sizes:?} do not make up axis {axis} of {:?}",
                x.dims()
            )));
        }
        let mut outs = Vec::with_capacity(sizes.len());
        for &size in &sizes {
            let mut dims = x.dims().to_vec();
            dims[axis] = size;
            outs.push(new_bits(run, x.dtype(), &dims)?);
        }
        let inner: usize = x.dims()[axis + 1..].iter().product();
        if x.len() > 0 {
            by_width!(x.dtype(), T => {
                let places = outs.iter_mut().zip(&sizes);
                let places = places.map(|(out, size)| Ok((bits_mut::<T>(out)?, size * inner)));
                let mut places = places.collect::<Result<Vec<_>, OpError>>()?;
                split(run.context(), bits(&x)?, &mut places);
                Ok(())
            })?;
        }
        outs.into_iter().map(|out| finish(out, x.dtype())).collect()
    }
}

struct Gather(i64);

pub(super) fn prepare_gather(preparation: &Preparation<'_>) -> Option<Box<dyn Kernel>> {
    width(preparation, 0)?;
    Some(Box::new(Gather(preparation.node.attrs.int_or("axis", 0).ok()?)))
}

impl Kernel for Gather {
    /// Of a table in a file only the rows are read that are asked for.
    fn reads_unaligned(&self, at: usize) -> bool {
        at == 0
    }

    fn run(&self, run: &mut Run<'_>, inputs: &mut [Option<Val>]) -> Result<Vec<Val>, OpError> {
        let (x, indices) = (tensor(inputs, 0)?.together(), tensor(inputs, 1)?);
        let axis = resolve_axis(self.0, x.rank())?;
        let dims = [&x.dims()[..axis], indices.dims(), &x.dims()[axis + 1..]].concat();
        let inner: usize = x.dims()[axis + 1..].iter().product();
        let indices = indices.to_i64_vec()?;
        let mut out = new_bits(run, x.dtype(), &dims)?;
        if out.len() > 0 && !x.is_aligned() {
            let row = (x.dims()[axis], inner * x.dtype().element_bytes().unwrap_or(1));
            let bytes = x.bytes().unwrap_or(&[]);
            gather::<u8>(run.context(), bytes, row, &indices, bits_mut(&mut out)?)
                .map_err(|error| OpError::Invalid(format!("`indices`: {error}")))?;
        } else if out.len() > 0 {
            by_width!(x.dtype(), T => {
                gather::<T>(run.context(), bits(&x)?, (x.dims()[axis], inner), &indices, bits_mut(&mut out)?)
                    .map_err(|error| OpError::Invalid(format!("`indices`: {error}")))
            })?;
        }
        Ok(vec![finish(out, x.dtype())?])
    }
}

struct Expand;

pub(super) fn prepare_expand(preparation: &Preparation<'_>) -> Option<Box<dyn Kernel>> {
    width(preparation, 0).map(|_| Box::new(Expand) as Box<dyn Kernel>)
}

impl Kernel for Expand {
    fn run(&self, run: &mut Run<'_>, inputs: &mut [Option<Val>]) -> Result<Vec<Val>, OpError> {
        let (x, shape) = (tensor(inputs, 0)?.contiguous(), tensor(inputs, 1)?.to_i64_vec()?);
        let shape = shape.iter().map(|&dim| usize::try_from(dim)).collect::<Result<Vec<_>, _>>();
        let shape =
            shape.map_err(|_| OpError::Invalid("`shape` holds a negative size".to_owned()))?;
        let dims = remuda_tensor::index::broadcast(x.dims(), &shape).ok_or_else(|| {
            OpError::Invalid(format!("dimensions {:?} and {shape:?} do not broadcast", x.dims()))
        })?;
        if dims == x.dims() {
            return Ok(vec![x.into()]);
        }
        let padded = [vec![1; dims.len() - x.rank()], x.dims().to_vec()].concat();
        mapped(run, &x, &dims, None, || {
            let axis = |(&from, &to): (&usize, &usize)| {
                if from == to { AxisMap::identity(to) } else { AxisMap::tile(1, to) }
            };
            padded.iter().zip(&dims).map(axis).collect()
        })
    }
}
