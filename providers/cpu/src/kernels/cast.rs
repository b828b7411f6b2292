//! Cast between the common dtypes: those of `as`, truth values, and the 16-bit floats to and from f32.
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::cast_lossless,
    trivial_numeric_casts,
    reason = "the conversions of Cast are those of `as`: they wrap, saturate and round"
)]

use remuda_ir::{OpError, Val};
use remuda_kernels::convert::{narrow, widen};
use remuda_kernels::elementwise::numbers::map;
use remuda_simd::Element as Fast;
use remuda_tensor::storage::Scalar;
use remuda_tensor::{DType, Tensor, bf16, f16};

use super::layout::{bits, bits_mut, finish, new_bits};
use crate::kernel::{Kernel, Preparation, Run, tensor};

/// Converts all elements of the first tensor into the second.
type Convert = fn(&Run<'_>, &Tensor, &mut Tensor) -> Result<(), OpError>;

struct Cast {
    to: DType,
    convert: Convert,
}

pub(super) fn prepare(preparation: &Preparation<'_>) -> Option<Box<dyn Kernel>> {
    let from = preparation.dtype(0)?;
    let to = preparation.graph.value(preparation.node.output(0)?).ty.as_ref()?.as_tensor()?.dtype;
    // It rounds to powers of two only.
    let plain = preparation.node.attrs.text("round_mode").ok()?.is_none();
    let convert = conversion(from, to).filter(|_| plain)?;
    Some(Box::new(Cast { to, convert }))
}

impl Kernel for Cast {
    fn run(&self, run: &mut Run<'_>, inputs: &mut [Option<Val>]) -> Result<Vec<Val>, OpError> {
        let x = tensor(inputs, 0)?.contiguous();
        let mut out = new_bits(run, self.to, x.dims())?;
        (self.convert)(run, &x, &mut out)?;
        Ok(vec![finish(out, self.to)?])
    }
}

/// A function per conversion, so that the compiler makes a loop of vectors of each.
fn each<T: Scalar, U: Scalar>(
    run: &Run<'_>,
    x: &Tensor,
    out: &mut Tensor,
    f: impl Fn(T) -> U + Copy + Sync,
) -> Result<(), OpError> {
    map(run.context(), bits::<T>(x)?, bits_mut::<U>(out)?, f);
    Ok(())
}

fn widened<T: Scalar + Fast>(run: &Run<'_>, x: &Tensor, out: &mut Tensor) -> Result<(), OpError> {
    widen::<T>(run.context(), bits(x)?, bits_mut(out)?);
    Ok(())
}

fn narrowed<T: Scalar + Fast>(run: &Run<'_>, x: &Tensor, out: &mut Tensor) -> Result<(), OpError> {
    narrow::<T>(run.context(), bits(x)?, bits_mut(out)?);
    Ok(())
}

macro_rules! convert {
    ($from:ty => $to:ty: $f:expr) => {
        Some(|run, x, out| each::<$from, $to>(run, x, out, $f))
    };
}

/// From a number (or truth value, stored as a byte) to numbers and truth values.
macro_rules! from_number {
    ($from:ty, $to:expr) => {
        match $to {
            DType::F32 => convert!($from => f32: |x| x as f32),
            DType::F64 => convert!($from => f64: |x| x as f64),
            DType::I8 => convert!($from => i8: |x| x as i8),
            DType::I32 => convert!($from => i32: |x| x as i32),
            DType::I64 => convert!($from => i64: |x| x as i64),
            DType::U8 => convert!($from => u8: |x| x as u8),
            DType::Bool => convert!($from => u8: |x| u8::from(x != <$from>::default())),
            _ => None,
        }
    };
}

fn conversion(from: DType, to: DType) -> Option<Convert> {
    match (from, to) {
        (DType::F16, DType::F32) => Some(widened::<f16>),
        (DType::BF16, DType::F32) => Some(widened::<bf16>),
        (DType::F32, DType::F16) => Some(narrowed::<f16>),
        (DType::F32, DType::BF16) => Some(narrowed::<bf16>),
        (DType::Bool, DType::F16) => convert!(u8 => f16: |x| f16::from_f32(f32::from(x))),
        (DType::Bool, DType::BF16) => convert!(u8 => bf16: |x| bf16::from_f32(f32::from(x))),
        (DType::F32, _) => from_number!(f32, to),
        (DType::F64, _) => from_number!(f64, to),
        (DType::I8, _) => from_number!(i8, to),
        (DType::I32, _) => from_number!(i32, to),
        (DType::I64, _) => from_number!(i64, to),
        (DType::U8 | DType::Bool, _) => from_number!(u8, to),
        _ => None,
    }
}

/// A tensor of f32 in another type of floats.
pub(super) fn of_floats(x: Tensor, dtype: DType) -> Result<Tensor, OpError> {
    let values = x.as_slice::<f32>()?;
    Ok(match dtype {
        DType::F16 => {
            let narrow: Vec<f16> = values.iter().map(|&value| f16::from_f32(value)).collect();
            Tensor::from_vec(x.dims(), narrow)?
        }
        DType::BF16 => {
            let narrow: Vec<bf16> = values.iter().map(|&value| bf16::from_f32(value)).collect();
            Tensor::from_vec(x.dims(), narrow)?
        }
        _ => x,
    })
}
