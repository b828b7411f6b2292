//! Products of bytes with a matrix: `MatMulInteger`, `MatMulIntegerToFloat`, `QLinearMatMul` and
//! `DynamicQuantizeMatMul`. The sums are exact; scales come in while the result is written, and a
//! constant right-hand side is packed at the first run.

use std::sync::OnceLock;

use remuda_ir::{OpError, Val};
use remuda_kernels::int8::{
    ByteError, ByteMatrix, ByteOffsets, ByteProduct, ByteRhs, Bytes, Dequantize, Output,
    PackedColumns, PackedRows, Per, Requantize,
};
use remuda_kernels::quantize::{Quantization, quantize, range};
use remuda_tensor::{DType, Tensor};

use super::norm::per_element;
use crate::kernel::{Kernel, Preparation, Run, optional, tensor, writable};

/// The operators, which differ in where their inputs stand.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Sums,
    Floats,
    Bytes,
    /// Floats from a left-hand side that is quantised first.
    Dynamic,
}

impl Kind {
    fn b(self) -> usize {
        if self == Self::Bytes { 3 } else { 1 }
    }

    /// Places of the zero points of both sides.
    fn zeros(self) -> [Option<usize>; 2] {
        match self {
            Self::Sums => [Some(2), Some(3)],
            Self::Floats => [Some(4), Some(5)],
            Self::Bytes => [Some(2), Some(5)],
            Self::Dynamic => [None, Some(3)],
        }
    }

    /// Places of the scales of both sides.
    fn scales(self) -> [Option<usize>; 2] {
        match self {
            Self::Sums => [None, None],
            Self::Floats => [Some(2), Some(3)],
            Self::Bytes => [Some(1), Some(4)],
            Self::Dynamic => [None, Some(2)],
        }
    }

    fn bias(self) -> Option<usize> {
        match self {
            Self::Floats => Some(6),
            Self::Dynamic => Some(4),
            Self::Sums | Self::Bytes => None,
        }
    }
}

struct ByteMatMul {
    kind: Kind,
    /// The packed right-hand side, where that is constant.
    packed: Option<OnceLock<PackedColumns>>,
}

pub(super) fn prepare(preparation: &Preparation<'_>) -> Option<Box<dyn Kernel>> {
    let node = preparation.node;
    let kind = match &*node.op.name {
        "MatMulInteger" => Kind::Sums,
        "MatMulIntegerToFloat" => Kind::Floats,
        "QLinearMatMul" => Kind::Bytes,
        "DynamicQuantizeMatMul" => Kind::Dynamic,
        _ => return None,
    };
    let is_byte = |at: usize| matches!(preparation.dtype(at), Some(DType::U8 | DType::I8));
    let left =
        if kind == Kind::Dynamic { preparation.dtype(0) == Some(DType::F32) } else { is_byte(0) };
    let floats = kind.scales().into_iter().chain([kind.bias()]).flatten();
    let floats = floats
        .chain((kind == Kind::Bytes).then_some(6))
        .all(|at| node.input(at).is_none() || preparation.dtype(at) == Some(DType::F32));
    let result = kind != Kind::Bytes || is_byte(7);
    let rank = rank_of(preparation, kind.b());
    let packed = preparation.constant(kind.b()).map(|_| OnceLock::new());
    let single = [kind.zeros()[0], kind.scales()[0]];
    let single = single.into_iter().flatten().all(|at| is_single(preparation, at));
    let row = kind
        .bias()
        .is_none_or(|at| node.input(at).is_none() || rank_of(preparation, at) == Some(1));
    let fits = left && is_byte(kind.b()) && floats && result && rank == Some(2) && single && row;
    fits.then(|| Box::new(ByteMatMul { kind, packed }) as Box<dyn Kernel>)
}

pub(super) fn rank_of(preparation: &Preparation<'_>, at: usize) -> Option<usize> {
    Some(preparation.input_type(at)?.as_tensor()?.dims.as_ref()?.len())
}

