//! `ConvInteger` and `QLinearConv`: constant weights are packed once.

use std::sync::OnceLock;

use remuda_ir::{OpError, Val};
use remuda_kernels::int8::{ByteMatrix, Output, PackedRows, Per, Requantize};
use remuda_kernels::{Context, ThreadPool};
use remuda_simd::Isa;
use remuda_tensor::{DType, Tensor};

use super::conv::{Geometry, failed};
use super::int8::{bytes, is_single, rank_of, single, whole};
use crate::Packing;
use crate::kernel::{Kernel, Preparation, Run, optional, tensor, writable};

/// Where data, weights and their zero points stand, and whether the result is bytes again.
#[derive(Clone, Copy)]
struct Places {
    w: usize,
    zeros: [usize; 2],
    requantized: bool,
}

const INTEGER: Places = Places { w: 1, zeros: [2, 3], requantized: false };
const LINEAR: Places = Places { w: 3, zeros: [2, 5], requantized: true };

/// Further inputs of `QLinearConv`.
const X_SCALE: usize = 1;
const W_SCALE: usize = 4;
const Y_SCALE: usize = 6;
const Y_ZERO: usize = 7;
const BIAS: usize = 8;

struct ByteConv {
    places: Places,
    geometry: Geometry,
    /// Whether the data are signed.
    signed: bool,
    isa: Isa,
    /// The packed weights, where those are known before the first run.
    packed: Option<OnceLock<PackedRows>>,
}

pub(super) fn prepare(preparation: &Preparation<'_>) -> Option<Box<dyn Kernel>> {
    let node = preparation.node;
    let places = if &*node.op.name == "ConvInteger" { INTEGER } else { LINEAR };
    let numbers: &[usize] = if places.requantized { &[2, X_SCALE, Y_SCALE, Y_ZERO] } else { &[2] };
    let fits = numbers.iter().all(|&at| is_single(preparation, at))
        && (3..=5).contains(&rank_of(preparation, 0)?);
    let geometry = Geometry::read(&node.attrs)?;
    let signed = preparation.dtype(0)? == DType::I8;
    let packed = preparation.is_fixed(places.w).then(OnceLock::new);
    fits.then(|| {
        Box::new(ByteConv { places, geometry, signed, isa: preparation.isa, packed })
            as Box<dyn Kernel>
    })
}

/// Numbers for all output channels or one for each.
fn of_channels(tensor: &Tensor, channels: usize, name: &str) -> Result<Vec<f32>, OpError> {
    let values = tensor.to_f32_vec()?;
    if values.len() == 1 || tensor.dims() == [channels] {
        return Ok(values);
    }
    let got = tensor.dims();
    Err(OpError::Invalid(format!("`{name}` expected [{channels}], got {got:?}")))
}

/// One number for all, or one for each row.
fn per<T: Copy>(values: &[T]) -> Per<'_, T> {
    match values {
        &[value] => Per::Tensor(value),
        _ => Per::Row(values),
    }
}

impl ByteConv {
    fn packed_weights(&self, context: Context<'_>, w: &Tensor) -> Result<PackedRows, OpError> {
        let w = w.contiguous();
        let channels = w.dims().first().copied().unwrap_or(0);
        let depth = w.dims().iter().skip(1).product();
        let matrix = ByteMatrix::new(bytes(&w)?, channels, depth).map_err(failed)?;
        PackedRows::new(context, matrix, &[0], self.signed).map_err(failed)
    }
}

impl Kernel for ByteConv {
    fn packs(&self) -> &[usize] {
        if self.packed.is_some() { std::slice::from_ref(&self.places.w) } else { &[] }
    }

    fn pack(&self, _: &Packing<'_>, inputs: &[Option<Tensor>]) -> Result<(), OpError> {
        if let (Some(packed), Some(Some(w))) = (&self.packed, inputs.get(self.places.w)) {
            let pool = ThreadPool::single();
            let _ = packed.set(self.packed_weights(Context::new(self.isa, &pool), w)?);
        }
        Ok(())
    }

    fn run(&self, run: &mut Run<'_>, inputs: &mut [Option<Val>]) -> Result<Vec<Val>, OpError> {
        let (x, w) = (tensor(inputs, 0)?.contiguous(), tensor(inputs, self.places.w)?);
        let (conv, dims) = self.geometry.conv(x.dims(), w.dims())?;
        let channels = dims[1];
        let [x_zero, w_zero] = self.places.zeros.map(|at| optional(inputs, at));
        let x_zero = x_zero?.map_or(Ok(0.0), single)?;
        let w_zeros = w_zero?.map(|zeros| of_channels(zeros, channels, "zero point"));
        let w_zeros = whole(&w_zeros.transpose()?.unwrap_or_else(|| vec![0.0]));
        let context = run.context();
        let own;
        let packed = match self.packed.as_ref().and_then(OnceLock::get) {
            Some(packed) => packed,
            None => {
                own = self.packed_weights(context, w)?;
                &own
            }
        };
        let run_into = |output: Output<'_>| {
            let input = (bytes(&x)?, whole(&[x_zero])[0]);
            conv.run_quantized(context, input, (packed, per(&w_zeros)), output).map_err(failed)
        };
        if !self.places.requantized {
            let mut out = run.arena.tensor(DType::I32, &dims)?;
            run_into(Output::I32(writable(&mut out)?))?;
            return Ok(vec![out.into()]);
        }
        let scaling = Scaling::new(inputs, channels)?;
        let mut out = run.arena.tensor(tensor(inputs, Y_ZERO)?.dtype(), &dims)?;
        match out.dtype() {
            DType::I8 => run_into(Output::I8(writable(&mut out)?, scaling.requantize()))?,
            _ => run_into(Output::U8(writable(&mut out)?, scaling.requantize()))?,
        }
        Ok(vec![out.into()])
    }
}

/// What makes bytes of the sums.
struct Scaling {
    scales: Vec<f32>,
    bias: Option<Tensor>,
    zero: i32,
}

impl Scaling {
    fn new(inputs: &[Option<Val>], channels: usize) -> Result<Self, OpError> {
        let [x_scale, y_scale] = [X_SCALE, Y_SCALE].map(|at| tensor(inputs, at).and_then(single));
        let (x_scale, y_scale) = (x_scale?, y_scale?);
        let mut scales = of_channels(tensor(inputs, W_SCALE)?, channels, "w_scale")?;
        // Rounded in this order, ties fall as they do in ONNX Runtime.
        scales.iter_mut().for_each(|scale| *scale = x_scale * *scale / y_scale);
        let bias = optional(inputs, BIAS)?.map(Tensor::contiguous);
        if let Some(bias) = bias.as_ref().filter(|bias| bias.dims() != [channels]) {
            let text = format!("the bias expected [{channels}], got {:?}", bias.dims());
            return Err(OpError::Invalid(text));
        }
        let zero = whole(&[single(tensor(inputs, Y_ZERO)?)?])[0];
        Ok(Self { scales, bias, zero })
    }

    fn requantize(&self) -> Requantize<'_> {
        let bias = self.bias.as_ref().and_then(|bias| bias.as_slice().ok()).map(Per::Row);
        Requantize { scale: per(&self.scales), bias, zero_point: self.zero }
    }
}
