//! Gemm of f32: constant right-hand sides are packed once.

use remuda_ir::{OpError, Val};
use remuda_kernels::gemm::{Activation, Epilogue, Matrix, PackedB, Product, Residual, Rhs};
use remuda_tensor::{DType, Tensor};

use crate::kernel::{Kernel, Preparation, Run, optional, tensor, writable};

struct Gemm {
    alpha: f32,
    beta: f32,
    transposed: [bool; 2],
    packed: Option<PackedB>,
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
    let packed = preparation.constant(1).and_then(|weight| {
        let weight = weight.contiguous();
        let dims = two_dims(&weight).ok()?;
        Some(PackedB::new(&matrix(weight.as_slice().ok()?, dims, transposed[1]).ok()?))
    });
    let (alpha, beta) = (attrs.float_or("alpha", 1.0).ok()?, attrs.float_or("beta", 1.0).ok()?);
    floats.then(|| Box::new(Gemm { alpha, beta, transposed, packed }) as Box<dyn Kernel>)
}

impl Kernel for Gemm {
    fn run(&self, run: &mut Run<'_>, inputs: &mut [Option<Val>]) -> Result<Vec<Val>, OpError> {
        let (a, b) = (tensor(inputs, 0)?.contiguous(), tensor(inputs, 1)?.contiguous());
        let lhs = matrix(a.as_slice()?, two_dims(&a)?, self.transposed[0])?;
        let rhs = matrix(b.as_slice()?, two_dims(&b)?, self.transposed[1])?;
        if lhs.columns() != rhs.rows() {
            let text = format!("dimensions {:?} and {:?} do not multiply", a.dims(), b.dims());
            return Err(OpError::Invalid(text));
        }
        let dims = [lhs.rows(), rhs.columns()];
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
        let rhs = self.packed.as_ref().map_or(Rhs::Matrix(rhs), Rhs::Packed);
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