/// Whether an input is missing or known to be one number.
pub(super) fn is_single(preparation: &Preparation<'_>, at: usize) -> bool {
    let dims = preparation.input_type(at).and_then(|ty| ty.as_tensor()?.dims.as_ref());
    preparation.node.input(at).is_none()
        || dims.is_some_and(|dims| dims.iter().all(|dim| dim.as_usize() == Some(1)))
}

pub(super) fn bytes(tensor: &Tensor) -> Result<Bytes<'_>, OpError> {
    Ok(match tensor.dtype() {
        DType::I8 => Bytes::I8(tensor.as_slice()?),
        _ => Bytes::U8(tensor.as_slice()?),
    })
}

fn failed(error: ByteError) -> OpError {
    OpError::Bug(error.to_string())
}

/// Floats as bytes that hold all of them and zero, with scale and zero point.
pub(super) fn quantised(run: &mut Run<'_>, a: &Tensor) -> Result<(Tensor, f32, u8), OpError> {
    let values = a.as_slice::<f32>()?;
    let [least, most] = range(run.context(), values);
    let scale = if most == least { 1.0 } else { (most - least) / 255.0 };
    let zero = zero_byte((-least / scale).round_ties_even());
    let mut out = run.arena.tensor(DType::U8, a.dims())?;
    if out.len() > 0 {
        let with = Quantization { scales: &[scale], zero_points: Some(&[zero]), inner: 1 };
        quantize::<f32, u8>(run.context(), with, values, writable(&mut out)?);
    }
    Ok((out, scale, zero))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is cut to bytes")]
fn zero_byte(value: f32) -> u8 {
    value.clamp(0.0, 255.0) as u8
}

/// Numbers for the whole of the right-hand side, or for each of its columns.
fn of_columns(tensor: &Tensor, b: &[usize], name: &str) -> Result<Vec<f32>, OpError> {
    let values = tensor.to_f32_vec()?;
    let by_column = tensor.dims().last() == b.last() && Some(&values.len()) == b.last();
    if values.len() == 1 || by_column {
        return Ok(values);
    }
    let got = tensor.dims();
    Err(OpError::Invalid(format!("`{name}` of {got:?} does not fit matrices {b:?}")))
}

#[expect(clippy::cast_possible_truncation, reason = "they were bytes before")]
pub(super) fn whole(values: &[f32]) -> Vec<i32> {
    values.iter().map(|&value| value as i32).collect()
}

/// One number for all, or one for each column.
fn per<T: Copy>(values: &[T]) -> Per<'_, T> {
    match values {
        &[value] => Per::Tensor(value),
        _ => Per::Column(values),
    }
}

impl Kernel for ByteMatMul {
    fn run(&self, run: &mut Run<'_>, inputs: &mut [Option<Val>]) -> Result<Vec<Val>, OpError> {
        let (a, b) = (tensor(inputs, 0)?.contiguous(), tensor(inputs, self.kind.b())?.contiguous());
        let (Some((&depth, batch)), &[inner, columns]) = (a.dims().split_last(), b.dims()) else {
            return Err(mismatch(&a, &b));
        };
        if depth != inner {
            return Err(mismatch(&a, &b));
        }
        let rows: usize = batch.iter().product();
        let dims = [batch, &[columns]].concat();
        let (left, found) = match self.kind {
            Kind::Dynamic => {
                let (bytes, scale, zero) = quantised(run, &a)?;
                (bytes, Some((scale, zero)))
            }
            _ => (a.clone(), None),
        };
        let numbers = Numbers::new(self.kind, inputs, b.dims(), found)?;
        let context = run.context();
        let matrix = ByteMatrix::new(bytes(&b)?, inner, columns).map_err(failed)?;
        let packed = self.packed.as_ref();
        let rhs = match packed {
            Some(packed) => {
                ByteRhs::Packed(packed.get_or_init(|| PackedColumns::new(context, &matrix)))
            }
            None => ByteRhs::Source(&matrix),
        };
        let lhs = ByteMatrix::new(bytes(&left)?, rows, depth).map_err(failed)?;
        let signed = b.dtype() == DType::I8;
        let product = ByteProduct {
            lhs: &PackedRows::new(context, lhs, &[0], signed).map_err(failed)?,
            rows,
            lhs_zero: Per::Tensor(numbers.a_zero),
            rhs,
            rhs_zero: per(&numbers.b_zeros),
            items: &[ByteOffsets::default()],
        };
        let mut out = run.arena.tensor(numbers.dtype, &dims)?;
        product.run(context, numbers.output(&mut out)?, columns).map_err(failed)?;
        Ok(vec![out.into()])
    }
}

