//! Both halves as a language model. A step takes the tokens of answers as every language model does, and
//! beside them the tokens of one prompt to be encoded, which are none in all steps but those that begin
//! an answer. What a decoder layer looks at of a prompt is computed once, and kept in a cache beside the
//! one of the answer.

use remuda_gguf::Parts;
use remuda_ir::{Attr, OpError, OpName, StateType, ValueId};
use remuda_tensor::Tensor;

use super::{BIAS, FARTHEST, Relative, bucket, encoder, vocabulary};
use crate::adapter::Opened;
use crate::decoder::{Sizes, info};
use crate::keys::Keys;
use crate::net::{Net, float, int};
use crate::{LanguageModel, ModelError, ModelFile, Options};

/// What old files have beside the biases that are used.
const UNUSED: &str = "cross_attn_rel_b.weight";

/// The inputs of a step that every layer uses.
struct Step {
    positions: ValueId,
    sequences: ValueId,
    /// What the encoder made of a prompt, where its tokens stand, and whose prompt it is.
    encoded: ValueId,
    encoded_positions: ValueId,
    encoded_sequences: ValueId,
    /// The caches of one layer.
    cache: StateType,
}

/// Builds the graph.
pub(crate) fn build(
    keys: &Keys<'_>,
    (file, parts): (&ModelFile, &Parts<'_>),
    options: &Options,
) -> Result<LanguageModel, ModelError> {
    let relative = Relative::read(keys)?;
    let encoder_layers = keys.size("block_count")?;
    let layers = keys.optional_size("decoder_block_count")?.unwrap_or(encoder_layers);
    let adapters = Opened::all(&options.adapters, keys.architecture())?;
    let mut net = Net::new(keys.architecture(), file, parts).with_adapters(&adapters);
    net.pass_over(|name| name.starts_with("dec.blk.") && name.ends_with(UNUSED));
    let [tokens, positions, sequences] =
        ["tokens", "positions", "sequences"].map(|name| net.indices(name, "tokens"));
    let outputs = net.indices("outputs", "outputs");
    let [read, encoded_positions, encoded_sequences] =
        ["encoded", "encoded_positions", "encoded_sequences"]
            .map(|name| net.indices(name, "encoded"));
    let vocabulary = vocabulary(&net)?;
    let encoded = encoder::rows(
        &mut net,
        (&relative, encoder_layers),
        [read, encoded_positions],
        vocabulary,
    )?;
    let cache = StateType {
        dtype: options.cache,
        heads: relative.heads,
        key_dim: relative.size,
        value_dim: relative.size,
        window: None,
    };
    let step = Step { positions, sequences, encoded, encoded_positions, encoded_sequences, cache };
    let x = relative.embed(&mut net, tokens, vocabulary)?;
    let x = decoded(&mut net, (&relative, layers), &step, x)?;
    let x = net.onnx("Gather", &[x, outputs], &[], "wanted");
    let x = relative.norm(&mut net, x, "dec.output_norm")?;
    let logits = head(&mut net, &relative, x, vocabulary)?;
    let graph = net.finish(logits, "logits")?;
    let sizes = Sizes {
        layers,
        features: relative.features,
        context: relative.context,
        vocabulary,
        states: vec![step.cache; 2 * layers],
        start: Some(keys.start(vocabulary)?),
    };
    Ok(LanguageModel { graph, info: info(keys, file.weights(parts), sizes)? })
}

/// What becomes of the tokens of answers.
fn decoded(
    net: &mut Net<'_>,
    (relative, layers): (&Relative, usize),
    step: &Step,
    mut x: ValueId,
) -> Result<ValueId, ModelError> {
    let mut common = None;
    for layer in 0..layers {
        net.enter(format!("dec.blk.{layer}"));
        let bias = match common.filter(|_| !net.has(BIAS)) {
            Some(bias) => bias,
            None => bias(net, relative)?,
        };
        common.get_or_insert(bias);
        x = attention(net, (relative, layer), (step, bias), x)?;
        x = cross_attention(net, (relative, layer), step, x)?;
        x = relative.feed_forward(net, x)?;
    }
    net.enter(String::new());
    Ok(x)
}

/// What is added to scores, a row for each head: from the distance 0 to the farthest that is told apart.
fn bias(net: &mut Net<'_>, relative: &Relative) -> Result<ValueId, ModelError> {
    let rows = relative.bias_rows(net)?;
    let of_head = |head: usize| {
        let places =
            (0..=FARTHEST).map(move |far| bucket(far, relative.buckets) * relative.heads + head);
        places.map(|place| rows.get(place).copied().unwrap_or_default())
    };
    let table: Vec<f32> = (0..relative.heads).flat_map(of_head).collect();
    let table = Tensor::vector(table).reshape([relative.heads, FARTHEST + 1]);
    Ok(net.constant("distances", table.map_err(OpError::from)?))
}

fn attributes(relative: &Relative) -> [(&'static str, Attr); 2] {
    [("num_heads", Attr::Int(int(relative.heads))), ("scale", float(1.0))]
}

/// Attention to what the answer says already.
fn attention(
    net: &mut Net<'_>,
    (relative, layer): (&Relative, usize),
    (step, bias): (&Step, ValueId),
    x: ValueId,
) -> Result<ValueId, ModelError> {
    let normed = relative.norm(net, x, "attn_norm")?;
    let query = relative.project(net, normed, "attn_q")?;
    let key = relative.project(net, normed, "attn_k")?;
    let value = relative.project(net, normed, "attn_v")?;
    let cache = net.state(&format!("cache.{layer}"), step.cache.clone());
    let inputs = [query, key, value, cache, step.sequences, step.positions, bias].map(Some);
    let op = OpName::new("remuda", "CachedAttention");
    let attended = net.apply(op, &inputs, &attributes(relative), "attention");
    relative.join(net, (x, attended), "attn_o")
}

/// Attention to what was encoded.
fn cross_attention(
    net: &mut Net<'_>,
    (relative, layer): (&Relative, usize),
    step: &Step,
    x: ValueId,
) -> Result<ValueId, ModelError> {
    let normed = relative.norm(net, x, "cross_attn_norm")?;
    let query = relative.project(net, normed, "cross_attn_q")?;
    let key = relative.project(net, step.encoded, "cross_attn_k")?;
    let value = relative.project(net, step.encoded, "cross_attn_v")?;
    let cache = net.state(&format!("cross.{layer}"), step.cache.clone());
    let inputs =
        [query, key, value, cache, step.sequences, step.encoded_sequences, step.encoded_positions];
    let op = OpName::new("remuda", "CrossAttention");
    let attended = net.apply(op, &inputs.map(Some), &attributes(relative), "cross_attention");
    relative.join(net, (x, attended), "cross_attn_o")
}

/// Logits: from a matrix of their own, or from that of the embeddings, for which rows are made smaller.
fn head(
    net: &mut Net<'_>,
    relative: &Relative,
    x: ValueId,
    vocabulary: usize,
) -> Result<ValueId, ModelError> {
    if net.has("output.weight") {
        return net.linear(x, "output", [vocabulary, relative.features]);
    }
    let x = net.scale(x, 1.0 / (relative.features as f64).sqrt());
    net.linear(x, "token_embd", [vocabulary, relative.features])
}
