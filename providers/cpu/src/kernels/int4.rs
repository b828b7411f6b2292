//! `MatMulNBits` of f32 with constant weights of four bits, which are packed before the first run and
//! expanded as they are multiplied.

use std::sync::OnceLock;

use remuda_ir::{OpError, Val};
use remuda_kernels::gemm::{Epilogue, Matrix, Product, Rhs};
use remuda_kernels::int4::{Int4Weights, PackedInt4, ZeroPoints};
use remuda_simd::Isa;
use remuda_tensor::{DType, Tensor};

use super::norm::per_element;
use crate::Packing;
use crate::kernel::{Kernel, Preparation, Run, optional, tensor, writable};

struct MatMulNBits {
    packed: OnceLock<PackedInt4>,
    isa: Isa,
    depth: usize,
    columns: usize,
    block: usize,
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
        && block.is_power_of_two()
        && block >= 16
        && node.input(4).is_none();
    let known = (1..4).all(|at| node.input(at).is_none() || preparation.is_fixed(at));
    let fits = covered && known && preparation.dtype(1) == Some(DType::U8);
    let kernel =
        MatMulNBits { packed: OnceLock::new(), isa: preparation.isa, depth, columns, block };
    fits.then(|| Box::new(kernel) as Box<dyn Kernel>)
}

/// The zero points, owned.
enum Zeros {
    Middle,
    Packed(Vec<u8>),
    Floats(Vec<f32>),
}

impl Zeros {
    fn new(tensor: &Tensor) -> Result<Self, OpError> {
        Ok(match tensor.dtype() {
            DType::U8 => Self::Packed(tensor.to_vec()?),
            _ => Self::Floats(tensor.to_f32_vec()?),
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
    fn packs(&self) -> &[usize] {
        &[1, 2, 3]
    }

    fn pack(&self, _: &Packing<'_>, inputs: &[Option<Tensor>]) -> Result<(), OpError> {
        let given = |at: usize| inputs.get(at).and_then(Option::as_ref);
        let (Some(values), Some(scales)) = (given(1), given(2)) else {
            return Err(OpError::Invalid("weights or scales are missing".to_owned()));
        };
        let scales = scales.to_f32_vec()?;
        let zeros = given(3).map_or(Ok(Zeros::Middle), Zeros::new)?;
        let weights = Int4Weights {
            rows: self.depth,
            columns: self.columns,
            block: self.block,
            values: values.as_slice()?,
            scales: &scales,
            zero_points: zeros.view(),
        };
        let packed = PackedInt4::new(self.isa, &weights);
        let packed = packed.map_err(|error| OpError::Invalid(error.to_string()))?;
        let _ = self.packed.set(packed);
        Ok(())
    }

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
        let packed = self.packed.get();
        let packed = packed.ok_or_else(|| OpError::Bug("weights are not packed".to_owned()))?;
        let product = Product { epilogue, ..Product::new(lhs, Rhs::Source(packed)) };
        product.run(run.context(), writable(&mut out)?, self.columns).map_err(failed)?;
        Ok(vec![out.into()])
    }
}
