//! `MatMulNBits` of f32 with constant weights of four bits, which are packed once and expanded as
//! they are multiplied.

use remuda_ir::{OpError, Val};
use remuda_kernels::gemm::{Epilogue, Matrix, Product, Rhs};
use remuda_kernels::int4::{Int4Weights, PackedInt4, ZeroPoints};
use remuda_tensor::{DType, Tensor};

use super::norm::per_element;
use crate::kernel::{Kernel, Preparation, Run, optional, tensor, writable};

struct MatMulNBits {
    packed: PackedInt4,
    depth: usize,
    columns: usize,
}

pub(super) fn prepare(preparation: &Preparation<'_>) -> Option<Box<dyn Kernel>> {
    let node = preparation.node;
    let size = |name: &str| {
        let value = usize::try_from(node.attrs.required_int(name).ok()?).ok()?;
        (value > 0).then_some(value)
    };
    let (depth, columns, block) = (size("K")?, size("N")?, size("block_size")?);
    let covered = preparation.dtype(0) == Some(DType::F32)
        && node.attrs.int_or("bits", 4).ok()? == 4
        && !node.attrs.bool_or("weight_prepacked", false).ok()?
        && node.input(4).is_none();
    let values = preparation.constant(1).filter(|values| values.dtype() == DType::U8 && covered)?;
    let values = values.contiguous();
    let scales = preparation.constant(2)?.to_f32_vec().ok()?;
    let zeros = match node.input(3) {
        Some(_) => Zeros::new(preparation.constant(3)?)?,
        None => Zeros::Middle,
    };
    let weights = Int4Weights {
        rows: depth,
        columns,
        block,
        values: values.as_slice().ok()?,
        scales: &scales,
        zero_points: zeros.view(),
    };
    let packed = PackedInt4::new(preparation.isa, &weights).ok()?;
    Some(Box::new(MatMulNBits { packed, depth, columns }))
}

/// The zero points, owned.
enum Zeros {
    Middle,
    Packed(Vec<u8>),
    Floats(Vec<f32>),
}

impl Zeros {
    fn new(tensor: &Tensor) -> Option<Self> {
        Some(match tensor.dtype() {
            DType::U8 => Self::Packed(tensor.to_vec().ok()?),
            _ => Self::Floats(tensor.to_f32_vec().ok()?),
        })
    }

    fn view(&self) -> ZeroPoints<'_> {
        match self {
            Self::Middle => ZeroPoints::Middle,
            Self::Packed(zeros) => ZeroPoints::Packed(zeros),
            Self::Floats(zeros) => ZeroPoints::Floats(zeros),
        }
    }
}

impl Kernel for MatMulNBits {
    fn run(&self, run: &mut Run<'_>, inputs: &mut [Option<Val>]) -> Result<Vec<Val>, OpError> {
        let a = tensor(inputs, 0)?.contiguous();
        let Some((_, batch)) = a.dims().split_last().filter(|&(&last, _)| last == self.depth)
        else {
            let text = format!("expected rows of {} elements, got {:?}", self.depth, a.dims());
            return Err(OpError::Invalid(text));
        };
        let rows = batch.iter().product();
        let bias = optional(inputs, 5)?;
        let bias = bias.map(|bias| per_element(bias, &[self.columns])).transpose()?;
        let mut out = run.arena.tensor(DType::F32, &[batch, &[self.columns]].concat())?;
        let failed = |error: remuda_kernels::gemm::GemmError| OpError::Bug(error.to_string());
        let lhs = Matrix::new(a.as_slice::<f32>()?, rows, self.depth).map_err(failed)?;
        let epilogue = Epilogue { column_bias: bias.as_deref(), ..Epilogue::default() };
        let product = Product { epilogue, ..Product::new(lhs, Rhs::Source(&self.packed)) };
        product.run(run.context(), writable(&mut out)?, self.columns).map_err(failed)?;
        Ok(vec![out.into()])
    }
}
