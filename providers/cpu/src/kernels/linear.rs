//! `Linear` of f32 rows with weights in any float or block format. Weights that are known before the
//! first run and whose format has kernels of its own are packed then; all others stay as they are and
//! are decoded piece by piece where they are multiplied.

use std::sync::OnceLock;

use remuda_ir::{OpError, Val};
use remuda_kernels::block::{
    BlockError, Codec, Format, Grain, Weights, multiply, pack, scratch_bytes,
};
use remuda_tensor::{DType, Tensor, rows};

use super::norm::per_element;
use crate::Packing;
use crate::kernel::{Kernel, Needs, Preparation, Run, optional, tensor, writable};
use crate::packing::Packed;

struct Linear {
    layout: Layout,
}

/// How the weights are kept.
enum Layout {
    /// In a form of the kernels' own, of so many bytes, from before the first run on.
    Packed(Format, usize, OnceLock<Packed>),
    /// As they are given.
    Plain(Codec),
}

pub(super) fn prepare(preparation: &Preparation<'_>) -> Option<Box<dyn Kernel>> {
    let dtype = preparation.dtype(1)?;
    let packed =
        format_of(dtype).and_then(|format| Some((format, packed_bytes(preparation, format)?)));
    let layout = match packed {
        Some((format, bytes)) => Layout::Packed(format, bytes, OnceLock::new()),
        None => Layout::Plain(codec_of(dtype)?),
    };
    let fits = preparation.dtype(0)? == DType::F32;
    fits.then(|| Box::new(Linear { layout }) as Box<dyn Kernel>)
}

/// Bytes of the packed weights, if they are wanted and known in time, and their rows can be packed.
fn packed_bytes(preparation: &Preparation<'_>, format: Format) -> Option<usize> {
    let dims = preparation.input_type(1)?.as_tensor()?.fixed_dims()?;
    let &[rows, depth] = &dims[..] else { return None };
    let bytes = format.packed_bytes(rows, depth).filter(|_| depth > 0)?;
    (preparation.packs && preparation.is_fixed(1)).then_some(bytes)
}

/// The format with kernels of its own that a dtype is.
pub(super) fn format_of(dtype: DType) -> Option<Format> {
    match dtype {
        DType::F32 => Some(Format::F32),
        DType::F16 => Some(Format::F16),
        DType::BF16 => Some(Format::Bf16),
        DType::Block(block) => Format::of_ggml_type(block.format().ggml_type),
        _ => None,
    }
}

/// How elements of a dtype are decoded.
pub(super) fn codec_of(dtype: DType) -> Option<Codec> {
    let float = |bytes, decode| Some(Codec { values: 1, bytes, decode });
    match dtype {
        DType::F32 => float(4, |bytes, out| decode(DType::F32, bytes, out)),
        DType::F16 => float(2, |bytes, out| decode(DType::F16, bytes, out)),
        DType::BF16 => float(2, |bytes, out| decode(DType::BF16, bytes, out)),
        DType::Block(block) => {
            let format = block.format();
            let (values, bytes, decode) = (format.elements, format.bytes, format.dequantize);
            Some(Codec { values, bytes, decode })
        }
        _ => None,
    }
}

/// Decodes elements of a tensor, which is aligned, so that this cannot fail.
fn decode(dtype: DType, bytes: &[u8], out: &mut [f32]) {
    if rows::decode(dtype, bytes, out).is_err() {
        out.fill(f32::NAN);
    }
}

pub(super) fn failed(error: BlockError) -> OpError {
    OpError::Bug(error.to_string())
}

fn sizes(weight: &Tensor) -> Result<[usize; 2], OpError> {
    weight.dims().try_into().map_err(|_| {
        OpError::Invalid(format!("weights expected 2 dimensions, got {:?}", weight.dims()))
    })
}

