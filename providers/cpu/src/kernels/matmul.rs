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

    fn pack(&self, inputs: &[Option<Tensor>]) -> Result<(), OpError> {
        if let (Some(packed), Some(Some(weights))) = (&self.packed, inputs.get(1)) {
            let _ = packed.set(super::gemm::pack(weights, self.transposed[1])?);
        }
        Ok(())
    }

    fn run(&self, run: &mut Run<'_>, inputs: &mut [Option<Val>]) -> Result<Vec<Val>, OpError> {
        let a = oriented(tensor(inputs, 0)?, self.transposed[0])?.contiguous();
        let b = oriented(tensor(inputs, 1)?, self.transposed[1])?;
        // Of packed weights only the dimensions are read.
        let b = if self.packed.is_some() { b } else { b.contiguous() };
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
        let lhs = Matrix::new(a.as_slice::<f32>()?, shape.rows, shape.depth).map_err(failed)?;
        let rhs = match self.packed.as_ref().and_then(OnceLock::get) {
            Some(packed) => Rhs::Packed(packed),
            None => Rhs::Matrix(
                Matrix::new(b.as_slice::<f32>()?, shape.depth, shape.columns).map_err(failed)?,
            ),
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

/// The sizes of a product: NumPy's rules.
struct Shape {
    rows: usize,
    depth: usize,
    columns: usize,
    /// Dimensions of the result.
    dims: Vec<usize>,
    /// Batch dimensions of the result and of both sides, padded to one rank.
    batch: [Vec<usize>; 3],
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
        let (mut batch_a, mut batch_b) = (batch_a.to_vec(), batch_b.to_vec());
        // One right-hand side for all: the batch is just more rows.
        if batch_b.iter().product::<usize>() == 1 {
            rows *= batch_a.iter().product::<usize>();
            (batch, batch_a, batch_b) = (Vec::new(), Vec::new(), Vec::new());
        }
        let pad = |dims: Vec<usize>, rank: usize| [vec![1; rank - dims.len()], dims].concat();
        let rank = batch.len();
        let batch = [batch, pad(batch_a, rank), pad(batch_b, rank)];
        Ok(Self { rows, depth, columns: columns.unwrap_or(1), dims, batch })
    }

    /// Where each product of the batch lies.
    fn items(&self) -> Vec<Offsets> {
        let [out, a, b] = &self.batch;
        let sizes = [self.rows * self.columns, self.rows * self.depth, self.depth * self.columns];
        let mut position = vec![0; out.len()];
        let offset = |dims: &[usize], position: &[usize], size: usize| {
            let flat = dims
                .iter()
                .zip(position)
                .fold(0, |flat, (&dim, &at)| flat * dim + if dim == 1 { 0 } else { at });
            flat * size
        };
        (0..out.iter().product())
            .map(|item: usize| {
                let mut rest = item;
                for (axis, &dim) in out.iter().enumerate().rev() {
                    position[axis] = rest % dim;
                    rest /= dim;
                }
                Offsets {
                    out: item * sizes[0],
                    lhs: offset(a, &position, sizes[1]),
                    row_bias: 0,
                    rhs: offset(b, &position, sizes[2]),
                }
            })
            .collect()
    }
}
