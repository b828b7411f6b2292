//! `QMoE`: `MoE` whose weights are packed in 2, 4 or 8 bits, the first number in the lowest bits, with a scale
//! for each row or for each block of it. The router's scores are normalised over the chosen experts whatever
//! `normalize_routing_weights` says; that is for `router_weights`, which stand in for the scores where given.

use remuda_ir::{
    AttrDef, AttrKind, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types,
    Val,
};
use remuda_tensor::{DType, Tensor};

use crate::support::array::Array;
use crate::support::experts::{Layer, Routing, infer_experts, mixture};

const PACKED: Types = Types::one(DType::U8);

pub(crate) static OP: OpDef = OpDef {
    domain: "com.microsoft",
    name: "QMoE",
    since: 1,
    upgrades: &[],
    inputs: &[
        InputDef::new("input", Types::FLOATS),
        InputDef::new("router_probs", Types::FLOATS),
        InputDef::new("fc1_experts_weights", PACKED).tied(""),
        InputDef::new("fc1_scales", Types::FLOATS).tied(""),
        InputDef::optional("fc1_experts_bias", Types::FLOATS),
        InputDef::new("fc2_experts_weights", PACKED).tied(""),
        InputDef::new("fc2_scales", Types::FLOATS).tied(""),
        InputDef::optional("fc2_experts_bias", Types::FLOATS),
        InputDef::optional("fc3_experts_weights", PACKED).tied(""),
        InputDef::optional("fc3_scales", Types::FLOATS).tied(""),
        InputDef::optional("fc3_experts_bias", Types::FLOATS),
        InputDef::optional("fc1_zero_points", PACKED).tied(""),
        InputDef::optional("fc2_zero_points", PACKED).tied(""),
        InputDef::optional("fc3_zero_points", PACKED).tied(""),
        InputDef::optional("router_weights", Types::FLOATS),
    ],
    outputs: &[OutputDef::new("output")],
    attrs: &[
        AttrDef::new("accuracy_level", AttrKind::Int),
        AttrDef::new("activation_alpha", AttrKind::Float),
        AttrDef::new("activation_beta", AttrKind::Float),
        AttrDef::new("activation_type", AttrKind::Text),
        AttrDef::new("block_size", AttrKind::Int),
        AttrDef::new("expert_weight_bits", AttrKind::Int),
        AttrDef::new("fc1_expert_weight_bits", AttrKind::Int),
        AttrDef::new("fc2_expert_weight_bits", AttrKind::Int),
        AttrDef::new("fc3_expert_weight_bits", AttrKind::Int),
        AttrDef::new("k", AttrKind::Int),
        AttrDef::new("normalize_routing_weights", AttrKind::Int),
        AttrDef::new("quant_type", AttrKind::Text),
        AttrDef::new("swiglu_fusion", AttrKind::Int),
        AttrDef::new("swiglu_limit", AttrKind::Float),
        AttrDef::new("use_sparse_mixer", AttrKind::Int),
        AttrDef::new("weights_prepacked", AttrKind::Int),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(4.0),
    infer: infer_experts,
    reference,
    cases: include_str!("qmoe.cases"),
};

/// The bits of a layer's weights.
fn bits_of(ctx: &KernelCtx<'_>, layer: usize) -> Result<usize, OpError> {
    let name =
        ["fc1_expert_weight_bits", "fc2_expert_weight_bits", "fc3_expert_weight_bits"][layer];
    let bits = ctx.attrs().int_or(name, ctx.attrs().int_or("expert_weight_bits", 4)?)?;
    match bits {
        2 => Ok(2),
        4 => Ok(4),
        8 => Ok(8),
        other => Err(OpError::Unsupported(format!("attribute `{name}` of {other}"))),
    }
}

/// The numbers in bytes, of which each row of the last axis is packed on its own.
fn unpacked(tensor: &Tensor, bits: usize) -> Result<Array, OpError> {
    let mut dims = tensor.dims().to_vec();
    let each = 8 / bits;
    if let Some(last) = dims.last_mut() {
        *last = last.saturating_mul(each);
    }
    let of_byte = |byte: u8| {
        (0..each).map(move |at| f64::from(byte >> (at * bits) & (u8::MAX >> (8 - bits))))
    };
    let values = tensor.to_vec::<u8>()?.into_iter().flat_map(of_byte).collect();
    Ok(Array { dims, values })
}

/// How scales lie in the rows of a layer.
struct Grid {
    rows: usize,
    columns: usize,
    /// Columns that share a scale.
    block: usize,
    /// Scales of a row.
    blocks: usize,
}

impl Grid {
    fn read(ctx: &KernelCtx<'_>, weights: &Array, scales: &Array) -> Result<Self, OpError> {
        let [experts, rows, columns] = weights.with_rank("weights")?;
        let size = ctx.attrs().int_or("block_size", 0)?;
        let block = usize::try_from(size)
            .map_err(|_| OpError::Invalid(format!("attribute `block_size` of {size}")))?;
        let block = if block == 0 { columns.max(1) } else { block };
        let blocks = columns.div_ceil(block);
        let fits = match scales.dims[..] {
            [e, r] => blocks == 1 && [e, r] == [experts, rows],
            [e, r, b] => [e, r, b] == [experts, rows, blocks],
            _ => false,
        };
        if fits {
            return Ok(Self { rows, columns, block, blocks });
        }
        let text = format!("scales {:?} do not fit weights {:?}", scales.dims, weights.dims);
        Err(OpError::Invalid(text))
    }

    /// Where the zero point of a block of a row lies among those of all experts: rows of blocks, or
    /// where a row has one block, one row for all rows of an expert.
    fn zero(&self, zeros: &Array, row: usize, place: usize) -> Option<f64> {
        let width = *zeros.dims.last()?;
        let at = match self.blocks {
            1 if zeros.dims.len() == 2 => row / self.rows * width + row % self.rows,
            1 => row * width,
            _ => row * width + place,
        };
        zeros.values.get(at).copied()
    }
}

/// The weights of a layer as real numbers.
fn weights(ctx: &KernelCtx<'_>, layer: usize) -> Result<Option<Array>, OpError> {
    let first = 2 + 3 * layer;
    let Some(packed) = ctx.opt_tensor(first)? else { return Ok(None) };
    let bits = bits_of(ctx, layer)?;
    let mut weights = unpacked(packed, bits)?;
    let scales = Array::of(ctx.tensor(first + 1)?)?;
    let grid = Grid::read(ctx, &weights, &scales)?;
    let zeros = ctx.opt_tensor(11 + layer)?.map(|zeros| unpacked(zeros, bits)).transpose()?;
    let middle = f64::from(1u8 << (bits - 1));
    for (at, weight) in weights.values.iter_mut().enumerate() {
        let (row, place) = (at / grid.columns, at % grid.columns / grid.block);
        let zero = match &zeros {
            None => Some(middle),
            Some(zeros) => grid.zero(zeros, row, place),
        };
        let zero =
            zero.ok_or_else(|| OpError::invalid("there are fewer zero points than scales"))?;
        *weight = (*weight - zero) * scales.values[row * grid.blocks + place];
    }
    Ok(Some(weights))
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let attrs = ctx.attrs();
    if attrs.text_or("quant_type", "int")? != "int" {
        return Err(OpError::unsupported("attribute `quant_type` other than `int`"));
    }
    if attrs.int_or("weights_prepacked", 0)? > 0 {
        return Err(OpError::unsupported("attribute `weights_prepacked`"));
    }
    let routing = match Array::of_optional(ctx.opt_tensor(14)?)? {
        Some(given) => Routing::Given(given),
        None => Routing::Chosen,
    };
    let layer = |layer: usize| -> Result<Option<Layer>, OpError> {
        let Some(weights) = weights(ctx, layer)? else { return Ok(None) };
        Ok(Some(Layer { weights, bias: Array::of_optional(ctx.opt_tensor(4 + 3 * layer)?)? }))
    };
    let (x, scores) = (Array::of(ctx.tensor(0)?)?, Array::of(ctx.tensor(1)?)?);
    let y = mixture(attrs, &x, (&scores, &routing), [layer(0)?, layer(1)?, layer(2)?])?;
    Ok(vec![y.to_floats(ctx.tensor(0)?.dtype())?.into()])
}