fn mismatch(a: &Tensor, b: &Tensor) -> OpError {
    OpError::Invalid(format!("the inner dimensions of {:?} and {:?} differ", a.dims(), b.dims()))
}

/// Zero points, scales and a bias.
struct Numbers {
    kind: Kind,
    dtype: DType,
    a_zero: i32,
    b_zeros: Vec<i32>,
    /// Those of both sides, over that of the result.
    scales: Vec<f32>,
    bias: Option<Vec<f32>>,
    zero: i32,
}

impl Numbers {
    fn new(
        kind: Kind,
        inputs: &[Option<Val>],
        b: &[usize],
        found: Option<(f32, u8)>,
    ) -> Result<Self, OpError> {
        let given = |at: Option<usize>| at.map_or(Ok(None), |at| optional(inputs, at));
        let ([a_zero, b_zero], [a_scale, b_scale]) = (kind.zeros(), kind.scales());
        let (found_scale, found_zero) = found.unwrap_or((1.0, 0));
        let a_zero = given(a_zero)?.map_or(Ok(f32::from(found_zero)), single)?;
        let a_scale = given(a_scale)?.map_or(Ok(found_scale), single)?;
        let b_zeros = given(b_zero)?.map(|zeros| of_columns(zeros, b, "zero point")).transpose()?;
        let b_scales = given(b_scale)?.map(|scales| of_columns(scales, b, "scale")).transpose()?;
        let (mut divisor, mut zero, mut dtype) = (1.0, 0, DType::F32);
        match kind {
            Kind::Bytes => {
                (divisor, dtype) = (single(tensor(inputs, 6)?)?, tensor(inputs, 7)?.dtype());
                zero = whole(&[single(tensor(inputs, 7)?)?])[0];
            }
            Kind::Sums => dtype = DType::I32,
            Kind::Floats | Kind::Dynamic => {}
        }
        let b_scales = b_scales.unwrap_or_else(|| vec![1.0]);
        let scales = b_scales.into_iter().map(|scale| a_scale * scale / divisor).collect();
        let columns = b.last().copied().unwrap_or(1);
        let bias = given(kind.bias())?.map(|bias| per_element(bias, &[columns])).transpose()?;
        let b_zeros = whole(&b_zeros.unwrap_or_else(|| vec![0.0]));
        Ok(Self { kind, dtype, a_zero: whole(&[a_zero])[0], b_zeros, scales, bias, zero })
    }

    fn output<'a>(&'a self, out: &'a mut Tensor) -> Result<Output<'a>, OpError> {
        let scale = per(&self.scales);
        let requantize = Requantize { scale, bias: None, zero_point: self.zero };
        Ok(match (self.kind, self.dtype) {
            (Kind::Sums, _) => Output::I32(writable(out)?),
            (Kind::Bytes, DType::I8) => Output::I8(writable(out)?, requantize),
            (Kind::Bytes, _) => Output::U8(writable(out)?, requantize),
            (Kind::Floats | Kind::Dynamic, _) => {
                let bias = self.bias.as_deref().map(Per::Column);
                Output::F32(writable(out)?, Dequantize { scale, bias })
            }
        })
    }
}

/// The only element of a tensor.
pub(super) fn single(tensor: &Tensor) -> Result<f32, OpError> {
    match tensor.to_f32_vec()?[..] {
        [value] => Ok(value),
        _ => Err(OpError::Invalid(format!("expected 1 element, got {:?}", tensor.dims()))),
    }
}
