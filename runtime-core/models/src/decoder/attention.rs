//! Attention with a cache.

use remuda_ir::{Attr, OpName, StateType, ValueId};
use remuda_tensor::Tensor;

use super::{Decoder, QkNorm, Step, latent, norm};
use crate::ModelError;
use crate::net::{Net, float, int};
use crate::rope::{Pairing, Rope};

/// The cosine and sine of each token's angles, as `[1, tokens, pairs]`.
pub(crate) fn angles(
    net: &mut Net<'_>,
    rope: &Rope,
    (divisors, positions): (&str, ValueId),
) -> Result<Option<[ValueId; 2]>, ModelError> {
    if rope.size == 0 {
        return Ok(None);
    }
    let divisors = if net.has(divisors) {
        let tensor = net.weight(divisors)?;
        Some(tensor.to_f32_vec().map_err(remuda_ir::OpError::from)?)
    } else {
        None
    };
    let frequencies = rope.frequencies(divisors.as_deref());
    let frequencies = net.constant("frequencies", Tensor::vector(frequencies));
    let positions = net.cast(positions);
    let positions = net.reshape(positions, &[1, -1, 1]);
    let angles = net.onnx("Mul", &[positions, frequencies], &[], "angles");
    let turned = ["Cos", "Sin"].map(|op| {
        let turned = net.onnx(op, &[angles], &[], op);
        net.scale(turned, rope.attention_factor)
    });
    Ok(Some(turned))
}

/// The attention part of a layer.
pub(super) fn attention(
    net: &mut Net<'_>,
    decoder: &Decoder,
    layer: usize,
    (step, state): (&Step, StateType),
    x: ValueId,
) -> Result<ValueId, ModelError> {
    let [query, key, value] = match &decoder.latent {
        Some(of) => latent::project(net, decoder, of, step, x)?,
        None => turned(net, decoder, layer, step, x)?,
    };
    let cache = net.state(&format!("cache.{layer}"), state);
    let mut attrs = vec![
        ("num_heads", Attr::Int(int(decoder.heads))),
        ("scale", float(decoder.attention_scale)),
    ];
    attrs.extend(decoder.attention_softcap.map(|cap| ("softcap", float(cap))));
    let inputs = [query, key, value, cache, step.sequences, step.positions].map(Some);
    let op = OpName::new("remuda", "CachedAttention");
    let mut attended = net.apply(op, &inputs, &attrs, "attention");
    let mut value_dim = decoder.value_dim;
    if let Some(of) = &decoder.latent {
        attended = latent::values(net, decoder, of, step, attended)?;
        value_dim = of.value;
    }
    net.linear(attended, "attn_output", [decoder.features, decoder.heads * value_dim])
}

/// Queries, keys and values; positions have turned the first two.
fn turned(
    net: &mut Net<'_>,
    decoder: &Decoder,
    layer: usize,
    step: &Step,
    x: ValueId,
) -> Result<[ValueId; 3], ModelError> {
    let [query, key, value] = project(net, decoder, x)?;
    let mut turned =
        [(query, decoder.heads, "attn_q_norm"), (key, decoder.kv_heads, "attn_k_norm")];
    let which = decoder.rope_of(layer);
    for (x, heads, name) in &mut turned {
        *x = qk_norm(net, decoder, *x, (*heads, name))?;
        if let (Some(angles), Some(rope)) =
            (step.angles.get(which).copied().flatten(), decoder.ropes().nth(which))
        {
            *x = turn(net, rope, angles, (*x, *heads, decoder.key_dim));
        }
    }
    let [(query, ..), (key, ..)] = turned;
    Ok([query, key, value])
}

/// Queries, keys and values, from one matrix: rows of heads that share a key and a value, and of those
/// two, lie together.
fn of_groups(
    net: &mut Net<'_>,
    decoder: &Decoder,
    x: ValueId,
    sizes: [usize; 3],
) -> Result<[ValueId; 3], ModelError> {
    let all = net.linear(x, "attn_qkv_groups", [sizes.iter().sum(), decoder.features])?;
    let groups = decoder.kv_heads;
    let each = sizes.map(|size| size / groups);
    let apart = net.reshape(all, &[-1, int(groups), int(each.iter().sum())]);
    let [query, key, value] = net.split(apart, each, "qkv");
    let mut together = |part: ValueId, size: usize| net.reshape(part, &[-1, int(size)]);
    Ok([together(query, sizes[0]), together(key, sizes[1]), together(value, sizes[2])])
}

/// Queries, keys and values, from three matrices or one.
fn project(net: &mut Net<'_>, decoder: &Decoder, x: ValueId) -> Result<[ValueId; 3], ModelError> {
    let sizes = [
        decoder.heads * decoder.key_dim,
        decoder.kv_heads * decoder.key_dim,
        decoder.kv_heads * decoder.value_dim,
    ];
    if net.has("attn_qkv_groups.weight") {
        return of_groups(net, decoder, x, sizes);
    }
    if net.has("attn_qkv.weight") {
        let all = net.linear(x, "attn_qkv", [sizes.iter().sum(), decoder.features])?;
        return Ok(net.split(all, sizes, "qkv"));
    }
    let mut part = |name: &str, outputs: usize| net.linear(x, name, [outputs, decoder.features]);
    Ok([part("attn_q", sizes[0])?, part("attn_k", sizes[1])?, part("attn_v", sizes[2])?])
}

fn qk_norm(
    net: &mut Net<'_>,
    decoder: &Decoder,
    x: ValueId,
    (heads, name): (usize, &str),
) -> Result<ValueId, ModelError> {
    match decoder.qk_norm {
        QkNorm::None => Ok(x),
        QkNorm::Whole => norm(net, decoder, x, name, heads * decoder.key_dim),
        QkNorm::Heads => {
            let split = net.reshape(x, &[-1, int(heads), int(decoder.key_dim)]);
            let normed = norm(net, decoder, split, name, decoder.key_dim)?;
            Ok(net.reshape(normed, &[-1, int(heads * decoder.key_dim)]))
        }
    }
}

/// Queries or keys, turned by their positions.
pub(crate) fn turn(
    net: &mut Net<'_>,
    rope: &Rope,
    [cosines, sines]: [ValueId; 2],
    (x, heads, size): (ValueId, usize, usize),
) -> ValueId {
    let features = int(heads * size);
    let batch = net.reshape(x, &[1, -1, features]);
    let attrs = [
        ("num_heads", Attr::Int(int(heads))),
        ("interleaved", Attr::Int(i64::from(rope.pairing == Pairing::Neighbours))),
        ("rotary_embedding_dim", Attr::Int(if rope.size == size { 0 } else { int(rope.size) })),
    ];
    let turned = net.onnx("RotaryEmbedding", &[batch, cosines, sines], &attrs, "turned");
    net.reshape(turned, &[-1, features])
}
