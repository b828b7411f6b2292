//! `RotaryEmbedding` of the domain `com.microsoft`: the positions stand before the cosines, and one position
//! may stand for the first of a sequence.

use remuda_ir::{
    AttrDef, AttrKind, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types,
    Val,
};

use crate::support::array::Array;
use crate::support::attention::{heads_attr, merge_heads, split_heads};
use crate::support::elementwise::same_as_first;
use crate::support::rotary::{Rotary, row_at};

pub(crate) static OP: OpDef = OpDef {
    domain: "com.microsoft",
    name: "RotaryEmbedding",
    since: 1,
    upgrades: &[],
    inputs: &[
        InputDef::new("input", Types::FLOATS),
        InputDef::new("position_ids", Types::I64).tied(""),
        InputDef::new("cos_cache", Types::FLOATS),
        InputDef::new("sin_cache", Types::FLOATS),
    ],
    outputs: &[OutputDef::new("output")],
    attrs: &[
        AttrDef::new("interleaved", AttrKind::Int),
        AttrDef::new("is_packed_batching", AttrKind::Int),
        AttrDef::new("num_heads", AttrKind::Int),
        AttrDef::new("rotary_embedding_dim", AttrKind::Int),
        AttrDef::new("scale", AttrKind::Float),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(1.0),
    infer: same_as_first,
    reference,
    cases: include_str!("microsoft_rotary_embedding.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let attrs = ctx.attrs();
    if attrs.bool_or("is_packed_batching", false)? {
        return Err(OpError::unsupported("attribute `is_packed_batching`"));
    }
    if attrs.float_or("scale", 1.0)? != 1.0 {
        return Err(OpError::unsupported("attribute `scale` other than 1"));
    }
    let tensor = ctx.tensor(0)?;
    let (cos, sin) = (Array::of(ctx.tensor(2)?)?, Array::of(ctx.tensor(3)?)?);
    let [_, half] = cos.with_rank("cos_cache")?;
    let mut x = Array::of(tensor)?;
    let flat = x.dims.len() == 3;
    if flat {
        let hidden = x.dims[2];
        let heads = match heads_attr(attrs, "num_heads")? {
            Some(heads) => heads,
            None => hidden.checked_div(2 * half).unwrap_or(0),
        };
        x = split_heads(x, heads, "input")?;
    }
    let [batch, _, length, features] = x.with_rank("input")?;
    let size = match attrs.int_or("rotary_embedding_dim", 0)? {
        0 => features,
        size => row_at(size)?,
    };
    let ids = ctx.ints(1)?;
    if ids.len() != 1 && ids.len() != batch * length {
        let text =
            format!("`position_ids` expected 1 or {} elements, got {}", batch * length, ids.len());
        return Err(OpError::Invalid(text));
    }
    let rotary =
        Rotary { cos: &cos, sin: &sin, size, interleaved: attrs.bool_or("interleaved", false)? };
    rotary.turn(&mut x, |sequence, at| match ids[..] {
        [first] => row_at(first.saturating_add(at as i64)),
        _ => row_at(ids[sequence * length + at]),
    })?;
    if flat {
        x = merge_heads(&x)?;
    }
    Ok(vec![x.to_floats(tensor.dtype())?.into()])
}
