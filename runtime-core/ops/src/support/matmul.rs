//! Matrix products by NumPy's rules: batches broadcast, one-dimensional sides are rows or columns.

use remuda_ir::OpError;
use remuda_tensor::dim::DisplayDims;
use remuda_tensor::index::{Offsets, broadcast, contiguous_strides};
use remuda_tensor::{DType, Dim, Tensor};

use super::array::{Array, vec_of, wrapped_ints};
use super::elementwise::join_dims;

/// The dimensions of the product, symbolically.
pub(crate) fn matmul_dims(a: &[Dim], b: &[Dim]) -> Result<Vec<Dim>, OpError> {
    let differ = || {
        OpError::Invalid(format!(
            "the inner dimensions of {} and {} differ",
            DisplayDims(a),
            DisplayDims(b)
        ))
    };
    let (Some((inner_a, front_a)), Some(_)) = (a.split_last(), b.last()) else {
        return Err(OpError::invalid(
            "a matrix product expected at least 1 dimension, got a scalar",
        ));
    };
    let inner_b = &b[b.len().saturating_sub(2)];
    if inner_a.differs(inner_b) {
        return Err(differ());
    }
    let batch_a = &front_a[..front_a.len().saturating_sub(1)];
    let batch_b = &b[..b.len().saturating_sub(2)];
    let mut dims = join_dims(batch_a, batch_b)?;
    dims.extend(front_a.last().cloned());
    if b.len() > 1 {
        dims.extend(b.last().cloned());
    }
    Ok(dims)
}

/// The two sides as stacks of matrices: batch dimensions, then rows, inner size and columns.
struct Stacks {
    batch: Vec<usize>,
    batch_a: Vec<usize>,
    batch_b: Vec<usize>,
    rows: usize,
    inner: usize,
    columns: usize,
    dims: Vec<usize>,
}

fn stacks(a: &[usize], b: &[usize]) -> Result<Stacks, OpError> {
    let symbolic = |dims: &[usize]| dims.iter().map(|&dim| Dim::from(dim)).collect::<Vec<_>>();
    let dims = matmul_dims(&symbolic(a), &symbolic(b))?;
    let dims = dims.iter().map(Dim::as_usize).collect::<Option<Vec<_>>>();
    let dims = dims.ok_or_else(|| OpError::Bug("a product of unknown dimensions".into()))?;
    let split = |dims: &[usize], vector: [usize; 2]| match *dims {
        [_] => (Vec::new(), vector),
        _ => (dims[..dims.len() - 2].to_vec(), [dims[dims.len() - 2], dims[dims.len() - 1]]),
    };
    let (batch_a, [rows, inner]) = split(a, [1, a[a.len() - 1]]);
    let (batch_b, [_, columns]) = split(b, [b[b.len() - 1], 1]);
    let batch = broadcast(&batch_a, &batch_b).unwrap_or_default();
    Ok(Stacks { batch, batch_a, batch_b, rows, inner, columns, dims })
}

/// Where the matrices of one side start, in matrices, for each of the broadcast batch.
fn starts(own: &[usize], batch: &[usize]) -> Offsets {
    let mut strides = vec![0; batch.len()];
    let fresh = batch.len() - own.len();
    for (axis, (&dim, stride)) in own.iter().zip(contiguous_strides(own)).enumerate() {
        strides[fresh + axis] = if dim == 1 { 0 } else { stride };
    }
    Offsets::new(batch, &strides, 0)
}

fn multiply<T: Copy>(
    stacks: &Stacks,
    a: &[T],
    b: &[T],
    zero: T,
    add_product: impl Fn(T, T, T) -> T,
) -> Result<Vec<T>, OpError> {
    let &Stacks { rows, inner, columns, .. } = stacks;
    let mut out = vec_of(&stacks.dims, zero)?;
    if out.is_empty() || inner == 0 {
        return Ok(out);
    }
    let pairs = starts(&stacks.batch_a, &stacks.batch).zip(starts(&stacks.batch_b, &stacks.batch));
    for (out, (start_a, start_b)) in out.chunks_exact_mut(rows * columns).zip(pairs) {
        let a = &a[start_a * rows * inner..][..rows * inner];
        let b = &b[start_b * inner * columns..][..inner * columns];
        for (out, a) in out.chunks_exact_mut(columns).zip(a.chunks_exact(inner)) {
            for (&x, b) in a.iter().zip(b.chunks_exact(columns)) {
                out.iter_mut().zip(b).for_each(|(sum, &y)| *sum = add_product(*sum, x, y));
            }
        }
    }
    Ok(out)
}

/// The product of two arrays.
pub(crate) fn matmul(a: &Array, b: &Array) -> Result<Array, OpError> {
    let stacks = stacks(&a.dims, &b.dims)?;
    let values = multiply(&stacks, &a.values, &b.values, 0.0, |sum, x, y| sum + x * y)?;
    Ok(Array { dims: stacks.dims, values })
}

/// The product of two tensors of integers; wraps to the width of `dtype`.
pub(crate) fn matmul_ints(a: &Tensor, b: &Tensor, dtype: DType) -> Result<Tensor, OpError> {
    let stacks = stacks(a.dims(), b.dims())?;
    let (a, b) = (a.to_i64_vec()?, b.to_i64_vec()?);
    let add = |sum: i64, x: i64, y: i64| sum.wrapping_add(x.wrapping_mul(y));
    wrapped_ints(dtype, &stacks.dims, &multiply(&stacks, &a, &b, 0, add)?)
}

/// The array with its last two axes exchanged.
pub(crate) fn transposed(array: &Array) -> Result<Array, OpError> {
    let rank = array.dims.len();
    if rank < 2 {
        return Err(OpError::Invalid(format!(
            "a matrix expected at least 2 dimensions, got {:?}",
            array.dims
        )));
    }
    let mut axes: Vec<usize> = (0..rank).collect();
    axes.swap(rank - 2, rank - 1);
    array.permuted(&axes)
}
