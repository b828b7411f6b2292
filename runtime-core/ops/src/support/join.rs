//! Putting tensors together and taking them apart along an axis, for every dtype.

use remuda_ir::OpError;
use remuda_tensor::{DType, Tensor, packed};

use super::unsupported_dtype;

/// The tensors one after the other along an axis that all have.
pub(crate) fn concat(parts: &[Tensor], axis: usize) -> Result<Tensor, OpError> {
    let first = parts.first().ok_or_else(|| OpError::invalid("there is no tensor to join"))?;
    let mut dims = first.dims().to_vec();
    let mut total = 0usize;
    for part in parts {
        let fits = part.dtype() == first.dtype()
            && part.rank() == dims.len()
            && (0..dims.len()).all(|at| at == axis || part.dims()[at] == dims[at]);
        if !fits {
            return Err(OpError::Invalid(format!(
                "{}{:?} and {}{:?} cannot be joined along axis {axis}",
                first.dtype(),
                first.dims(),
                part.dtype(),
                part.dims()
            )));
        }
        total = total.saturating_add(part.dims()[axis]);
    }
    let outer: usize = dims[..axis].iter().product();
    dims[axis] = total;
    let dtype = first.dtype();
    if dtype == DType::String {
        let lists: Vec<Vec<&str>> = parts.iter().map(Tensor::texts).collect();
        let texts = weave(&lists, outer).into_iter().map(str::to_owned).collect();
        return Ok(Tensor::from_strings(dims, texts)?);
    }
    if dtype.is_packed() {
        let lists: Vec<Vec<i8>> = parts.iter().map(unpacked).collect();
        return Ok(Tensor::from_bytes(dtype, dims, &packed::pack(dtype, &weave(&lists, outer)))?);
    }
    dtype.element_bytes().ok_or_else(|| unsupported_dtype(dtype))?;
    let lists: Vec<Vec<u8>> = parts.iter().map(Tensor::to_le_bytes).collect();
    Ok(Tensor::from_bytes(dtype, dims, &weave(&lists, outer))?)
}

fn unpacked(tensor: &Tensor) -> Vec<i8> {
    packed::unpack(tensor.dtype(), tensor.bytes().unwrap_or(&[]), tensor.len())
}

/// Each list cut into `outer` blocks; all first blocks, then all second ones, and so on.
fn weave<T: Copy>(lists: &[Vec<T>], outer: usize) -> Vec<T> {
    let block = |list: &Vec<T>| list.len().checked_div(outer).unwrap_or(0);
    let pieces = (0..outer).flat_map(|at| {
        lists.iter().flat_map(move |list| &list[at * block(list)..(at + 1) * block(list)])
    });
    pieces.copied().collect()
}

/// The tensors along a new axis.
pub(crate) fn stack(parts: &[Tensor], axis: usize) -> Result<Tensor, OpError> {
    let widened = parts.iter().map(|part| {
        let mut dims = part.dims().to_vec();
        dims.insert(axis.min(dims.len()), 1);
        part.reshape(dims)
    });
    concat(&widened.collect::<Result<Vec<_>, _>>()?, axis)
}

/// `count` places of an axis from `start` on.
pub(crate) fn part(
    tensor: &Tensor,
    axis: usize,
    start: usize,
    count: usize,
) -> Result<Tensor, OpError> {
    if !tensor.dtype().is_packed() {
        return Ok(tensor.slice(axis, start, count, 1)?);
    }
    let bytes: Vec<u8> = unpacked(tensor).into_iter().map(i8::cast_unsigned).collect();
    let view = Tensor::from_vec(tensor.dims(), bytes)?.slice(axis, start, count, 1)?;
    let values: Vec<i8> = view.to_vec::<u8>()?.into_iter().map(u8::cast_signed).collect();
    let bytes = packed::pack(tensor.dtype(), &values);
    Ok(Tensor::from_bytes(tensor.dtype(), view.dims(), &bytes)?)
}

/// One place of an axis, without that axis.
pub(crate) fn place(tensor: &Tensor, axis: usize, at: usize) -> Result<Tensor, OpError> {
    let slice = part(tensor, axis, at, 1)?;
    let mut dims = slice.dims().to_vec();
    dims.remove(axis);
    Ok(slice.reshape(dims)?)
}
