//! T5's encoder: a bias for each head and distance is added to scores, instead of telling positions to
//! the tokens; norms stand in front of each part and only scale.

use remuda_gguf::Parts;
use remuda_ir::{Attr, OpError, ValueId};
use remuda_tensor::Tensor;

use super::{EncoderModel, Outline, Pooling, finish};
use crate::keys::Keys;
use crate::net::{Net, float, int};
use crate::{ModelError, ModelFile};

/// Its name in `general.architecture`.
pub(super) const NAME: &str = "t5encoder";

/// Tokens that are so far apart or farther are all as far apart: files have no key for it.
const FARTHEST: usize = 128;

/// A row for each bucket of distances, of an element for each head.
const BIAS: &str = "attn_rel_b.weight";

/// What an exact power of the distances' growth is rounded by, lest it fall into the bucket before.
const ROUNDING: f64 = 1e-6;

pub(super) struct RelativeEncoder {
    layers: usize,
    features: usize,
    inner: usize,
    heads: usize,
    /// Elements of a head.
    size: usize,
    buckets: usize,
    context: usize,
    epsilon: f64,
    pooling: Pooling,
}

impl RelativeEncoder {
    pub(super) fn read(keys: &Keys<'_>) -> Result<Self, ModelError> {
        let (features, heads) =
            (keys.size("embedding_length")?, keys.size("attention.head_count")?);
        let buckets = keys.size("attention.relative_buckets_count")?;
        // Half of them for each direction, half of those for one distance each.
        if !buckets.is_multiple_of(4) || buckets / 4 >= FARTHEST {
            let expected = format!("a multiple of 4 below {}", 4 * FARTHEST);
            return Err(keys.bad(
                "attention.relative_buckets_count",
                expected,
                buckets.to_string(),
            ));
        }
        Ok(Self {
            layers: keys.size("block_count")?,
            features,
            inner: keys.size("feed_forward_length")?,
            heads,
            size: keys.optional_size("attention.key_length")?.unwrap_or(features / heads),
            buckets,
            context: keys.size("context_length")?,
            epsilon: keys.float_or("attention.layer_norm_rms_epsilon", 1e-6)?,
            pooling: Pooling::read(keys)?,
        })
    }

    fn width(&self) -> usize {
        self.heads * self.size
    }
}

/// The bucket of a token so far behind the one that looks; in front of it if negative.
fn bucket(distance: i64, buckets: usize) -> usize {
    let half = buckets / 2;
    let first = if distance > 0 { half } else { 0 };
    let (far, exact) = (usize::try_from(distance.unsigned_abs()).unwrap_or(FARTHEST), half / 2);
    if far < exact {
        return first + far;
    }
    let share = (far as f64 / exact as f64).ln() / (FARTHEST as f64 / exact as f64).ln();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small number")]
    let more = (share * (half - exact) as f64 + ROUNDING) as usize;
    first + (exact + more).min(half - 1)
}

