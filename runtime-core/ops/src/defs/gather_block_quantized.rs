//! `GatherBlockQuantized`: slices of a tensor that is quantised in blocks, as real numbers. Bytes hold one
//! number of 8 bits or two of 4, the first in the lower half.

use remuda_ir::{
    Attr, AttrDef, AttrKind, Attrs, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError,
    OutputDef, Tolerance, Traits, Types, Val,
};
use remuda_tensor::{DType, Dim, Tensor};

use crate::support::array::Array;
use crate::support::axes::resolve_axis;
use crate::support::compose::step;
use crate::support::quantize::spread;

const PACKED: Types = Types::one(DType::U8).or(Types::one(DType::I4)).or(Types::one(DType::U4));

pub(crate) static OP: OpDef = OpDef {
    domain: "com.microsoft",
    name: "GatherBlockQuantized",
    since: 1,
    upgrades: &[],
    inputs: &[
        InputDef::new("data", PACKED).tied("T1"),
        InputDef::new("indices", Types::INDEX).tied(""),
        InputDef::new("scales", Types::SHORT_FLOATS).tied(""),
        InputDef::optional("zero_points", PACKED).tied("T1"),
    ],
    outputs: &[OutputDef::new("output")],
    attrs: &[
        AttrDef::new("bits", AttrKind::Int),
        AttrDef::new("block_size", AttrKind::Int),
        AttrDef::new("gather_axis", AttrKind::Int),
        AttrDef::new("quantize_axis", AttrKind::Int),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(1.0),
    infer,
    reference,
    cases: include_str!("gather_block_quantized.cases"),
};

/// How many numbers an element of the data holds.
fn numbers_per_element(attrs: &Attrs, dtype: DType) -> Result<usize, OpError> {
    match (dtype, attrs.int_or("bits", 4)?) {
        (DType::U8, 4) => Ok(2),
        (DType::U8, 8) | (DType::I4 | DType::U4, 4) => Ok(1),
        (dtype, bits) => Err(OpError::Invalid(format!("`bits` of {bits} for data of `{dtype}`"))),
    }
}

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let (dtype, per_element) = (ctx.dtype(2)?, numbers_per_element(ctx.attrs(), ctx.dtype(0)?)?);
    let (Some(data), Some(indices)) = (ctx.dims(0)?, ctx.dims(1)?) else {
        return Ok(vec![Inferred::maybe(dtype, None)]);
    };
    let mut data = data.to_vec();
    let axis = resolve_axis(ctx.attrs().int_or("gather_axis", 0)?, data.len())?;
    if let Some(last) = data.last_mut() {
        *last = last.mul(&Dim::from(per_element));
    }
    Ok(vec![Inferred::tensor(dtype, [&data[..axis], indices, &data[axis + 1..]].concat())])
}

/// The numbers, of which each row has at most `columns`.
fn unpacked(tensor: &Tensor, per_element: usize, columns: usize) -> Result<Array, OpError> {
    if per_element == 1 {
        return Array::of(tensor);
    }
    let mut dims = tensor.dims().to_vec();
    let Some(last) = dims.last_mut() else {
        return Err(OpError::invalid("packed numbers expected at least 1 dimension, got 0"));
    };
    let row = *last;
    *last = columns.min(row.saturating_mul(2));
    let kept = *last;
    let bytes = tensor.to_vec::<u8>()?;
    let halves = |row: &[u8]| {
        let pairs = row.iter().flat_map(|&byte| [byte & 15, byte >> 4]);
        pairs.take(kept).map(f64::from).collect::<Vec<_>>()
    };
    Ok(Array { dims, values: bytes.chunks(row.max(1)).flat_map(halves).collect() })
}

/// The real numbers of the data.
fn dequantized(ctx: &KernelCtx<'_>) -> Result<Tensor, OpError> {
    let (attrs, data, scales) = (ctx.attrs(), ctx.tensor(0)?, ctx.tensor(2)?);
    let per_element = numbers_per_element(attrs, data.dtype())?;
    let block = attrs.int_or("block_size", 128)?;
    let block = usize::try_from(block).ok().filter(|&block| block > 0).ok_or_else(|| {
        OpError::Invalid(format!("`block_size` expected a positive integer, got {block}"))
    })?;
    let axis = attrs.int_or("quantize_axis", 1)?;
    let mut array = unpacked(data, per_element, usize::MAX)?;
    let scale_of = spread(scales, "scales", &array.dims, axis, block)?;
    let zeros = match ctx.opt_tensor(3)? {
        Some(zeros) => {
            let columns = scales.dims().last().copied().unwrap_or(0);
            unpacked(zeros, per_element, columns)?.to_floats(DType::F64)?
        }
        // Bytes hold unsigned numbers around the middle of their range.
        None if data.dtype() == DType::U8 => {
            let middle = if per_element == 2 { 8.0 } else { 128.0 };
            Array::filled(scales.dims(), middle)?.to_floats(DType::F64)?
        }
        None => Array::filled(scales.dims(), 0.0)?.to_floats(DType::F64)?,
    };
    let zeros = spread(&zeros, "zero_points", &array.dims, axis, block)?;
    for (value, (scale, zero)) in array.values.iter_mut().zip(scale_of.into_iter().zip(zeros)) {
        *value = (*value - zero) * scale;
    }
    array.to_floats(scales.dtype())
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let mut attrs = Attrs::default();
    attrs.set("axis", Attr::Int(ctx.attrs().int_or("gather_axis", 0)?));
    let inputs = vec![Some(dequantized(ctx)?.into()), ctx.opt_val(1).cloned()];
    Ok(vec![step("Gather", attrs, inputs)?])
}
