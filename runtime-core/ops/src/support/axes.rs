//! Axes: resolving negative ones, and walking the lines along one.

pub(crate) use remuda_ir::resolve_axis;
use remuda_ir::{Attr, Attrs, Draft, OpError, OpName, Val};
use remuda_tensor::{DType, Tensor, packed};

use super::numbers::{Numbers, check_float, rounded};
use super::unsupported_dtype;

/// Applies `f` to each line of a float tensor along an axis, in `f64`, rounding at the end.
pub(crate) fn along_axis(
    tensor: &Tensor,
    axis: i64,
    f: impl Fn(&mut [f64]),
) -> Result<Vec<Val>, OpError> {
    let axis = resolve_axis(axis, tensor.rank())?;
    check_float(tensor.dtype())?;
    let mut values = tensor.to_f64_vec()?;
    map_lines(&mut values, tensor.dims(), axis, f);
    Ok(vec![rounded(&values, tensor.dtype(), tensor.dims())?.into()])
}

/// Applies a function to each line of a tensor along an axis: floats in `f64`, integers in `i128`.
pub(crate) fn along_axis_numbers(
    tensor: &Tensor,
    axis: i64,
    float: impl Fn(&mut [f64]),
    int: impl Fn(&mut [i128]),
) -> Result<Vec<Val>, OpError> {
    let axis = resolve_axis(axis, tensor.rank())?;
    let mut numbers = Numbers::of(tensor)?;
    match &mut numbers {
        Numbers::Floats(values) => map_lines(values, tensor.dims(), axis, float),
        Numbers::Ints(values) => map_lines(values, tensor.dims(), axis, int),
    }
    Ok(vec![numbers.to_tensor(tensor.dtype(), tensor.dims())?.into()])
}

fn map_lines<W: Copy + Default>(
    values: &mut [W],
    dims: &[usize],
    axis: usize,
    f: impl Fn(&mut [W]),
) {
    let (count, inner) = (dims[axis], dims[axis + 1..].iter().product::<usize>());
    let mut line = vec![W::default(); count];
    for block in values.chunks_mut((count * inner).max(1)) {
        for start in 0..inner {
            let at = |i: usize| start + i * inner;
            (0..count).for_each(|i| line[i] = block[at(i)]);
            f(&mut line);
            (0..count).for_each(|i| block[at(i)] = line[i]);
        }
    }
}

/// Before opset 13, Softmax and its kin flattened the tensor to two dimensions at `axis`: the same is
/// now Flatten, the operator over the last axis, and a reshape back.
pub(crate) fn upgrade_flattened_axis(draft: &mut Draft<'_>) -> Result<(), OpError> {
    let axis = draft.node.attrs.int_or("axis", 1)?;
    draft.node.attrs.set("axis", Attr::Int(-1));
    let data = draft.node.input(0).ok_or_else(|| OpError::invalid("input 0 is missing"))?;
    let shape = draft.before(OpName::onnx("Shape"), &[data], Attrs::default());
    let mut attrs = Attrs::default();
    attrs.set("axis", Attr::Int(axis));
    let flat = draft.before(OpName::onnx("Flatten"), &[data], attrs);
    draft.node.inputs[0] = Some(flat);
    draft.behind(0, OpName::onnx("Reshape"), &[shape], Attrs::default());
    Ok(())
}

/// The place on an axis that a possibly negative index means.
pub(crate) fn resolve_index(index: i64, size: usize) -> Result<usize, OpError> {
    let shifted = if index < 0 { index.checked_add(size as i64) } else { Some(index) };
    shifted
        .and_then(|index| usize::try_from(index).ok())
        .filter(|&index| index < size)
        .ok_or_else(|| OpError::Invalid(format!("index {index} is outside an axis of {size}")))
}

/// For each place of `indices`, the offset in `data` of the same place but for `axis`, where the
/// index says which.
pub(crate) fn element_places(
    data: &[usize],
    indices: &Tensor,
    axis: usize,
) -> Result<Vec<usize>, OpError> {
    let misfit = indices.rank() != data.len()
        || indices.dims().iter().zip(data).enumerate().any(|(at, (a, b))| at != axis && a > b);
    if misfit {
        let text = format!(
            "`indices` of {:?} do not fit `data` of {data:?} at axis {axis}",
            indices.dims()
        );
        return Err(OpError::Invalid(text));
    }
    let values = indices.to_i64_vec()?;
    super::array::positions(indices.dims())
        .zip(values)
        .map(|(mut position, index)| {
            position[axis] = resolve_index(index, data[axis])?;
            Ok(super::array::offset_of(&position, data))
        })
        .collect()
}

/// The places along an axis in another order or number, for elements of any dtype.
pub(crate) fn select(tensor: &Tensor, axis: usize, places: &[usize]) -> Result<Tensor, OpError> {
    let mut dims = tensor.dims().to_vec();
    let (count, inner) = (dims[axis], dims[axis + 1..].iter().product::<usize>());
    dims[axis] = places.len();
    super::array::element_count(&dims)?;
    let outer: usize = dims[..axis].iter().product();
    let source = (0..outer).flat_map(|block| {
        places.iter().flat_map(move |&place| {
            let start = (block * count + place) * inner;
            start..start + inner
        })
    });
    gather_flat(tensor, dims, source)
}

/// A tensor of the elements at these row-major offsets, whatever the dtype.
pub(crate) fn gather_flat(
    tensor: &Tensor,
    dims: Vec<usize>,
    source: impl Iterator<Item = usize>,
) -> Result<Tensor, OpError> {
    if tensor.dtype() == DType::String {
        let texts = tensor.texts();
        let picked = source.map(|at| texts[at].to_owned()).collect();
        return Ok(Tensor::from_strings(dims, picked)?);
    }
    let bytes = tensor.to_le_bytes();
    if tensor.dtype().is_packed() {
        let values = packed::unpack(tensor.dtype(), &bytes, tensor.len());
        let picked: Vec<i8> = source.map(|at| values[at]).collect();
        let bytes = packed::pack(tensor.dtype(), &picked);
        return Ok(Tensor::from_bytes(tensor.dtype(), dims, &bytes)?);
    }
    let width = tensor.dtype().element_bytes().ok_or_else(|| unsupported_dtype(tensor.dtype()))?;
    let picked: Vec<u8> =
        source.flat_map(|at| bytes[at * width..(at + 1) * width].iter().copied()).collect();
    Ok(Tensor::from_bytes(tensor.dtype(), dims, &picked)?)
}

/// The elements of two tensors of one dtype behind each other, in one dimension.
pub(crate) fn joined(a: &Tensor, b: &Tensor) -> Result<Tensor, OpError> {
    let dims = vec![a.len() + b.len()];
    if a.dtype() == DType::String {
        let texts = a.texts().into_iter().chain(b.texts()).map(str::to_owned).collect();
        return Ok(Tensor::from_strings(dims, texts)?);
    }
    let mut bytes = a.to_le_bytes();
    if a.dtype().is_packed() {
        let mut values = packed::unpack(a.dtype(), &bytes, a.len());
        values.extend(packed::unpack(b.dtype(), &b.to_le_bytes(), b.len()));
        return Ok(Tensor::from_bytes(a.dtype(), dims, &packed::pack(a.dtype(), &values))?);
    }
    bytes.extend(b.to_le_bytes());
    Ok(Tensor::from_bytes(a.dtype(), dims, &bytes)?)
}