pub(super) fn build(
    encoder: &RelativeEncoder,
    keys: &Keys<'_>,
    (file, parts): (&ModelFile, &Parts<'_>),
) -> Result<EncoderModel, ModelError> {
    let mut net = Net::new(keys.architecture(), file, parts);
    let tokens = net.indices("tokens", "tokens");
    let positions = net.indices("positions", "tokens");
    let vocabulary = net.weight("token_embd.weight")?.dims().first().copied().unwrap_or(0);
    let mut x = net.embed(tokens, "token_embd.weight", [vocabulary, encoder.features])?;
    let mut common = None;
    for layer in 0..encoder.layers {
        net.enter(format!("enc.blk.{layer}"));
        // The first layer's bias is that of all that have none of their own.
        let bias = match common.filter(|_| !net.has(BIAS)) {
            Some(bias) => bias,
            None => bias(&mut net, encoder, positions)?,
        };
        common.get_or_insert(bias);
        let attended = attention(&mut net, encoder, bias, x)?;
        x = net.onnx("Add", &[x, attended], &[], "attended");
        let fed = feed_forward(&mut net, encoder, x)?;
        x = net.onnx("Add", &[x, fed], &[], "fed");
    }
    net.enter(String::new());
    x = norm(&mut net, encoder, x, "enc.output_norm")?;
    let outline = Outline {
        layers: encoder.layers,
        features: encoder.features,
        vocabulary,
        context: encoder.context,
        pooling: encoder.pooling,
    };
    finish(net, x, outline, keys, (file, parts))
}

/// What is added to scores: `[1, heads, tokens, tokens]`. The file has a row for each bucket; the graph
/// looks up rows by distance.
fn bias(
    net: &mut Net<'_>,
    encoder: &RelativeEncoder,
    positions: ValueId,
) -> Result<ValueId, ModelError> {
    let rows = net.weight(BIAS)?;
    let expected = vec![encoder.buckets, encoder.heads];
    if rows.dims() != expected {
        let (name, got) = (BIAS.to_owned(), rows.dims().to_vec());
        return Err(ModelError::Shape { name, expected, got });
    }
    let rows = rows.to_f32_vec().map_err(OpError::from)?;
    let most = int(FARTHEST);
    let of = |distance: i64| {
        let start = bucket(distance, encoder.buckets) * encoder.heads;
        rows.iter().skip(start).take(encoder.heads).copied()
    };
    let table: Vec<f32> = (-most..=most).flat_map(of).collect();
    let table = Tensor::vector(table).reshape([2 * FARTHEST + 1, encoder.heads]);
    let table = net.constant("distances", table.map_err(OpError::from)?);
    let across = net.reshape(positions, &[1, -1]);
    let down = net.reshape(positions, &[-1, 1]);
    let distance = net.onnx("Sub", &[across, down], &[], "distance");
    let bounds = [-most, most].map(|bound| net.constant("bound", Tensor::scalar(bound)));
    let near = net.onnx("Clip", &[distance, bounds[0], bounds[1]], &[], "near");
    let place = net.onnx("Add", &[near, bounds[1]], &[], "place");
    let bias = net.onnx("Gather", &[table, place], &[], "of_distance");
    let order = [("perm", Attr::Ints(vec![2, 0, 1]))];
    let bias = net.onnx("Transpose", &[bias], &order, "of_heads");
    let axes = net.constant("axes", Tensor::vector(vec![0i64]));
    Ok(net.onnx("Unsqueeze", &[bias, axes], &[], "bias"))
}

fn attention(
    net: &mut Net<'_>,
    encoder: &RelativeEncoder,
    bias: ValueId,
    x: ValueId,
) -> Result<ValueId, ModelError> {
    let (features, width) = (encoder.features, encoder.width());
    let x = norm(net, encoder, x, "attn_norm")?;
    let mut operands = Vec::with_capacity(4);
    for name in ["attn_q", "attn_k", "attn_v"] {
        let part = net.linear(x, name, [width, features])?;
        operands.push(net.reshape(part, &[1, -1, int(width)]));
    }
    operands.push(bias);
    let attrs = [
        ("q_num_heads", Attr::Int(int(encoder.heads))),
        ("kv_num_heads", Attr::Int(int(encoder.heads))),
        ("scale", float(1.0)),
    ];
    let attended = net.onnx("Attention", &operands, &attrs, "attention");
    let attended = net.reshape(attended, &[-1, int(width)]);
    net.linear(attended, "attn_o", [features, width])
}

/// Gated by a GELU, or with a `ReLU` where there is no gate.
fn feed_forward(
    net: &mut Net<'_>,
    encoder: &RelativeEncoder,
    x: ValueId,
) -> Result<ValueId, ModelError> {
    let (features, inner) = (encoder.features, encoder.inner);
    let x = norm(net, encoder, x, "ffn_norm")?;
    let value = net.linear(x, "ffn_up", [inner, features])?;
    let hidden = if net.has("ffn_gate.weight") {
        let gate = net.linear(x, "ffn_gate", [inner, features])?;
        let tanh = [("approximate", Attr::Text("tanh".to_owned()))];
        let gate = net.onnx("Gelu", &[gate], &tanh, "activated");
        net.onnx("Mul", &[gate, value], &[], "gated")
    } else {
        net.onnx("Relu", &[value], &[], "activated")
    };
    net.linear(hidden, "ffn_down", [features, inner])
}

fn norm(
    net: &mut Net<'_>,
    encoder: &RelativeEncoder,
    x: ValueId,
    name: &str,
) -> Result<ValueId, ModelError> {
    let attrs = [("epsilon", float(encoder.epsilon)), ("axis", Attr::Int(-1))];
    let scale = net.vector(&format!("{name}.weight"), encoder.features)?;
    Ok(net.onnx("RMSNormalization", &[x, scale], &attrs, name))
}

#[cfg(test)]
mod tests {
    use super::{FARTHEST, bucket};

    #[test]
    fn near_tokens_have_buckets_of_their_own_and_far_ones_share() {
        let near: Vec<_> = [0, -1, -7, 1, 7].map(|distance| bucket(distance, 32)).to_vec();
        assert_eq!(near, [0, 1, 7, 17, 23]);
        let growing: Vec<_> =
            [-8, -11, -12, -16, -32, -64, -91, -127, -500].map(|far| bucket(far, 32)).to_vec();
        assert_eq!(growing, [8, 8, 9, 10, 12, 14, 15, 15, 15]);
        assert_eq!(bucket(i64::MAX, 32), 31);
        assert_eq!(bucket(i64::MIN, 4), 1);
        let last = i64::try_from(FARTHEST).unwrap();
        assert_eq!(bucket(last, 32), bucket(last + 1, 32), "farther ones are no farther");
    }
}
