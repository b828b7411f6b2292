//! T5 and its relatives: a bias for each head and distance is added to scores, instead of telling
//! positions to the tokens; norms stand in front of each part and only scale. An encoder reads the
//! prompt, and a decoder that looks at what it made of it writes the answer.

mod decoder;
mod encoder;

use remuda_ir::{Attr, OpError, ValueId};

use crate::ModelError;
use crate::keys::Keys;
use crate::net::{Net, float};

pub(crate) use decoder::build as build_text;
pub(crate) use encoder::build as build_encoder;

/// Both halves in `general.architecture`.
pub(crate) const WHOLE: &str = "t5";
/// The encoder alone.
pub(crate) const ENCODER: &str = "t5encoder";

/// Tokens that are so far apart or farther are all as far apart: files have no key for it.
const FARTHEST: usize = 128;

/// A row for each bucket of distances, of an element for each head.
const BIAS: &str = "attn_rel_b.weight";

/// What an exact power of the distances' growth is rounded by, lest it fall into the bucket before.
const ROUNDING: f64 = 1e-6;

/// What both halves are alike in.
struct Relative {
    features: usize,
    inner: usize,
    heads: usize,
    /// Elements of a head.
    size: usize,
    buckets: usize,
    context: usize,
    epsilon: f64,
}

impl Relative {
    fn read(keys: &Keys<'_>) -> Result<Self, ModelError> {
        let (features, heads) =
            (keys.size("embedding_length")?, keys.size("attention.head_count")?);
        let buckets = keys.size("attention.relative_buckets_count")?;
        // Half of them for each direction where there are two, half of those for one distance each.
        if !buckets.is_multiple_of(4) || buckets / 2 >= FARTHEST {
            let expected = format!("a multiple of 4 below {}", 2 * FARTHEST);
            return Err(keys.bad(
                "attention.relative_buckets_count",
                expected,
                buckets.to_string(),
            ));
        }
        Ok(Self {
            features,
            inner: keys.size("feed_forward_length")?,
            heads,
            size: keys.optional_size("attention.key_length")?.unwrap_or(features / heads),
            buckets,
            context: keys.size("context_length")?,
            epsilon: keys.float_or("attention.layer_norm_rms_epsilon", 1e-6)?,
        })
    }

    /// Features of all heads together.
    fn width(&self) -> usize {
        self.heads * self.size
    }

    /// The rows of the current layer's biases, one for each bucket.
    fn bias_rows(&self, net: &Net<'_>) -> Result<Vec<f32>, ModelError> {
        let rows = net.weight(BIAS)?;
        let expected = vec![self.buckets, self.heads];
        if rows.dims() != expected {
            let (name, got) = (net.scoped(BIAS), rows.dims().to_vec());
            return Err(ModelError::Shape { name, expected, got });
        }
        Ok(rows.to_f32_vec().map_err(OpError::from)?)
    }

    fn embed(
        &self,
        net: &mut Net<'_>,
        tokens: ValueId,
        vocabulary: usize,
    ) -> Result<ValueId, ModelError> {
        net.embed(tokens, "token_embd.weight", [vocabulary, self.features])
    }

    fn norm(&self, net: &mut Net<'_>, x: ValueId, name: &str) -> Result<ValueId, ModelError> {
        let attrs = [("epsilon", float(self.epsilon)), ("axis", Attr::Int(-1))];
        let scale = net.vector(&format!("{name}.weight"), self.features)?;
        Ok(net.onnx("RMSNormalization", &[x, scale], &attrs, name))
    }

    /// Rows for all heads.
    fn project(&self, net: &mut Net<'_>, x: ValueId, name: &str) -> Result<ValueId, ModelError> {
        net.linear(x, name, [self.width(), self.features])
    }

    /// What all heads say as features, added to what was there.
    fn join(
        &self,
        net: &mut Net<'_>,
        (x, attended): (ValueId, ValueId),
        name: &str,
    ) -> Result<ValueId, ModelError> {
        let attended = net.linear(attended, name, [self.features, self.width()])?;
        Ok(net.onnx("Add", &[x, attended], &[], "attended"))
    }

    /// The feed-forward part of a layer, added to its input: gated by a GELU, or with a `ReLU` where
    /// there is no gate.
    fn feed_forward(&self, net: &mut Net<'_>, x: ValueId) -> Result<ValueId, ModelError> {
        let normed = self.norm(net, x, "ffn_norm")?;
        let value = net.linear(normed, "ffn_up", [self.inner, self.features])?;
        let hidden = if net.has("ffn_gate.weight") {
            let gate = net.linear(normed, "ffn_gate", [self.inner, self.features])?;
            let tanh = [("approximate", Attr::Text("tanh".to_owned()))];
            let gate = net.onnx("Gelu", &[gate], &tanh, "activated");
            net.onnx("Mul", &[gate, value], &[], "gated")
        } else {
            net.onnx("Relu", &[value], &[], "activated")
        };
        let fed = net.linear(hidden, "ffn_down", [self.features, self.inner])?;
        Ok(net.onnx("Add", &[x, fed], &[], "fed"))
    }
}

/// Rows of the embeddings.
fn vocabulary(net: &Net<'_>) -> Result<usize, ModelError> {
    Ok(net.weight("token_embd.weight")?.dims().first().copied().unwrap_or(0))
}

/// The bucket of a distance, of so many for its direction: one each for the near ones, and far ones share.
fn bucket(far: usize, buckets: usize) -> usize {
    let exact = buckets / 2;
    if far < exact {
        return far;
    }
    let share = (far as f64 / exact as f64).ln() / (FARTHEST as f64 / exact as f64).ln();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small number")]
    let more = (share * (buckets - exact) as f64 + ROUNDING) as usize;
    (exact + more).min(buckets - 1)
}

/// The bucket of a token so far behind the one that looks; in front of it if negative.
fn bucket_of_both(distance: i64, buckets: usize) -> usize {
    let half = buckets / 2;
    let far = usize::try_from(distance.unsigned_abs()).unwrap_or(FARTHEST);
    bucket(far, half) + if distance > 0 { half } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::{FARTHEST, bucket, bucket_of_both};

    #[test]
    fn near_tokens_have_buckets_of_their_own_and_far_ones_share() {
        let near: Vec<_> = [0, -1, -7, 1, 7].map(|distance| bucket_of_both(distance, 32)).to_vec();
        assert_eq!(near, [0, 1, 7, 17, 23]);
        let growing: Vec<_> = [-8, -11, -12, -16, -32, -64, -91, -127, -500]
            .map(|far| bucket_of_both(far, 32))
            .to_vec();
        assert_eq!(growing, [8, 8, 9, 10, 12, 14, 15, 15, 15]);
        assert_eq!(bucket_of_both(i64::MAX, 32), 31);
        assert_eq!(bucket_of_both(i64::MIN, 4), 1);
        let last = i64::try_from(FARTHEST).unwrap();
        let apart = [last, last + 1].map(|distance| bucket_of_both(distance, 32));
        assert_eq!(apart[0], apart[1], "farther ones are no farther");
    }

    #[test]
    fn in_one_direction_all_buckets_are_its_own() {
        let growing = [0, 15, 16, 18, 19, 31, 32, 64, 112, 113, 127, 128, 5000];
        let growing = growing.map(|far| bucket(far, 32));
        assert_eq!(growing, [0, 15, 16, 16, 17, 21, 21, 26, 30, 31, 31, 31, 31]);
    }
}
