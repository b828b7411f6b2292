//! Attention with a latent row (DeepSeek): keys and values of all heads come out of one small row per
//! token, beside which a short key, turned by its position, is shared by all heads.
//!
//! Files have it in two forms. In the older one every head's keys and values are made from the row and
//! cached. In the newer one queries are carried over to the row instead, so that the row is all that
//! is cached, as the key and value of a single head, and what attention gives is carried back.

use remuda_ir::{Attr, ValueId};
use remuda_tensor::Tensor;

use super::attention::turn;
use super::{Decoder, Latent, Step, norm};
use crate::ModelError;
use crate::net::{Net, int};

/// Queries, keys and values as the cache takes them.
pub(super) fn project(
    net: &mut Net<'_>,
    decoder: &Decoder,
    latent: &Latent,
    step: &Step,
    x: ValueId,
) -> Result<[ValueId; 3], ModelError> {
    let (heads, turned) = (decoder.heads, decoder.rope.size);
    let turn_rows = |net: &mut Net<'_>, x: ValueId, heads: usize| match step.angles.first() {
        Some(&Some(angles)) => turn(net, &decoder.rope, angles, (x, heads, turned)),
        _ => x,
    };
    let queries = queries(net, decoder, latent, x)?;
    let queries = net.reshape(queries, &[-1, int(heads), int(latent.plain + turned)]);
    let [query, query_turned] = net.split(queries, [latent.plain, turned], "query");
    let query_turned = turn_rows(net, query_turned, heads);
    let query_turned = net.reshape(query_turned, &[-1, int(heads), int(turned)]);

    let both = net.linear(x, "attn_kv_a_mqa", [latent.rank + turned, decoder.features])?;
    let [row, key_turned] = net.split(both, [latent.rank, turned], "row");
    let row = norm(net, decoder, row, "attn_kv_a_norm", latent.rank)?;
    let key_turned = turn_rows(net, key_turned, 1);
    if latent.absorbed {
        let carried = per_head(net, decoder, step, (query, latent.plain, "attn_k_b", latent.rank))?;
        let query = joined(net, [carried, query_turned], heads * (latent.rank + turned));
        let key = joined(net, [row, key_turned], latent.rank + turned);
        return Ok([query, key, row]);
    }
    let made =
        net.linear(row, "attn_kv_b", [heads * (latent.plain + latent.value), latent.rank])?;
    let made = net.reshape(made, &[-1, int(heads), int(latent.plain + latent.value)]);
    let [key, value] = net.split(made, [latent.plain, latent.value], "key_value");
    let key_turned = net.reshape(key_turned, &[-1, 1, int(turned)]);
    let every_head = net.constant("heads", Tensor::vector(vec![1, int(heads), 1]));
    let key_turned = net.onnx("Expand", &[key_turned, every_head], &[], "every_head");
    let width = heads * (latent.plain + turned);
    let query = joined(net, [query, query_turned], width);
    let key = joined(net, [key, key_turned], width);
    Ok([query, key, net.reshape(value, &[-1, int(heads * latent.value)])])
}

/// What attention gives, as values of heads side by side.
pub(super) fn values(
    net: &mut Net<'_>,
    decoder: &Decoder,
    latent: &Latent,
    step: &Step,
    attended: ValueId,
) -> Result<ValueId, ModelError> {
    if !latent.absorbed {
        return Ok(attended);
    }
    let rows = net.reshape(attended, &[-1, int(decoder.heads), int(latent.rank)]);
    let values = per_head(net, decoder, step, (rows, latent.rank, "attn_v_b", latent.value))?;
    Ok(net.reshape(values, &[-1, int(decoder.heads * latent.value)]))
}

/// The queries of all heads, side by side.
fn queries(
    net: &mut Net<'_>,
    decoder: &Decoder,
    latent: &Latent,
    x: ValueId,
) -> Result<ValueId, ModelError> {
    let width = decoder.heads * (latent.plain + decoder.rope.size);
    let Some(rank) = latent.query_rank else {
        return net.linear(x, "attn_q", [width, decoder.features]);
    };
    let row = net.linear(x, "attn_q_a", [rank, decoder.features])?;
    let row = norm(net, decoder, row, "attn_q_a_norm", rank)?;
    net.linear(row, "attn_q_b", [width, rank])
}

/// Each head's row times a matrix of its own: `[tokens, heads, outputs]`.
fn per_head(
    net: &mut Net<'_>,
    decoder: &Decoder,
    step: &Step,
    (rows, inputs, name, outputs): (ValueId, usize, &str, usize),
) -> Result<ValueId, ModelError> {
    // Heads are experts of which every token gets all, in their order.
    let numbers = Tensor::vector((0..int(decoder.heads)).collect::<Vec<i64>>());
    let numbers = net.constant("numbers", numbers);
    let zero = net.constant("zero", Tensor::vector(vec![0i64]));
    let tokens = net.reshape(step.sequences, &[-1, 1]);
    let zeros = net.onnx("Mul", &[tokens, zero], &[], "zeros");
    let heads = net.onnx("Add", &[zeros, numbers], &[], "heads");
    net.expert_linear((rows, heads), name, [decoder.heads, outputs, inputs])
}

/// Two parts as the last axis, and all in front of that but the tokens as part of it.
fn joined(net: &mut Net<'_>, parts: [ValueId; 2], width: usize) -> ValueId {
    let joined = net.onnx("Concat", &parts, &[("axis", Attr::Int(-1))], "joined");
    net.reshape(joined, &[-1, int(width)])
}
