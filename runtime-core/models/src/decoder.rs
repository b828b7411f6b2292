//! The decoder that all architectures are forms of: norms, attention with a cache, a feed-forward
//! part, residuals around both.

mod attention;
mod experts;
mod feed_forward;
mod latent;
mod spec;

use remuda_gguf::Parts;
use remuda_ir::{Attr, StateType, ValueId};
use remuda_tensor::{DType, Tensor};

use crate::adapter::Opened;
use crate::file::Weight;
use crate::keys::Keys;
use crate::net::{Net, float};
use crate::{LanguageModel, ModelError, ModelFile, ModelInfo, Options};

pub(crate) use attention::{angles, turn};
pub(crate) use spec::{Activation, Decoder, Experts, Gate, Latent, Norm, Order, QkNorm};

/// The inputs that every layer uses.
struct Step {
    positions: ValueId,
    sequences: ValueId,
    /// Cosines and sines of each kind of layer, if positions turn anything.
    angles: Vec<Option<[ValueId; 2]>>,
}

/// Builds the graph.
pub(crate) fn build(
    decoder: &Decoder,
    keys: &Keys<'_>,
    (file, parts): (&ModelFile, &Parts<'_>),
    options: &Options,
) -> Result<LanguageModel, ModelError> {
    let adapters = Opened::all(&options.adapters, keys.architecture())?;
    let mut net = Net::new(keys.architecture(), file, parts).with_adapters(&adapters);
    let tokens = net.indices("tokens", "tokens");
    let positions = net.indices("positions", "tokens");
    let sequences = net.indices("sequences", "tokens");
    let outputs = net.indices("outputs", "outputs");
    let vocabulary = vocabulary(&net, keys, decoder)?;
    let mut x = net.embed(tokens, "token_embd.weight", [vocabulary, decoder.features])?;
    x = net.scale(x, decoder.embedding_scale);
    if decoder.learned_positions {
        let table = net.weight("position_embd.weight")?.dims().first().copied().unwrap_or(0);
        let learned = net.embed(positions, "position_embd.weight", [table, decoder.features])?;
        x = net.onnx("Add", &[x, learned], &[], "placed");
    }
    let angles = decoder
        .ropes()
        .map(|rope| angles(&mut net, rope, (decoder.divisors, positions)))
        .collect::<Result<_, _>>()?;
    let step = Step { positions, sequences, angles };
    let mut states = Vec::with_capacity(decoder.layers);
    for layer in 0..decoder.layers {
        net.enter(format!("blk.{layer}"));
        let ty = StateType {
            dtype: options.cache,
            heads: decoder.kv_heads,
            key_dim: decoder.key_dim,
            value_dim: decoder.value_dim,
            window: decoder.window_of(layer),
        };
        states.push(ty.clone());
        x = block(&mut net, decoder, layer, &step, ty, x)?;
    }
    net.enter(String::new());
    x = net.onnx("Gather", &[x, outputs], &[], "wanted");
    x = norm(&mut net, decoder, x, "output_norm", decoder.features)?;
    // Models that say nothing of an output matrix use the one of the embeddings.
    let head = if net.has("output.weight") { "output" } else { "token_embd" };
    let mut logits = net.linear(x, head, [vocabulary, decoder.features])?;
    logits = net.scale(logits, decoder.logit_scale);
    if let Some(cap) = decoder.final_softcap {
        logits = net.softcap(logits, cap);
    }
    let graph = net.finish(logits, "logits")?;
    let sizes = Sizes {
        layers: decoder.layers,
        features: decoder.features,
        context: decoder.context,
        vocabulary,
        states,
        start: None,
    };
    Ok(LanguageModel { graph, info: info(keys, file.weights(parts), sizes)? })
}

/// The entries of the vocabulary: rows of the embeddings, which may be more than the tokenizer has.
fn vocabulary(net: &Net<'_>, keys: &Keys<'_>, decoder: &Decoder) -> Result<usize, ModelError> {
    let table = net.weight("token_embd.weight")?;
    let &[rows, features] = table.dims() else {
        return Err(ModelError::Shape {
            name: "token_embd.weight".to_owned(),
            expected: vec![keys.tokens()?.unwrap_or(0), decoder.features],
            got: table.dims().to_vec(),
        });
    };
    if features != decoder.features || keys.tokens()?.is_some_and(|tokens| tokens > rows) {
        return Err(ModelError::Shape {
            name: "token_embd.weight".to_owned(),
            expected: vec![keys.tokens()?.unwrap_or(rows), decoder.features],
            got: table.dims().to_vec(),
        });
    }
    Ok(rows)
}

/// What a builder tells of its model.
pub(crate) struct Sizes {
    pub(crate) layers: usize,
    pub(crate) features: usize,
    pub(crate) context: usize,
    pub(crate) vocabulary: usize,
    pub(crate) states: Vec<StateType>,
    pub(crate) start: Option<u32>,
}

/// What is known of a model.
pub(crate) fn info(
    keys: &Keys<'_>,
    weights: Vec<Weight<'_>>,
    sizes: Sizes,
) -> Result<ModelInfo, ModelError> {
    let mut by_dtype: Vec<(DType, u64)> = Vec::new();
    let (mut parameters, mut weight_bytes) = (0u64, 0u64);
    for weight in weights {
        parameters += weight.elements;
        weight_bytes += weight.bytes;
        match by_dtype.iter_mut().find(|(dtype, _)| *dtype == weight.dtype) {
            Some((_, sum)) => *sum += weight.bytes,
            None => by_dtype.push((weight.dtype, weight.bytes)),
        }
    }
    let most = by_dtype.iter().max_by_key(|(_, bytes)| *bytes);
    Ok(ModelInfo {
        architecture: keys.architecture().to_owned(),
        name: keys.name()?.map(str::to_owned),
        layers: sizes.layers,
        features: sizes.features,
        vocabulary: sizes.vocabulary,
        context: sizes.context,
        parameters,
        weight_bytes,
        dtype: most.map_or(DType::F32, |&(dtype, _)| dtype),
        states: sizes.states,
        start: sizes.start,
    })
}

/// One layer.
fn block(
    net: &mut Net<'_>,
    decoder: &Decoder,
    layer: usize,
    step: &Step,
    state: StateType,
    x: ValueId,
) -> Result<ValueId, ModelError> {
    let normed =
        if decoder.pre_norm { norm(net, decoder, x, "attn_norm", decoder.features)? } else { x };
    // Where two norms stand side by side, the second one is attention's.
    let shared = decoder.order == Order::BesideBehindOneNorm;
    let seen = if shared && net.has("attn_norm_2.weight") {
        norm(net, decoder, x, "attn_norm_2", decoder.features)?
    } else {
        normed
    };
    let mut attended = attention::attention(net, decoder, layer, (step, state), seen)?;
    if decoder.post_norm {
        attended = norm(net, decoder, attended, "post_attention_norm", decoder.features)?;
    }
    attended = net.scale(attended, decoder.residual_scale);
    if decoder.order != Order::Serial {
        let second =
            if shared { normed } else { norm(net, decoder, x, "ffn_norm", decoder.features)? };
        let fed = feed_forward::feed_forward(net, decoder, layer, second)?;
        let sum = net.onnx("Add", &[attended, fed], &[], "parts");
        return Ok(net.onnx("Add", &[x, sum], &[], "layer"));
    }
    let x = net.onnx("Add", &[x, attended], &[], "attended");
    let normed =
        if decoder.pre_norm { norm(net, decoder, x, "ffn_norm", decoder.features)? } else { x };
    let mut fed = feed_forward::feed_forward(net, decoder, layer, normed)?;
    if decoder.post_norm {
        fed = norm(net, decoder, fed, "post_ffw_norm", decoder.features)?;
    }
    fed = net.scale(fed, decoder.residual_scale);
    Ok(net.onnx("Add", &[x, fed], &[], "layer"))
}

/// The norm of this name over the last axis.
fn norm(
    net: &mut Net<'_>,
    decoder: &Decoder,
    x: ValueId,
    name: &str,
    size: usize,
) -> Result<ValueId, ModelError> {
    let epsilon = [("epsilon", float(decoder.epsilon)), ("axis", Attr::Int(-1))];
    let scale = net.vector(&format!("{name}.weight"), size)?;
    if decoder.norm == Norm::Rms {
        return Ok(net.onnx("RMSNormalization", &[x, scale], &epsilon, name));
    }
    let bias_name = format!("{name}.bias");
    let bias = if net.has(&bias_name) {
        net.vector(&bias_name, size)?
    } else {
        net.constant(&bias_name, Tensor::vector(vec![0.0f32; size]))
    };
    Ok(net.onnx("LayerNormalization", &[x, scale, bias], &epsilon, name))
}
