//! `Attention` of com.microsoft: one projection of the input into queries, keys and values, then
//! attention as [`MultiHead`] has it. The three parts of the weights are packed apart, so that each part
//! of the projection is written where attention reads it.

use std::sync::OnceLock;

use remuda_ir::{OpError, Val};
use remuda_kernels::gemm::{Epilogue, Matrix, PackedB, Product, Rhs};
use remuda_kernels::layout::concat;
use remuda_tensor::{DType, Tensor};

use super::attention::cache;
use super::cast::of_floats;
use super::elementwise::is_fast;
use super::layout::{bits, bits_mut, by_width};
use super::multi_head::{Attended, Beside, MultiHead};
use crate::Packing;
use crate::kernel::{Kernel, Preparation, Run, optional, tensor, writable};

struct ProjectedAttention {
    attention: MultiHead,
    /// Columns of queries, keys and values.
    widths: [usize; 3],
    packed: OnceLock<[PackedB; 3]>,
}

pub(super) fn prepare(preparation: &Preparation<'_>) -> Option<Box<dyn Kernel>> {
    let (node, attrs) = (preparation.node, &preparation.node.attrs);
    let dtype = preparation.dtype(0).filter(|&dtype| is_fast(dtype))?;
    let typed = [1, 2, 4, 5]
        .iter()
        .all(|&at| node.input(at).is_none() || preparation.dtype(at) == Some(dtype));
    let flag = |name: &str| attrs.bool_or(name, false).ok();
    let plain = node.input(6).is_none()
        && !flag("do_rotary")?
        && !flag("past_present_share_buffer")?
        && preparation.is_fixed(1);
    let columns = preparation.input_type(1)?.as_tensor()?.fixed_dims()?;
    let &[_, columns] = columns.as_slice() else { return None };
    let widths = match attrs.ints("qkv_hidden_sizes").ok()?.unwrap_or(&[]) {
        [] => [columns / 3; 3],
        given => {
            let given: Vec<usize> =
                given.iter().map(|&width| usize::try_from(width)).collect::<Result<_, _>>().ok()?;
            given.try_into().ok()?
        }
    };
    let sum = widths.iter().try_fold(0usize, |sum, &width| sum.checked_add(width));
    let presents = node.output(1).is_some();
    let fits = sum == Some(columns) && (!presents || widths[1] == widths[2]);
    let attention = MultiHead::new(attrs, presents)?;
    let kernel = ProjectedAttention { attention, widths, packed: OnceLock::new() };
    (typed && plain && fits).then(|| Box::new(kernel) as Box<dyn Kernel>)
}

fn failed(error: impl std::fmt::Display) -> OpError {
    OpError::Bug(error.to_string())
}

impl Kernel for ProjectedAttention {
    fn packs(&self) -> &[usize] {
        &[1]
    }

    fn pack(&self, _: &Packing<'_>, inputs: &[Option<Tensor>]) -> Result<(), OpError> {
        let Some(Some(weights)) = inputs.get(1) else {
            return Err(OpError::Bug("there are no weights to pack".to_owned()));
        };
        let [depth, columns] = <[usize; 2]>::try_from(weights.dims()).map_err(|_| {
            OpError::Invalid(format!("`weights` expected 2 dimensions, got {:?}", weights.dims()))
        })?;
        let floats = weights.to_f32_vec()?;
        let part = |from: usize, width: usize| -> Result<PackedB, OpError> {
            let data = floats.get(from..).unwrap_or(&[]);
            let part = Matrix::strided(data, [depth, width], [columns, 1]).map_err(failed)?;
            Ok(PackedB::new(&part))
        };
        let [query, key, value] = self.widths;
        let _ = self.packed.set([part(0, query)?, part(query, key)?, part(query + key, value)?]);
        Ok(())
    }

    fn run(&self, run: &mut Run<'_>, inputs: &mut [Option<Val>]) -> Result<Vec<Val>, OpError> {
        let [query, key, value] = self.project(run, tensor(inputs, 0)?, optional(inputs, 2)?)?;
        let past = optional(inputs, 4)?.map(halves).transpose()?;
        let beside = Beside { past, padding: optional(inputs, 3)?, added: optional(inputs, 5)? };
        let Attended { out, key, value: values } =
            self.attention.attend(run, [&query, &key, &value], beside)?;
        [query, value].into_iter().for_each(|part| run.arena.reclaim(part.into()));
        if !self.attention.presents {
            return Ok(vec![out.into()]);
        }
        let (key, value) = (cache::separate(run, key)?, cache::separate(run, values)?);
        let mut present = run.arena.tensor(key.dtype(), &[&[2], key.dims()].concat())?;
        if present.len() > 0 {
            by_width!(key.dtype(), T => {
                let parts = [(bits::<T>(&key)?, key.len()), (bits(&value)?, value.len())];
                concat(run.context(), &parts, bits_mut(&mut present)?);
                Ok(())
            })?;
        }
        Ok(vec![out.into(), present.into()])
    }
}

impl ProjectedAttention {
    fn project(
        &self,
        run: &mut Run<'_>,
        x: &Tensor,
        bias: Option<&Tensor>,
    ) -> Result<[Tensor; 3], OpError> {
        let &[batch, length, depth] = x.dims() else {
            let text = format!("`input` expected 3 dimensions, got {:?}", x.dims());
            return Err(OpError::Invalid(text));
        };
        let packed = self.packed.get();
        let packed = packed.ok_or_else(|| OpError::Bug("weights are not packed".to_owned()))?;
        let all: usize = self.widths.iter().sum();
        let bias = bias.map(Tensor::to_f32_vec).transpose()?;
        if packed[0].rows() != depth || bias.as_ref().is_some_and(|bias| bias.len() != all) {
            let text = format!("`weights` or `bias` do not fit an input of {:?}", x.dims());
            return Err(OpError::Invalid(text));
        }
        let floats = as_floats(x)?;
        let lhs = Matrix::new(floats.as_slice::<f32>()?, batch * length, depth).map_err(failed)?;
        let mut from = 0;
        let mut part = |packed: &PackedB| -> Result<Tensor, OpError> {
            let width = packed.columns();
            let column_bias = bias.as_ref().map(|bias| &bias[from..from + width]);
            from += width;
            let mut out = run.arena.tensor(DType::F32, &[batch, length, width])?;
            let epilogue = Epilogue { column_bias, ..Epilogue::default() };
            let product = Product { epilogue, ..Product::new(lhs, Rhs::Packed(packed)) };
            product.run(run.context(), writable(&mut out)?, width).map_err(failed)?;
            of_floats(out, x.dtype())
        };
        let [query, key, value] = packed;
        Ok([part(query)?, part(key)?, part(value)?])
    }
}

/// Keys and values of a cache that holds both.
fn halves(past: &Tensor) -> Result<[Tensor; 2], OpError> {
    let &[2, ref dims @ ..] = past.dims() else {
        return Err(OpError::Invalid(format!("`past` expected 2 parts, got {:?}", past.dims())));
    };
    let half = |which: usize| Ok::<_, OpError>(past.slice(0, which, 1, 1)?.reshape(dims)?);
    Ok([half(0)?, half(1)?])
}

fn as_floats(x: &Tensor) -> Result<Tensor, OpError> {
    if x.dtype() == DType::F32 {
        return Ok(x.contiguous());
    }
    Ok(Tensor::from_vec(x.dims(), x.to_f32_vec()?)?)
}
