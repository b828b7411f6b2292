//! `Attention` of com.microsoft: queries, keys and values come from one projection of the input, then
//! attention runs as `MultiHeadAttention` has it.

use remuda_ir::{
    Attr, AttrDef, AttrKind, Attrs, InferCtx, Inferred, InputDef, KernelCtx, Node, OpDef, OpError,
    OpName, OutputDef, Tolerance, Traits, Types, Val,
};
use remuda_tensor::{DType, Dim, Tensor};

use crate::evaluate;
use crate::support::compose::step;

pub(crate) static OP: OpDef = OpDef {
    domain: "com.microsoft",
    name: "Attention",
    since: 1,
    upgrades: &[],
    inputs: &[
        InputDef::new("input", Types::FLOATS),
        InputDef::new("weights", Types::FLOATS),
        InputDef::optional("bias", Types::FLOATS),
        InputDef::optional("mask_index", Types::one(DType::I32)).tied(""),
        InputDef::optional("past", Types::FLOATS),
        InputDef::optional("attention_bias", Types::FLOATS),
        InputDef::optional("past_sequence_length", Types::one(DType::I32)).tied(""),
    ],
    outputs: &[OutputDef::new("output"), OutputDef::optional("present")],
    attrs: &[
        AttrDef::new("do_rotary", AttrKind::Int),
        AttrDef::new("mask_filter_value", AttrKind::Float),
        AttrDef::required("num_heads", AttrKind::Int),
        AttrDef::new("past_present_share_buffer", AttrKind::Int),
        AttrDef::new("qkv_hidden_sizes", AttrKind::Ints),
        AttrDef::new("rotary_embedding_dim", AttrKind::Int),
        AttrDef::new("scale", AttrKind::Float),
        AttrDef::new("unidirectional", AttrKind::Int),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(8.0),
    infer,
    reference,
    cases: include_str!("microsoft_attention.cases"),
};

/// The widths of queries, keys and values, if the attribute gives them.
fn given_widths(attrs: &Attrs) -> Result<Option<[i64; 3]>, OpError> {
    let Some(widths) = attrs.ints("qkv_hidden_sizes")?.filter(|widths| !widths.is_empty()) else {
        return Ok(None);
    };
    match *widths {
        [q, k, v] if q == k && q > 0 && v > 0 => Ok(Some([q, k, v])),
        _ => Err(OpError::Invalid(format!(
            "`qkv_hidden_sizes` expected three sizes, the first two equal, got {widths:?}"
        ))),
    }
}

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let dtype = ctx.dtype(0)?;
    let value = match given_widths(ctx.attrs())? {
        Some([_, _, v]) => Dim::Known(v),
        None => match ctx.dims(1)? {
            Some([_, all]) => all.floor_div(&Dim::Known(3)),
            _ => Dim::Unknown,
        },
    };
    let dims = match ctx.dims(0)? {
        Some([batch, length, _]) => Some(vec![batch.clone(), length.clone(), value.clone()]),
        _ => None,
    };
    let heads = Dim::from(ctx.attrs().required_int("num_heads")?);
    let before = match ctx.has(4) {
        true => ctx.dims(4)?.and_then(|past| past.get(3).cloned()).unwrap_or(Dim::Unknown),
        false => Dim::Known(0),
    };
    let present = match ctx.dims(0)? {
        Some([batch, length, _]) => {
            let size = value.floor_div(&heads);
            Some(vec![Dim::Known(2), batch.clone(), heads, before.add(length), size])
        }
        _ => None,
    };
    Ok(vec![Inferred::maybe(dtype, dims), Inferred::maybe(dtype, present)])
}

fn refuse(ctx: &KernelCtx<'_>) -> Result<(), OpError> {
    if ctx.opt_val(6).is_some() {
        return Err(OpError::unsupported("input `past_sequence_length`"));
    }
    for name in ["do_rotary", "past_present_share_buffer"] {
        if ctx.attrs().bool_or(name, false)? {
            return Err(OpError::Unsupported(format!("attribute `{name}`")));
        }
    }
    Ok(())
}

/// Keys (0) or values (1) of a cache that holds both, `[2, batch, heads, length, size]`.
fn part_of_past(past: &Tensor, which: usize) -> Result<Val, OpError> {
    let [2, dims @ ..] = past.dims() else {
        return Err(OpError::Invalid(format!("`past` expected 2 parts, got {:?}", past.dims())));
    };
    Ok(past.slice(0, which, 1, 1)?.reshape(dims)?.into())
}

/// Keys and values behind each other, as a cache holds them.
fn joined(keys: &Tensor, values: &Tensor) -> Result<Val, OpError> {
    let mut axis = Attrs::default();
    axis.set("axis", Attr::Int(0));
    let part = |of: &Tensor| -> Result<Option<Val>, OpError> {
        Ok(Some(of.reshape([&[1], of.dims()].concat())?.into()))
    };
    step("Concat", axis, vec![part(keys)?, part(values)?])
}

/// The columns of the projection, cut into queries, keys and values.
fn cut(projected: &Val, widths: [i64; 3]) -> Result<[Val; 3], OpError> {
    let part = |from: i64, width: i64| {
        let list = |value: i64| Some(Val::from(Tensor::vector(vec![value])));
        let inputs = vec![Some(projected.clone()), list(from), list(from + width), list(-1)];
        step("Slice", Attrs::default(), inputs)
    };
    let [q, k, v] = widths;
    Ok([part(0, q)?, part(q, k)?, part(q + k, v)?])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    refuse(ctx)?;
    let inputs = ctx.inputs.iter().take(2).cloned().collect();
    let projected = step("MatMul", Attrs::default(), inputs)?;
    let all = projected.tensor()?.dims().last().copied().unwrap_or(0) as i64;
    let widths = given_widths(ctx.attrs())?.unwrap_or([all / 3; 3]);
    if widths.iter().fold(0i64, |sum, width| sum.saturating_add(*width)) != all {
        return Err(OpError::Invalid(format!(
            "{all} columns of `weights` do not split into widths {widths:?}"
        )));
    }
    let [q, k, v] = cut(&projected, widths)?;
    let optional = |at: usize| ctx.opt_val(at).cloned();
    let past = ctx.opt_tensor(4)?;
    let past = |which: usize| past.map(|past| part_of_past(past, which)).transpose();
    let (past_key, past_value) = (past(0)?, past(1)?);
    let given = [Some(q), Some(k), Some(v), optional(2), optional(3), optional(5)];
    let inputs = [&given[..], &[past_key, past_value]].concat();
    let mut node =
        Node::new(OpName::new("com.microsoft", "MultiHeadAttention"), Vec::new(), vec![None]);
    node.attrs.set("num_heads", Attr::Int(ctx.attrs().required_int("num_heads")?));
    node.attrs.set("unidirectional", Attr::Int(ctx.attrs().int_or("unidirectional", 0)?));
    for name in ["scale", "mask_filter_value"] {
        if let Some(value) = ctx.attrs().float(name)? {
            node.attrs.set(name, Attr::Float(value));
        }
    }
    let mut made = evaluate(&node, &inputs)?;
    if ctx.wants(1) {
        made[1] = joined(made[1].tensor()?, made[2].tensor()?)?;
        made.truncate(2);
    } else {
        made.truncate(1);
    }
    Ok(made)
}
