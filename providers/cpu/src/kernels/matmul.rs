//! `MatMul`, `FusedLinear` and `FusedMatMul` of f32: batched products with broadcasting; constant
//! right-hand sides are packed once; factor, bias, residual and activation are applied while the
//! result is written.

use std::sync::OnceLock;

use remuda_ir::{OpError, Val};
use remuda_kernels::gemm::{
    Activation, Epilogue, Matrix, Offsets, PackedB, Product, Residual, Rhs,
};
use remuda_tensor::index::broadcast;
use remuda_tensor::{DType, Tensor};

use super::activation;
use super::norm::per_element;
use crate::Packing;
use crate::kernel::{Kernel, Preparation, Run, optional, tensor, writable};

struct MatMul {
    /// The packed right-hand side, where that is known before the first run.
    packed: Option<OnceLock<PackedB>>,
    /// Whether the last two axes of each side are exchanged.
    transposed: [bool; 2],
    alpha: f32,
    activation: Activation,
}

pub(super) fn prepare(preparation: &Preparation<'_>) -> Option<Box<dyn Kernel>> {
    if preparation.dtype(0)? != DType::F32 || preparation.dtype(1)? != DType::F32 {
        return None;
    }
    let attrs = &preparation.node.attrs;
    let flag = |name: &str| attrs.bool_or(name, false).ok();
    let transposed = [flag("transA")?, flag("transB")?];
    if flag("transBatchA")? || flag("transBatchB")? {
        return None;
    }
    let weights = preparation.is_fixed(1) && preparation.rank(1) == Some(2);
    let packed = weights.then(OnceLock::new);
    let alpha = attrs.float_or("alpha", 1.0).ok()?;
    let activation = match attrs.text("activation").ok()? {
        Some(name) => activation(name, attrs.floats("activation_params").ok()?.unwrap_or(&[]))?,
        None => Activation::None,
    };
    Some(Box::new(MatMul { packed, transposed, alpha, activation }))
}

/// The tensor, or a view of it with its last two axes exchanged.
fn oriented(tensor: &Tensor, transposed: bool) -> Result<Tensor, OpError> {
    let rank = tensor.rank();
    if !transposed || rank < 2 {
        return Ok(tensor.clone());
    }
    let mut axes: Vec<usize> = (0..rank).collect();
    axes.swap(rank - 2, rank - 1);
    Ok(tensor.permute(&axes)?)
}

impl Kernel for MatMul {
    fn packs(&self) -> &[usize] {
        if self.packed.is_some() { &[1] } else { &[] }
    }

    fn pack(&self, _: &Packing<'_>, inputs: &[Option<Tensor>]) -> Result<(), OpError> {
        if let (Some(packed), Some(Some(weights))) = (&self.packed, inputs.get(1)) {
            let _ = packed.set(super::gemm::pack(weights, self.transposed[1])?);
        }
        Ok(())
    }

    fn run(&self, run: &mut Run<'_>, inputs: &mut [Option<Val>]) -> Result<Vec<Val>, OpError> {
        let a = readable(oriented(tensor(inputs, 0)?, self.transposed[0])?);
        let b = oriented(tensor(inputs, 1)?, self.transposed[1])?;
        // Of packed weights only the dimensions are read.
        let b = if self.packed.is_some() { b } else { readable(b) };
        let shape = Shape::new(&a, &b)?;
        let bias =
            optional(inputs, 2)?.map(|bias| per_element(bias, &[shape.columns])).transpose()?;
        let residual = optional(inputs, 3)?.map(Tensor::contiguous);
        if let Some(residual) = residual.as_ref().filter(|residual| residual.dims() != shape.dims) {
            let text = format!("a residual of {:?} does not fit {:?}", residual.dims(), shape.dims);
            return Err(OpError::Invalid(text));
        }
        let mut out = run.arena.tensor(DType::F32, &shape.dims)?;
        if shape.depth == 0 && self.is_plain(inputs) {
            writable::<f32>(&mut out)?.fill(0.0);
            return Ok(vec![out.into()]);
        }
        let items = shape.items();
        let failed = |error: remuda_kernels::gemm::GemmError| OpError::Bug(error.to_string());
        let lhs = a.as_strided_slice::<f32>()?;
        let lhs =
            Matrix::strided(lhs, [shape.rows, shape.depth], shape.strides[0]).map_err(failed)?;
        let rhs = match self.packed.as_ref().and_then(OnceLock::get) {
            Some(packed) => Rhs::Packed(packed),
            None => {
                let rhs = b.as_strided_slice::<f32>()?;
                let dims = [shape.depth, shape.columns];
                Rhs::Matrix(Matrix::strided(rhs, dims, shape.strides[1]).map_err(failed)?)
            }
        };
        let epilogue = Epilogue {
            column_bias: bias.as_deref(),
            residual: match &residual {
                Some(residual) => {
                    Some(Residual { data: residual.as_slice()?, after_activation: false })
                }
                None => None,
            },
            activation: self.activation,
            alpha: self.alpha,
            ..Epilogue::default()
        };
        let product = Product { items: &items, epilogue, ..Product::new(lhs, rhs) };
        product.run(run.context(), writable(&mut out)?, shape.columns).map_err(failed)?;
        Ok(vec![out.into()])
    }
}

