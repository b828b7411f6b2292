//! Gemm of f32: constant right-hand sides are packed once.

use std::sync::OnceLock;

use remuda_ir::{OpError, Val};
use remuda_kernels::gemm::{Activation, Epilogue, Matrix, PackedB, Product, Residual, Rhs};
use remuda_tensor::{DType, Tensor};

use crate::Packing;
use crate::kernel::{Kernel, Preparation, Run, optional, tensor, writable};

struct Gemm {
    alpha: f32,
    beta: f32,
    transposed: [bool; 2],
    /// The packed right-hand side, where that is known before the first run.
    packed: Option<OnceLock<PackedB>>,
}

fn matrix(data: &[f32], dims: [usize; 2], transposed: bool) -> Result<Matrix<'_>, OpError> {
    let matrix =
        Matrix::new(data, dims[0], dims[1]).map_err(|error| OpError::Bug(error.to_string()))?;
    Ok(if transposed { matrix.transposed() } else { matrix })
}

fn two_dims(tensor: &Tensor) -> Result<[usize; 2], OpError> {
    <[usize; 2]>::try_from(tensor.dims())
        .map_err(|_| OpError::Invalid(format!("expected 2 dimensions, got {}", tensor.rank())))
}

pub(super) fn prepare(preparation: &Preparation<'_>) -> Option<Box<dyn Kernel>> {
    let attrs = &preparation.node.attrs;
    let floats = (0..3).all(|at| {
        preparation.node.input(at).is_none() || preparation.dtype(at) == Some(DType::F32)
    });
    let transposed = [attrs.bool_or("transA", false).ok()?, attrs.bool_or("transB", false).ok()?];
    let packed = preparation.is_fixed(1).then(OnceLock::new);
    let (alpha, beta) = (attrs.float_or("alpha", 1.0).ok()?, attrs.float_or("beta", 1.0).ok()?);
    floats.then(|| Box::new(Gemm { alpha, beta, transposed, packed }) as Box<dyn Kernel>)
}

/// The weights of a product, packed.
pub(super) fn pack(weights: &Tensor, transposed: bool) -> Result<PackedB, OpError> {
    Ok(PackedB::new(&matrix(weights.as_slice()?, two_dims(weights)?, transposed)?))
}

impl Kernel for Gemm {
    fn packs(&self) -> &[usize] {
        if self.packed.is_some() { &[1] } else { &[] }
    }

    fn pack(&self, _: &Packing<'_>, inputs: &[Option<Tensor>]) -> Result<(), OpError> {
        if let (Some(packed), Some(Some(weights))) = (&self.packed, inputs.get(1)) {
            let _ = packed.set(pack(weights, self.transposed[1])?);
        }
        Ok(())
    }

    fn run(&self, run: &mut Run<'_>, inputs: &mut [Option<Val>]) -> Result<Vec<Val>, OpError> {
        let (a, b) = (tensor(inputs, 0)?.contiguous(), tensor(inputs, 1)?);
        let packed = self.packed.as_ref().and_then(OnceLock::get);
        // Of packed weights only the dimensions are read.
        let b = if packed.is_some() { b.clone() } else { b.contiguous() };
        let lhs = matrix(a.as_slice()?, two_dims(&a)?, self.transposed[0])?;
        let rhs = match packed {
            Some(packed) => Rhs::Packed(packed),
            None => Rhs::Matrix(matrix(b.as_slice()?, two_dims(&b)?, self.transposed[1])?),
        };
        let [inner, columns] = match (two_dims(&b)?, self.transposed[1]) {
            ([columns, inner], true) | ([inner, columns], false) => [inner, columns],
        };
        if lhs.columns() != inner {
            let text = format!("dimensions {:?} and {:?} do not multiply", a.dims(), b.dims());
            return Err(OpError::Invalid(text));
        }
        let dims = [lhs.rows(), columns];
        let added = optional(inputs, 2)?
            .filter(|_| self.beta != 0.0)
            .map(|c| Added::new(c, self.beta, dims))
            .transpose()?;
        let mut out = run.arena.tensor(DType::F32, &dims)?;
        let mut epilogue =
            Epilogue { alpha: self.alpha, activation: Activation::None, ..Epilogue::default() };
        match &added {
            Some(Added::Columns(values)) => epilogue.column_bias = Some(values),
            Some(Added::Whole(values)) => {
                epilogue.residual = Some(Residual { data: values, after_activation: false });
            }
            None => {}
        }
        let product = Product { epilogue, ..Product::new(lhs, rhs) };
        product
            .run(run.context(), writable(&mut out)?, dims[1])
            .map_err(|error| OpError::Bug(error.to_string()))?;
        Ok(vec![out.into()])
    }
}

/// What is added to the product.
enum Added {
    Columns(Vec<f32>),
    Whole(Vec<f32>),
}

impl Added {
    fn new(c: &Tensor, beta: f32, dims: [usize; 2]) -> Result<Self, OpError> {
        let scaled = |values: Vec<f32>| values.into_iter().map(|value| value * beta).collect();
        let one_row = c.len() == c.dims().last().copied().unwrap_or(1);
        if one_row {
            return Ok(Self::Columns(scaled(
                c.reshape([c.len()])?.broadcast_to(&dims[1..])?.to_vec()?,
            )));
        }
        Ok(Self::Whole(scaled(c.broadcast_to(&dims)?.to_vec()?)))
    }
}
