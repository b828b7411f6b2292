//! Moving blocks of space into channels and back.

use remuda_ir::{Attrs, OpError};
use remuda_tensor::Tensor;

use super::axes::gather_flat;

/// The attributes `blocksize` and `mode`; whether channels count slower than the places in a block.
pub(crate) fn read_blocks(attrs: &Attrs) -> Result<(usize, bool), OpError> {
    let size = attrs.required_int("blocksize")?;
    let block = usize::try_from(size).ok().filter(|&block| block > 0).ok_or_else(|| {
        OpError::Invalid(format!("`blocksize` expected a positive integer, got {size}"))
    })?;
    match attrs.text_or("mode", "DCR")? {
        "DCR" => Ok((block, false)),
        "CRD" => Ok((block, true)),
        other => Err(OpError::Invalid(format!("`mode` expected DCR or CRD, got `{other}`"))),
    }
}

/// Views elements of any dtype as `split`, permutes the axes and gives them other dimensions.
pub(crate) fn rearrange(
    x: &Tensor,
    split: &[usize],
    order: &[usize],
    dims: Vec<usize>,
) -> Result<Tensor, OpError> {
    let places: Vec<u64> = (0..x.len() as u64).collect();
    let places = Tensor::from_vec(split, places)?.permute(order)?.to_vec::<u64>()?;
    gather_flat(x, dims, places.into_iter().map(|at| at as usize))
}
