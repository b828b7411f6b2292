//! `MatMulNBits`: data times the transpose of weights that are packed in blocks of 2, 4 or 8 bits, each block
//! with a scale and perhaps a zero point.

use remuda_ir::{
    AttrDef, AttrKind, Attrs, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};
use remuda_tensor::{DType, Dim, Tensor};

use crate::support::array::{Array, vec_of};
use crate::support::matmul::{matmul, matmul_dims, transposed};
use crate::support::skip_norm::add_input;
use crate::support::unsupported_dtype;

pub(crate) static OP: OpDef = OpDef {
    domain: "com.microsoft",
    name: "MatMulNBits",
    since: 1,
    upgrades: &[],
    inputs: &[
        InputDef::new("a", Types::FLOATS),
        InputDef::new("b", Types::one(DType::U8).or(Types::one(DType::I32))).tied(""),
        InputDef::new("scales", Types::FLOATS).tied(""),
        InputDef::optional("zero_points", Types::one(DType::U8).or(Types::FLOATS)).tied(""),
        InputDef::optional("g_idx", Types::one(DType::I32)).tied(""),
        InputDef::optional("bias", Types::FLOATS),
    ],
    outputs: &[OutputDef::new("y")],
    attrs: &[
        AttrDef::required("K", AttrKind::Int),
        AttrDef::required("N", AttrKind::Int),
        AttrDef::new("accuracy_level", AttrKind::Int),
        AttrDef::new("bits", AttrKind::Int),
        AttrDef::required("block_size", AttrKind::Int),
        AttrDef::new("weight_prepacked", AttrKind::Int),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(4.0),
    infer,
    reference,
    cases: include_str!("mat_mul_n_bits.cases"),
};

struct Layout {
    inner: usize,
    columns: usize,
    bits: usize,
    block: usize,
    blocks: usize,
}

fn layout(attrs: &Attrs) -> Result<Layout, OpError> {
    let size = |name: &str| -> Result<usize, OpError> {
        let value = attrs.required_int(name)?;
        usize::try_from(value).ok().filter(|&value| value > 0).ok_or_else(|| {
            OpError::Invalid(format!("`{name}` expected a positive integer, got {value}"))
        })
    };
    let bits = attrs.int_or("bits", 4)?;
    if ![2, 4, 8].contains(&bits) {
        return Err(OpError::Unsupported(format!("attribute `bits` of {bits}")));
    }
    if attrs.bool_or("weight_prepacked", false)? {
        return Err(OpError::unsupported("attribute `weight_prepacked`"));
    }
    let (inner, block) = (size("K")?, size("block_size")?);
    if !block.is_power_of_two() || block < 16 {
        return Err(OpError::Invalid(format!(
            "`block_size` expected a power of two from 16 on, got {block}"
        )));
    }
    let blocks = inner.div_ceil(block);
    Ok(Layout { inner, columns: size("N")?, bits: bits as usize, block, blocks })
}

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let layout = layout(ctx.attrs())?;
    let Some(dims) = ctx.dims(0)? else { return Ok(vec![Inferred::maybe(ctx.dtype(0)?, None)]) };
    let weights = [Dim::from(layout.inner), Dim::from(layout.columns)];
    Ok(vec![Inferred::tensor(ctx.dtype(0)?, matmul_dims(dims, &weights)?)])
}

/// The number in a row of packed numbers, the first in the lowest bits.
fn unpacked(row: &[u8], at: usize, bits: usize) -> f64 {
    let byte = row[at * bits / 8];
    f64::from(byte >> (at * bits % 8) & (u8::MAX >> (8 - bits)))
}

fn expect_len(name: &str, got: usize, expected: Option<usize>) -> Result<(), OpError> {
    if Some(got) == expected {
        return Ok(());
    }
    let expected = expected.map_or("fewer".to_owned(), |expected| expected.to_string());
    Err(OpError::Invalid(format!("`{name}` expected {expected} elements, got {got}")))
}

impl Layout {
    /// The zero point of each block of each column.
    fn zeros(&self, given: Option<&Tensor>) -> Result<Vec<f64>, OpError> {
        let count = self.columns.checked_mul(self.blocks);
        let Some(given) = given else {
            return vec_of(&[self.columns, self.blocks], f64::from(1u8 << (self.bits - 1)));
        };
        if given.dtype() != DType::U8 {
            expect_len("zero_points", given.len(), count)?;
            return Ok(given.to_f64_vec()?);
        }
        let row = (self.blocks * self.bits).div_ceil(8);
        expect_len("zero_points", given.len(), self.columns.checked_mul(row))?;
        let bytes = given.to_vec::<u8>()?;
        let rows = bytes.chunks(row);
        Ok(rows.flat_map(|row| (0..self.blocks).map(|at| unpacked(row, at, self.bits))).collect())
    }

    /// The weights as `[columns, inner]`.
    fn weights(&self, packed: &Tensor, scales: &[f64], zeros: &[f64]) -> Result<Array, OpError> {
        let row = self.blocks.saturating_mul(self.block * self.bits / 8);
        expect_len("b", packed.len(), self.columns.checked_mul(row))?;
        let bytes = packed.to_vec::<u8>()?;
        let mut weights = Array::filled([self.columns, self.inner], 0.0)?;
        for (at, weight) in weights.values.iter_mut().enumerate() {
            let (column, place) = (at / self.inner, at % self.inner);
            let block = column * self.blocks + place / self.block;
            let stored = unpacked(&bytes[column * row..][..row], place, self.bits);
            *weight = (stored - zeros[block]) * scales[block];
        }
        Ok(weights)
    }
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let layout = layout(ctx.attrs())?;
    if ctx.opt_tensor(4)?.is_some() {
        return Err(OpError::unsupported("input `g_idx`"));
    }
    if ctx.tensor(1)?.dtype() != DType::U8 {
        return Err(unsupported_dtype(ctx.tensor(1)?.dtype()));
    }
    let scales = ctx.tensor(2)?.to_f64_vec()?;
    expect_len("scales", scales.len(), layout.columns.checked_mul(layout.blocks))?;
    let zeros = layout.zeros(ctx.opt_tensor(3)?)?;
    let weights = layout.weights(ctx.tensor(1)?, &scales, &zeros)?;
    let mut y = matmul(&Array::of(ctx.tensor(0)?)?, &transposed(&weights)?)?;
    add_input(&mut y, ctx.opt_tensor(5)?, "bias")?;
    Ok(vec![y.to_floats(ctx.tensor(0)?.dtype())?.into()])
}
