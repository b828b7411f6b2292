//! `Linear`: float weights become `Gemm` or `MatMul`; blocks of 32 with one scale become `MatMulNBits`,
//! whose integers then mean exactly what the blocks do. Other block formats have no counterpart: they
//! are refused, or written out as floats where the user allows that.

use remuda_sdk::ir::Node;
use remuda_sdk::tensor::dtype::BlockId;
use remuda_sdk::tensor::{DType, Tensor, f16};

use super::attributes::int_attr;
use super::{Refusal, Scope, refuse};

/// Elements that share one scale, in every format that `MatMulNBits` can hold.
const BLOCK: usize = 32;

/// How a format's integers are kept: their bits, and what stands for zero.
fn counterpart(format: &str) -> Option<(i64, i32)> {
    match format {
        "q4_0" => Some((4, 8)),
        "q5_0" | "q8_0" | "iq4_nl" => Some((8, 128)),
        _ => None,
    }
}

/// Writes the product.
pub(super) fn lower(scope: &mut Scope<'_>, node: &Node) -> Result<(), Refusal> {
    let (Some(x), Some(weight)) = (node.input(0), node.input(1)) else {
        return Err(refuse("attribute", "`Linear` takes rows and weights"));
    };
    let Some(DType::Block(format)) = scope.dtype(weight) else { return float(scope, node) };
    let Some(tensor) = scope.graph.value(weight).constant().cloned() else {
        return Err(refuse("dtype", "weights in blocks are constants"));
    };
    let name = format.format().name;
    match counterpart(name) {
        Some(kept) if scope.dtype(x) == Some(DType::F32) => blocks(scope, node, &tensor, kept),
        None if scope.settings.dequantize => dequantized(scope, node, &tensor),
        None => Err(refuse(
            "dtype",
            format!(
                "it has no kernel for weights of `{name}`; option `dequantize` writes them out"
            ),
        )),
        Some(_) => Err(refuse("dtype", format!("rows for weights of `{name}` are f32"))),
    }
}

/// Weights of floats: `Gemm` reads them as they lie, and takes matrices only.
fn float(scope: &mut Scope<'_>, node: &Node) -> Result<(), Refusal> {
    let inputs = scope.inputs(node)?;
    let rank = node.input(0).and_then(|x| scope.rank(x));
    product(scope, node, inputs, rank)
}

fn product(
    scope: &mut Scope<'_>,
    node: &Node,
    mut inputs: Vec<String>,
    rank: Option<usize>,
) -> Result<(), Refusal> {
    let outputs = scope.outputs(node)?;
    inputs.truncate(3);
    if rank == Some(2) {
        scope.emit(("", "Gemm"), &inputs, &outputs, &[int_attr("transB", 1)]);
        return Ok(());
    }
    let (x, weight) = (inputs[0].clone(), inputs[1].clone());
    let turned = scope.step("Transpose", &[weight], &[]);
    match inputs.get(2).filter(|bias| !bias.is_empty()) {
        None => scope.emit(("", "MatMul"), &[x, turned], &outputs, &[]),
        Some(bias) => {
            let y = scope.step("MatMul", &[x, turned], &[]);
            scope.emit(("", "Add"), &[y, bias.clone()], &outputs, &[]);
        }
    }
    Ok(())
}

/// The rows and the bias, by name; the weights are written anew.
fn around(scope: &mut Scope<'_>, node: &Node) -> Result<(String, String), Refusal> {
    let mut name = |at: usize| node.input(at).map_or(Ok(String::new()), |id| scope.name(id));
    Ok((name(0)?, name(2)?))
}

fn dequantized(scope: &mut Scope<'_>, node: &Node, weight: &Tensor) -> Result<(), Refusal> {
    let values = scope.made(DType::F32, weight.dims().to_vec(), || {
        let values = weight.to_f32_vec().map_err(|error| error.to_string())?;
        Tensor::from_vec(weight.dims().to_vec(), values).map_err(|error| error.to_string())
    })?;
    let (x, bias) = around(scope, node)?;
    let rank = node.input(0).and_then(|x| scope.rank(x));
    product(scope, node, vec![x, values, bias], rank)
}

fn blocks(
    scope: &mut Scope<'_>,
    node: &Node,
    weight: &Tensor,
    (bits, zero): (i64, i32),
) -> Result<(), Refusal> {
    let &[outputs, inputs] = weight.dims() else {
        return Err(refuse("rank", "weights have two dimensions"));
    };
    let DType::Block(format) = weight.dtype() else {
        return Err(refuse("dtype", "weights are in blocks"));
    };
    let per_row = inputs / BLOCK;
    let block_bytes = if bits == 4 { BLOCK / 2 } else { BLOCK };
    let integers = scope.made(DType::U8, vec![outputs, per_row, block_bytes], || {
        let mut packed = Vec::with_capacity(outputs * per_row * block_bytes);
        each_block(format, weight, |block, scale| pack(block, scale, (bits, zero), &mut packed));
        Tensor::from_vec([outputs, per_row, block_bytes], packed).map_err(|e| e.to_string())
    })?;
    let scales = scope.made(DType::F32, vec![outputs * per_row], || {
        let mut scales = Vec::with_capacity(outputs * per_row);
        each_block(format, weight, |_, scale| scales.push(scale));
        Tensor::from_vec([outputs * per_row], scales).map_err(|error| error.to_string())
    })?;
    let (x, bias) = around(scope, node)?;
    let mut operands = vec![x, integers, scales];
    if !bias.is_empty() {
        operands.extend([String::new(), String::new(), bias]);
    }
    let int = |value: usize| i64::try_from(value).unwrap_or(i64::MAX);
    let attrs = [
        int_attr("K", int(inputs)),
        int_attr("N", int(outputs)),
        int_attr("bits", bits),
        int_attr("block_size", int(BLOCK)),
        // Rows may be rounded to int8, as every engine for such files does.
        int_attr("accuracy_level", 4),
    ];
    let made = scope.outputs(node)?;
    scope.emit(("com.microsoft", "MatMulNBits"), &operands, &made, &attrs);
    Ok(())
}

/// Shows every block's values, and the scale in its first two bytes.
fn each_block(format: BlockId, weight: &Tensor, mut show: impl FnMut(&[f32; BLOCK], f32)) {
    let format = format.format();
    let mut values = [0.0f32; BLOCK];
    for bytes in weight.bytes().unwrap_or(&[]).chunks_exact(format.bytes) {
        (format.dequantize)(bytes, &mut values);
        show(&values, f16::from_le_bytes([bytes[0], bytes[1]]).to_f32());
    }
}

/// Appends a block's integers, the first of two in the lower bits.
fn pack(values: &[f32; BLOCK], scale: f32, (bits, zero): (i64, i32), packed: &mut Vec<u8>) {
    let integer = |value: f32| {
        let quant = if scale == 0.0 { 0.0 } else { (value / scale).round() };
        #[expect(clippy::cast_possible_truncation, reason = "the quotient is an integer of 8 bits")]
        let kept = quant as i32 + zero;
        u8::try_from(kept.clamp(0, 255)).unwrap_or(0)
    };
    if bits == 8 {
        packed.extend(values.iter().map(|&value| integer(value)));
    } else {
        let pairs = values.as_chunks::<2>().0;
        packed.extend(pairs.iter().map(|&[low, high]| integer(low) | integer(high) << 4));
    }
}
