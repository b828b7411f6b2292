//! `QuantizeLinear` and `DequantizeLinear` between f32 and bytes, by one scale or one per slice of an axis, and
//! `DynamicQuantizeLinear`.

use remuda_ir::{OpError, Val};
use remuda_kernels::quantize::{Quantization, dequantize, quantize};
use remuda_tensor::{DType, Element, Tensor};

use super::{int8, resolve_axis};
use crate::kernel::{Kernel, Preparation, Run, optional, tensor, writable};

#[derive(Clone, Copy)]
enum Direction {
    Quantize,
    Dequantize,
}

struct Linear {
    direction: Direction,
    axis: i64,
    /// The dtype of the bytes.
    bytes: DType,
}

pub(super) fn prepare(preparation: &Preparation<'_>) -> Option<Box<dyn Kernel>> {
    let node = preparation.node;
    let result = preparation.graph.value(node.output(0)?).ty.as_ref()?.as_tensor()?.dtype;
    let given = preparation.dtype(0)?;
    let (direction, bytes, floats) = match &*node.op.name {
        "QuantizeLinear" => (Direction::Quantize, result, given),
        _ => (Direction::Dequantize, given, result),
    };
    let whole = node.attrs.int_or("block_size", 0).ok()? == 0;
    let plain = node.attrs.int_or("precision", 0).ok()? == 0;
    let fits = matches!(bytes, DType::I8 | DType::U8)
        && floats == DType::F32
        && preparation.dtype(1)? == DType::F32
        && (node.input(2).is_none() || preparation.dtype(2)? == bytes);
    let axis = node.attrs.int_or("axis", 1).ok()?;
    (fits && whole && plain).then(|| Box::new(Linear { direction, axis, bytes }) as Box<dyn Kernel>)
}

impl Kernel for Linear {
    fn run(&self, run: &mut Run<'_>, inputs: &mut [Option<Val>]) -> Result<Vec<Val>, OpError> {
        let (x, scale) = (tensor(inputs, 0)?.contiguous(), tensor(inputs, 1)?.contiguous());
        let zero = optional(inputs, 2)?.map(Tensor::contiguous);
        let inner = self.inner(&x, &scale, zero.as_ref())?;
        let result = match self.direction {
            Direction::Quantize => self.bytes,
            Direction::Dequantize => DType::F32,
        };
        let mut out = run.arena.tensor(result, x.dims())?;
        if x.len() > 0 {
            let factors = (scale.as_slice()?, zero.as_ref(), inner);
            if self.bytes == DType::I8 {
                convert::<i8>(run, self.direction, factors, &x, &mut out)?;
            } else {
                convert::<u8>(run, self.direction, factors, &x, &mut out)?;
            }
        }
        Ok(vec![out.into()])
    }
}

impl Linear {
    /// How many neighbours share a scale.
    fn inner(&self, x: &Tensor, scale: &Tensor, zero: Option<&Tensor>) -> Result<usize, OpError> {
        if let Some(zero) = zero.filter(|zero| zero.len() != scale.len()) {
            let text = format!("zero points of {:?} do not fit {:?}", zero.dims(), scale.dims());
            return Err(OpError::Invalid(text));
        }
        if scale.len() == 1 {
            return Ok(1);
        }
        let axis = resolve_axis(self.axis, x.rank())?;
        if scale.dims() != &x.dims()[axis..=axis] {
            let text =
                format!("scales of {:?} do not fit axis {axis} of {:?}", scale.dims(), x.dims());
            return Err(OpError::Invalid(text));
        }
        Ok(x.dims()[axis + 1..].iter().product())
    }
}

fn convert<B: Element + remuda_kernels::quantize::Byte>(
    run: &Run<'_>,
    direction: Direction,
    (scales, zero, inner): (&[f32], Option<&Tensor>, usize),
    x: &Tensor,
    out: &mut Tensor,
) -> Result<(), OpError> {
    let zero_points = zero.map(Tensor::as_slice::<B>).transpose()?;
    let with = Quantization { scales, zero_points, inner };
    match direction {
        Direction::Quantize => {
            quantize::<f32, B>(run.context(), with, x.as_slice()?, writable(out)?);
        }
        Direction::Dequantize => {
            dequantize::<f32, B>(run.context(), with, x.as_slice()?, writable(out)?);
        }
    }
    Ok(())
}

struct Dynamic;

pub(super) fn prepare_dynamic(preparation: &Preparation<'_>) -> Option<Box<dyn Kernel>> {
    (preparation.dtype(0)? == DType::F32).then(|| Box::new(Dynamic) as Box<dyn Kernel>)
}

impl Kernel for Dynamic {
    fn run(&self, run: &mut Run<'_>, inputs: &mut [Option<Val>]) -> Result<Vec<Val>, OpError> {
        let x = tensor(inputs, 0)?.contiguous();
        let (bytes, scale, zero) = int8::quantised(run, &x)?;
        Ok(vec![bytes.into(), Tensor::scalar(scale).into(), Tensor::scalar(zero).into()])
    }
}
