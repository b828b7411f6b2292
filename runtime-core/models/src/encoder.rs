//! Encoders: every token looks at every other one of its text, and the text becomes one vector.
//!
//! The graph takes one text: `tokens` and `positions`, one each per token, and gives `features`, one
//! row per token, which whoever asks pools as the model wants it.

use remuda_gguf::Parts;
use remuda_ir::{Attr, Graph, ValueId};
use remuda_tensor::Tensor;

use crate::decoder::{angles, turn};
use crate::file::Weight;
use crate::keys::Keys;
use crate::net::{Net, float, int};
use crate::relative;
use crate::rope::Rope;
use crate::{ModelError, ModelFile};

/// How the rows of a text become one vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pooling {
    /// Their mean.
    Mean,
    /// The first row.
    First,
    /// The last row.
    Last,
}

/// An encoder as a graph, and what is known of it.
#[derive(Clone, Debug)]
pub struct EncoderModel {
    /// The verified and typed graph.
    pub graph: Graph,
    /// What the model is.
    pub info: EncoderInfo,
}

/// What an encoder is, in names and numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct EncoderInfo {
    /// The architecture's name.
    pub architecture: String,
    /// The model's own name, if it says one.
    pub name: Option<String>,
    /// Layers.
    pub layers: usize,
    /// Elements of a vector.
    pub features: usize,
    /// Entries of the vocabulary.
    pub vocabulary: usize,
    /// Tokens that a text may have.
    pub context: usize,
    /// How rows become one vector.
    pub pooling: Pooling,
    /// Numbers in all weights.
    pub parameters: u64,
    /// Bytes of all weights.
    pub weight_bytes: u64,
}

/// What differs between encoders.
struct Family {
    name: &'static str,
    /// Whether positions turn queries and keys, and not a table is added.
    turned: bool,
    /// Whether the feed-forward part is a gated product.
    gated: bool,
}

static FAMILIES: &[Family] = &[
    Family { name: "bert", turned: false, gated: false },
    Family { name: "nomic-bert", turned: true, gated: true },
];

/// The name of every encoder that can be built.
pub fn encoder_names() -> impl Iterator<Item = &'static str> {
    FAMILIES.iter().map(|family| family.name).chain([relative::WHOLE, relative::ENCODER])
}

struct Encoder {
    family: &'static Family,
    layers: usize,
    features: usize,
    inner: usize,
    heads: usize,
    context: usize,
    epsilon: f64,
    rope: Rope,
    pooling: Pooling,
}

impl Encoder {
    fn read(keys: &Keys<'_>, family: &'static Family) -> Result<Self, ModelError> {
        let (features, heads) =
            (keys.size("embedding_length")?, keys.size("attention.head_count")?);
        let context = keys.size("context_length")?;
        if !features.is_multiple_of(heads) {
            let expected = format!("a divisor of {features}");
            return Err(keys.bad("attention.head_count", expected, heads.to_string()));
        }
        if keys.optional_size("expert_count")?.is_some() {
            return Err(keys.bad("expert_count", "0".to_owned(), "experts".to_owned()));
        }
        let mut rope = Rope::read(keys, features / heads, context)?;
        if !family.turned {
            rope.size = 0;
        }
        Ok(Self {
            family,
            layers: keys.size("block_count")?,
            features,
            inner: keys.size("feed_forward_length")?,
            heads,
            context,
            epsilon: keys.float_or("attention.layer_norm_epsilon", 1e-12)?,
            rope,
            pooling: Pooling::read(keys)?,
        })
    }
}

impl Pooling {
    pub(crate) fn read(keys: &Keys<'_>) -> Result<Self, ModelError> {
        match keys.optional_size("pooling_type")? {
            None | Some(1) => Ok(Self::Mean),
            Some(2) => Ok(Self::First),
            Some(3) => Ok(Self::Last),
            Some(other) => {
                let expected = "1 (mean), 2 (first) or 3 (last)".to_owned();
                Err(keys.bad("pooling_type", expected, other.to_string()))
            }
        }
    }
}

impl EncoderModel {
    /// Whether a file holds an encoder.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn is_one(file: &ModelFile) -> Result<bool, ModelError> {
        let parts = file.parse()?;
        let name = parts.metadata().required::<&str>("general.architecture")?;
        Ok(encoder_names().any(|known| known == name))
    }

    /// Builds the graph of a model.
    ///
    /// # Errors
    /// When the architecture is not known, or metadata or weights are missing or do not fit.
    pub fn build(file: &ModelFile) -> Result<Self, ModelError> {
        let parts = file.parse()?;
        let name = parts.metadata().required::<&str>("general.architecture")?;
        let keys = Keys::new(parts.metadata(), name);
        if [relative::WHOLE, relative::ENCODER].contains(&name) {
            return relative::build_encoder(&keys, (file, &parts));
        }
        let family = FAMILIES.iter().find(|family| family.name == name);
        let family = family.ok_or_else(|| ModelError::unknown(name, encoder_names()))?;
        build(&Encoder::read(&keys, family)?, &keys, (file, &parts))
    }
}