impl MatMul {
    /// Whether nothing is done with the product.
    fn is_plain(&self, inputs: &[Option<Val>]) -> bool {
        self.activation == Activation::None && inputs.iter().skip(2).all(Option::is_none)
    }
}

/// The tensor, or a copy of one whose elements cannot be reached by plain strides.
fn readable(tensor: Tensor) -> Tensor {
    let reachable = tensor.as_strided_slice::<f32>().is_ok();
    if reachable { tensor } else { tensor.contiguous() }
}

/// The strides of the axes of a tensor whose elements can be reached by them.
fn strides(tensor: &Tensor) -> Vec<usize> {
    tensor.strides().iter().map(|&stride| usize::try_from(stride).unwrap_or(0)).collect()
}

/// Whether these axes can be walked as one.
fn is_one_axis(dims: &[usize], strides: &[usize]) -> bool {
    let axes = dims.iter().zip(strides).filter(|(dim, _)| **dim != 1);
    let mut inner: Option<usize> = None;
    axes.rev().all(|(dim, stride)| {
        let fits = inner.is_none_or(|extent| extent == *stride);
        inner = stride.checked_mul(*dim);
        fits
    })
}

/// The sizes of a product: NumPy's rules.
struct Shape {
    rows: usize,
    depth: usize,
    columns: usize,
    /// Dimensions of the result.
    dims: Vec<usize>,
    /// From row to row and from column to column, of both sides.
    strides: [[usize; 2]; 2],
    /// Batch dimensions of the result.
    batch: Vec<usize>,
    /// The steps of both sides along them.
    steps: [Vec<usize>; 2],
}

impl Shape {
    fn new(a: &Tensor, b: &Tensor) -> Result<Self, OpError> {
        let mismatch = || {
            OpError::Invalid(format!(
                "dimensions {:?} and {:?} do not multiply",
                a.dims(),
                b.dims()
            ))
        };
        let (batch_a, rows, depth) = match a.dims() {
            [] => return Err(mismatch()),
            [depth] => (&[][..], None, *depth),
            [batch @ .., rows, depth] => (batch, Some(*rows), *depth),
        };
        let (batch_b, inner, columns) = match b.dims() {
            [] => return Err(mismatch()),
            [inner] => (&[][..], *inner, None),
            [batch @ .., inner, columns] => (batch, *inner, Some(*columns)),
        };
        let mut batch =
            broadcast(batch_a, batch_b).filter(|_| depth == inner).ok_or_else(mismatch)?;
        let mut dims = batch.clone();
        dims.extend(rows.iter().chain(&columns));
        let mut rows = rows.unwrap_or(1);
        let (along_a, along_b) = (strides(a), strides(b));
        let mut lhs = match along_a[..] {
            [column] => [0, column],
            [.., row, column] => [row, column],
            [] => return Err(mismatch()),
        };
        let rhs = match along_b[..] {
            [row] => [row, 1],
            [.., row, column] => [row, column],
            [] => return Err(mismatch()),
        };
        let mut steps = [steps(batch_a, &along_a, &batch), steps(batch_b, &along_b, &batch)];
        // One right-hand side for all: the batch is just more rows.
        let row_axes = a.rank().saturating_sub(1);
        if batch_b.iter().product::<usize>() == 1
            && is_one_axis(&a.dims()[..row_axes], &along_a[..row_axes])
        {
            let last = (0..row_axes).rev().find(|&axis| a.dims()[axis] != 1);
            lhs[0] = last.map_or(lhs[0], |axis| along_a[axis]);
            rows *= batch_a.iter().product::<usize>();
            (batch, steps) = (Vec::new(), [Vec::new(), Vec::new()]);
        }
        let columns = columns.unwrap_or(1);
        Ok(Self { rows, depth, columns, dims, strides: [lhs, rhs], batch, steps })
    }

    /// Where each product of the batch lies.
    fn items(&self) -> Vec<Offsets> {
        let mut position = vec![0; self.batch.len()];
        let offset = |steps: &[usize], position: &[usize]| {
            steps.iter().zip(position).map(|(step, at)| step * at).sum()
        };
        (0..self.batch.iter().product())
            .map(|item: usize| {
                let mut rest = item;
                for (axis, &dim) in self.batch.iter().enumerate().rev() {
                    position[axis] = rest % dim;
                    rest /= dim;
                }
                Offsets {
                    out: item * self.rows * self.columns,
                    lhs: offset(&self.steps[0], &position),
                    row_bias: 0,
                    rhs: offset(&self.steps[1], &position),
                }
            })
            .collect()
    }
}

/// The steps of one side along the batch dimensions: none along those that it lacks or repeats.
fn steps(own: &[usize], strides: &[usize], batch: &[usize]) -> Vec<usize> {
    let missing = batch.len() - own.len();
    let steps = own.iter().zip(strides).map(|(&dim, &stride)| if dim == 1 { 0 } else { stride });
    std::iter::repeat_n(0, missing).chain(steps).collect()
}
