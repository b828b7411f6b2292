//! `QEmbedLayerNormalization`: `EmbedLayerNormalization` whose tables and parameters are quantised.

use remuda_ir::{
    AttrDef, AttrKind, Attrs, InferCtx, Inferred, InputDef, KernelCtx, Node, OpDef, OpError,
    OpName, OutputDef, Tolerance, Traits, Types, Val,
};
use remuda_tensor::{DType, Dim};

use crate::evaluate;
use crate::support::quantize::dequantized;

const F32: Types = Types::one(DType::F32);
const I32: Types = Types::one(DType::I32);

pub(crate) static OP: OpDef = OpDef {
    domain: "com.microsoft",
    name: "QEmbedLayerNormalization",
    since: 1,
    upgrades: &[],
    inputs: &[
        InputDef::new("input_ids", I32).tied(""),
        InputDef::optional("segment_ids", I32).tied(""),
        InputDef::new("word_embedding", Types::BYTES),
        InputDef::new("position_embedding", Types::BYTES),
        InputDef::optional("segment_embedding", Types::BYTES),
        InputDef::new("gamma", Types::BYTES),
        InputDef::new("beta", Types::BYTES),
        InputDef::optional("mask", I32).tied(""),
        InputDef::new("word_embedding_scale", F32).tied(""),
        InputDef::new("position_embedding_scale", F32).tied(""),
        InputDef::optional("segment_embedding_scale", F32).tied(""),
        InputDef::new("gamma_scale", F32).tied(""),
        InputDef::new("beta_scale", F32).tied(""),
        InputDef::new("word_embedding_zero_point", Types::BYTES),
        InputDef::new("position_embedding_zero_point", Types::BYTES),
        InputDef::optional("segment_embedding_zero_point", Types::BYTES),
        InputDef::new("gamma_zero_point", Types::BYTES),
        InputDef::new("beta_zero_point", Types::BYTES),
    ],
    outputs: &[OutputDef::new("output"), OutputDef::optional("mask_index")],
    attrs: &[AttrDef::new("epsilon", AttrKind::Float)],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(4.0),
    infer,
    reference,
    cases: include_str!("qembed_layer_normalization.cases"),
};

/// The first of the quantised inputs, of their scales, and of their zero points.
const TABLES: usize = 2;
const SCALES: usize = 8;
const ZEROS: usize = 13;

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let ids = ctx.dims(0)?;
    let hidden = ctx.dims(TABLES)?.and_then(|dims| dims.last().cloned()).unwrap_or(Dim::Unknown);
    let batch = ids.and_then(|ids| ids.first().cloned()).unwrap_or(Dim::Unknown);
    let full = ids.map(|ids| ids.iter().cloned().chain([hidden]).collect());
    Ok(vec![Inferred::maybe(DType::F32, full), Inferred::tensor(DType::I32, [batch])])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let given = |at: usize| ctx.opt_val(at).cloned();
    let mut inputs = vec![given(0), given(1)];
    for at in 0..SCALES - TABLES - 1 {
        inputs.push(match given(TABLES + at) {
            Some(_) => {
                let real = dequantized(ctx, [TABLES + at, SCALES + at, ZEROS + at])?;
                Some(real.to_floats(DType::F32)?.into())
            }
            None => None,
        });
    }
    inputs.extend([given(SCALES - 1), None]);
    let op = OpName::new("com.microsoft", "EmbedLayerNormalization");
    let mut node = Node::new(op, Vec::new(), ctx.node.outputs.clone());
    node.attrs = Attrs::clone(ctx.attrs());
    let mut made = evaluate(&node, &inputs)?;
    made.truncate(2);
    Ok(made)
}
