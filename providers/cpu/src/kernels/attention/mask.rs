//! The mask of an attention: one that is shorter than the keys forbids the rest.

use remuda_ir::OpError;
use remuda_kernels::attention::{Mask, MaskView, Sizes};
use remuda_tensor::{DType, Tensor};

/// A mask as the kernel wants it: summands in f32 or truth values, and a stride per axis.
pub(in crate::kernels) struct Prepared {
    tensor: Tensor,
    floats: Option<Vec<f32>>,
    strides: [usize; 4],
}

impl Prepared {
    pub(in crate::kernels) fn new(mask: &Tensor, sizes: &Sizes) -> Result<Self, OpError> {
        let scores = [sizes.batches, sizes.heads, sizes.queries, sizes.keys];
        let tensor = if mask.dims().last().is_some_and(|&given| given < sizes.keys) {
            lengthened(mask, sizes.keys)?
        } else {
            mask.contiguous()
        };
        let strides = strides(tensor.dims(), scores).ok_or_else(|| {
            let got = mask.dims();
            OpError::Invalid(format!("`attn_mask` of {got:?} does not broadcast to {scores:?}"))
        })?;
        let floats = match tensor.dtype() {
            DType::Bool | DType::F32 => None,
            _ => Some(tensor.to_f32_vec()?),
        };
        Ok(Self { tensor, floats, strides })
    }

    pub(in crate::kernels) fn view(&self) -> Result<Mask<'_>, OpError> {
        let strides = self.strides;
        if self.tensor.dtype() == DType::Bool {
            let data = self.tensor.bytes().unwrap_or(&[]);
            return Ok(Mask::Allowed(MaskView { data, strides }));
        }
        let data = match &self.floats {
            Some(floats) => floats,
            None => self.tensor.as_slice()?,
        };
        Ok(Mask::Additive(MaskView { data, strides }))
    }
}

/// The stride per axis of the scores, zero where the mask is broadcast.
fn strides(dims: &[usize], scores: [usize; 4]) -> Option<[usize; 4]> {
    let missing = scores.len().checked_sub(dims.len())?;
    let (mut strides, mut stride) = ([0; 4], 1);
    for (axis, &dim) in dims.iter().enumerate().rev() {
        match dim {
            1 => {}
            _ if dim == scores[axis + missing] => strides[axis + missing] = stride,
            _ => return None,
        }
        stride *= dim;
    }
    Some(strides)
}

/// The mask with minus infinity, or false, for the keys that it does not name.
fn lengthened(mask: &Tensor, keys: usize) -> Result<Tensor, OpError> {
    let mut dims = mask.dims().to_vec();
    let Some(given) = dims.last_mut().map(|last| std::mem::replace(last, keys)) else {
        return Ok(mask.contiguous());
    };
    let rows: usize = dims[..dims.len() - 1].iter().product();
    if mask.dtype() == DType::Bool {
        return Ok(Tensor::from_vec(dims, padded(&mask.to_vec()?, [rows, given, keys], false))?);
    }
    let padded = padded(&mask.to_f32_vec()?, [rows, given, keys], f32::NEG_INFINITY);
    Ok(Tensor::from_vec(dims, padded)?)
}

fn padded<T: Copy>(mask: &[T], [rows, given, keys]: [usize; 3], fill: T) -> Vec<T> {
    let row = |row: usize| {
        let row = &mask[row * given..][..given];
        row.iter().copied().chain(std::iter::repeat_n(fill, keys - given))
    };
    (0..rows).flat_map(row).collect()
}