fn build(
    encoder: &Encoder,
    keys: &Keys<'_>,
    (file, parts): (&ModelFile, &Parts<'_>),
) -> Result<EncoderModel, ModelError> {
    let mut net = Net::new(keys.architecture(), file, parts);
    let tokens = net.indices("tokens", "tokens");
    let positions = net.indices("positions", "tokens");
    let vocabulary = net.weight("token_embd.weight")?.dims().first().copied().unwrap_or(0);
    let mut x = embed(&mut net, encoder, vocabulary, (tokens, positions))?;
    let angles = angles(&mut net, &encoder.rope, ("rope_freqs.weight", positions))?;
    for layer in 0..encoder.layers {
        net.enter(format!("blk.{layer}"));
        let attended = attention(&mut net, encoder, angles, x)?;
        let sum = net.onnx("Add", &[x, attended], &[], "attended");
        x = norm(&mut net, encoder, sum, "attn_output_norm")?;
        let fed = feed_forward(&mut net, encoder, x)?;
        let sum = net.onnx("Add", &[x, fed], &[], "fed");
        x = norm(&mut net, encoder, sum, "layer_output_norm")?;
    }
    let outline = Outline {
        layers: encoder.layers,
        features: encoder.features,
        vocabulary,
        context: encoder.context,
        pooling: encoder.pooling,
    };
    finish(net, x, outline, keys, file.weights(parts))
}

/// What a family tells of its model.
pub(crate) struct Outline {
    pub(crate) layers: usize,
    pub(crate) features: usize,
    pub(crate) vocabulary: usize,
    pub(crate) context: usize,
    pub(crate) pooling: Pooling,
}

/// The graph that gives these rows, and what is known of the model.
pub(crate) fn finish(
    mut net: Net<'_>,
    x: ValueId,
    outline: Outline,
    keys: &Keys<'_>,
    weights: Vec<Weight<'_>>,
) -> Result<EncoderModel, ModelError> {
    let Outline { layers, features, vocabulary, context, pooling } = outline;
    let info = EncoderInfo {
        architecture: keys.architecture().to_owned(),
        name: keys.name()?.map(str::to_owned),
        layers,
        features,
        vocabulary,
        context,
        pooling,
        parameters: weights.iter().map(|weight| weight.elements).sum(),
        weight_bytes: weights.iter().map(|weight| weight.bytes).sum(),
    };
    net.enter(String::new());
    Ok(EncoderModel { graph: net.finish(x, "features")?, info })
}

fn embed(
    net: &mut Net<'_>,
    encoder: &Encoder,
    vocabulary: usize,
    (tokens, positions): (ValueId, ValueId),
) -> Result<ValueId, ModelError> {
    let features = encoder.features;
    let mut x = net.embed(tokens, "token_embd.weight", [vocabulary, features])?;
    if net.has("token_types.weight") {
        // A single text is all of the first kind.
        let kinds = net.weight("token_types.weight")?.to_f32_vec();
        let mut kinds = kinds.map_err(remuda_ir::OpError::from)?;
        kinds.resize(features, 0.0);
        let kind = net.constant("kind", Tensor::vector(kinds));
        x = net.onnx("Add", &[x, kind], &[], "kinds");
    }
    if !encoder.family.turned {
        let table = net.embed(positions, "position_embd.weight", [encoder.context, features])?;
        x = net.onnx("Add", &[x, table], &[], "placed");
    }
    norm(net, encoder, x, "token_embd_norm")
}

fn attention(
    net: &mut Net<'_>,
    encoder: &Encoder,
    angles: Option<[ValueId; 2]>,
    x: ValueId,
) -> Result<ValueId, ModelError> {
    let (features, heads) = (encoder.features, encoder.heads);
    let square = [features, features];
    let parts = if net.has("attn_qkv.weight") {
        let all = net.linear(x, "attn_qkv", [3 * features, features])?;
        net.split(all, [features; 3], "qkv")
    } else {
        [
            net.linear(x, "attn_q", square)?,
            net.linear(x, "attn_k", square)?,
            net.linear(x, "attn_v", square)?,
        ]
    };
    let mut batch = Vec::with_capacity(3);
    for (at, part) in parts.into_iter().enumerate() {
        let turned = match angles.filter(|_| at < 2) {
            Some(angles) => turn(net, &encoder.rope, angles, (part, heads, features / heads)),
            None => part,
        };
        batch.push(net.reshape(turned, &[1, -1, int(features)]));
    }
    let scale = 1.0 / ((features / heads) as f64).sqrt();
    let attrs = [
        ("q_num_heads", Attr::Int(int(heads))),
        ("kv_num_heads", Attr::Int(int(heads))),
        ("scale", float(scale)),
    ];
    let attended = net.onnx("Attention", &batch, &attrs, "attention");
    let attended = net.reshape(attended, &[-1, int(features)]);
    net.linear(attended, "attn_output", square)
}

fn feed_forward(net: &mut Net<'_>, encoder: &Encoder, x: ValueId) -> Result<ValueId, ModelError> {
    let (features, inner) = (encoder.features, encoder.inner);
    let value = net.linear(x, "ffn_up", [inner, features])?;
    let hidden = if encoder.family.gated {
        let gate = net.linear(x, "ffn_gate", [inner, features])?;
        let gate = net.onnx("Swish", &[gate], &[], "activated");
        net.onnx("Mul", &[gate, value], &[], "gated")
    } else {
        net.onnx("Gelu", &[value], &[], "activated")
    };
    net.linear(hidden, "ffn_down", [features, inner])
}

fn norm(
    net: &mut Net<'_>,
    encoder: &Encoder,
    x: ValueId,
    name: &str,
) -> Result<ValueId, ModelError> {
    let attrs = [("epsilon", float(encoder.epsilon)), ("axis", Attr::Int(-1))];
    let scale = net.vector(&format!("{name}.weight"), encoder.features)?;
    let bias = net.vector(&format!("{name}.bias"), encoder.features)?;
    Ok(net.onnx("LayerNormalization", &[x, scale, bias], &attrs, name))
}
