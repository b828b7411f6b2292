//! `RotaryEmbedding`: turns pairs of features of queries or keys by angles that grow with the position.

use remuda_ir::{
    AttrDef, AttrKind, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types,
    Val,
};
use remuda_tensor::Tensor;

use crate::support::array::Array;
use crate::support::attention::{heads_attr, merge_heads, split_heads};
use crate::support::elementwise::same_as_first;
use crate::support::rotary::{Rotary, row_at};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "RotaryEmbedding",
    since: 23,
    upgrades: &[],
    inputs: &[
        InputDef::new("x", Types::FLOATS),
        InputDef::new("cos_cache", Types::FLOATS),
        InputDef::new("sin_cache", Types::FLOATS),
        InputDef::optional("position_ids", Types::I64).tied(""),
    ],
    outputs: &[OutputDef::new("y")],
    attrs: &[
        AttrDef::new("interleaved", AttrKind::Int),
        AttrDef::new("num_heads", AttrKind::Int),
        AttrDef::new("rotary_embedding_dim", AttrKind::Int),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(1.0),
    infer: same_as_first,
    reference,
    cases: include_str!("rotary_embedding.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let tensor = ctx.tensor(0)?;
    let mut x = Array::of(tensor)?;
    let flat = x.dims.len() == 3;
    if flat {
        let heads = heads_attr(ctx.attrs(), "num_heads")?
            .ok_or_else(|| OpError::invalid("an input of 3 dimensions needs `num_heads`"))?;
        x = split_heads(x, heads, "x")?;
    }
    let [batch, _, length, features] = x.with_rank("x")?;
    let (cos, sin) = (Array::of(ctx.tensor(1)?)?, Array::of(ctx.tensor(2)?)?);
    let size = match ctx.attrs().int_or("rotary_embedding_dim", 0)? {
        0 => features,
        size => row_at(size)?,
    };
    let rotary = Rotary {
        cos: &cos,
        sin: &sin,
        size,
        interleaved: ctx.attrs().bool_or("interleaved", false)?,
    };
    match ctx.opt_tensor(3)? {
        Some(ids) if ids.dims() == [batch, length] => {
            let ids = ids.to_i64_vec()?;
            rotary.turn(&mut x, |sequence, at| row_at(ids[sequence * length + at]))?;
        }
        None if cos.dims.len() == 3 && cos.dims[..2] == [batch, length] => {
            rotary.turn(&mut x, |sequence, at| Ok(sequence * length + at))?;
        }
        ids => {
            let ids = ids.map(Tensor::dims);
            let text = format!(
                "cosines {:?} with positions {ids:?} do not fit {:?}",
                cos.dims,
                tensor.dims()
            );
            return Err(OpError::Invalid(text));
        }
    }
    if flat {
        x = merge_heads(&x)?;
    }
    Ok(vec![x.to_floats(tensor.dtype())?.into()])
}