pub(super) fn bytes(weight: &Tensor) -> Result<&[u8], OpError> {
    weight.bytes().ok_or_else(|| OpError::Bug("weights have no bytes".to_owned()))
}

impl Linear {
    /// Calls `body` with the weights.
    fn with_weights<R>(
        &self,
        weight: &Tensor,
        body: impl FnOnce(&Weights<'_>) -> Result<R, OpError>,
    ) -> Result<R, OpError> {
        let sizes = sizes(weight)?;
        match &self.layout {
            Layout::Plain(codec) => {
                let weight = weight.contiguous();
                body(&Weights::plain(*codec, sizes, bytes(&weight)?).map_err(failed)?)
            }
            Layout::Packed(format, _, packed) => {
                let packed = packed.get();
                let packed =
                    packed.ok_or_else(|| OpError::Bug("weights are not packed".to_owned()))?;
                body(&Weights::packed(*format, sizes, packed.bytes()).map_err(failed)?)
            }
        }
    }
}

impl Kernel for Linear {
    fn packs(&self) -> &[usize] {
        if matches!(self.layout, Layout::Packed(..)) { &[1] } else { &[] }
    }

    fn packed_bytes(&self) -> usize {
        if let Layout::Packed(_, bytes, _) = self.layout { bytes } else { 0 }
    }

    fn needs(&self, preparation: &Preparation<'_>) -> Needs {
        let grain = match self.layout {
            Layout::Packed(format, ..) => format.grain(),
            Layout::Plain(_) => Grain::Float,
        };
        let dims = preparation.dims(0).unwrap_or_default();
        let Some((&depth, front)) = dims.split_last() else { return Needs::default() };
        let count = front.iter().product();
        let thread_bytes = scratch_bytes(grain, count);
        Needs { operands: Some((grain, [count, depth])), thread_bytes, ..Needs::default() }
    }

    fn pack(&self, packing: &Packing<'_>, inputs: &[Option<Tensor>]) -> Result<(), OpError> {
        let Layout::Packed(format, needed, packed) = &self.layout else { return Ok(()) };
        let weight = inputs.get(1).and_then(Option::as_ref);
        let weight = weight.ok_or_else(|| OpError::Invalid("weights are missing".to_owned()))?;
        let sizes = sizes(weight)?;
        let source = bytes(weight)?;
        let made = packing.packed((*format, *needed), &[weight], |memory| {
            pack(packing.cx, *format, sizes, source, memory).map_err(failed)
        })?;
        let _ = packed.set(made);
        Ok(())
    }

    fn run(&self, run: &mut Run<'_>, inputs: &mut [Option<Val>]) -> Result<Vec<Val>, OpError> {
        let (x, weight) = (tensor(inputs, 0)?.contiguous(), tensor(inputs, 1)?);
        let [outputs, depth] = sizes(weight)?;
        let Some((_, front)) = x.dims().split_last().filter(|&(&last, _)| last == depth) else {
            let text = format!("rows of {:?} do not fit weights of {:?}", x.dims(), weight.dims());
            return Err(OpError::Invalid(text));
        };
        let bias = optional(inputs, 2)?;
        let bias = bias.map(|bias| per_element(bias, &[outputs])).transpose()?;
        let mut out = run.arena.tensor(DType::F32, &[front, &[outputs]].concat())?;
        let values = writable::<f32>(&mut out)?;
        if depth == 0 {
            values.fill(0.0);
        } else if !values.is_empty() {
            let cx = run.context();
            self.with_weights(weight, |weights| {
                let tokens = run.arena.operands(cx, weights.grain(), depth, &x)?;
                multiply(cx, weights, tokens, values, outputs).map_err(failed)
            })?;
        }
        if let Some(bias) = bias {
            for row in values.chunks_exact_mut(outputs.max(1)) {
                row.iter_mut().zip(&bias).for_each(|(value, bias)| *value += bias);
            }
        }
        Ok(vec![out.into()])
    }
}
