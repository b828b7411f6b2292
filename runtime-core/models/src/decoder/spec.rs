//! What a decoder is: sizes, and which form each of its parts has.

use crate::keys::Keys;
use crate::rope::Rope;
use crate::{ModelError, Options};

/// How rows are normalised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Norm {
    /// By their root mean square.
    Rms,
    /// By mean and variance.
    Layer,
}

/// How attention and feed-forward stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// One after the other.
    Serial,
    /// Side by side, each behind a norm of its own.
    Beside,
    /// Side by side behind one norm, unless attention has one of its own.
    BesideBehindOneNorm,
}

/// Which norm queries and keys go through before they are turned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum QkNorm {
    None,
    /// Each head by itself.
    Heads,
    /// All heads together.
    Whole,
}

/// What stands between the two products of the feed-forward part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activation {
    Silu,
    Gelu,
    GeluTanh,
}

/// What turns a router's scores into shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    /// All experts' shares add up to one.
    Softmax,
    /// Each share is between zero and one.
    Sigmoid,
}

/// A mixture of experts in the feed-forward parts.
#[derive(Clone, Debug)]
pub(crate) struct Experts {
    /// How many there are.
    pub(crate) count: usize,
    /// How many each token gets.
    pub(crate) used: usize,
    /// Features inside each.
    pub(crate) inner: usize,
    /// Features inside the part that every token gets beside those; 0 for none.
    pub(crate) shared: usize,
    pub(crate) gate: Gate,
    /// Whether the shares of those that a token gets add up to one.
    pub(crate) to_one: bool,
    /// What shares are multiplied with.
    pub(crate) scale: f64,
    /// Layers in front whose feed-forward part is none.
    pub(crate) dense_layers: usize,
    /// How many groups they come in, and of how many groups a token's experts are, if not of all.
    pub(crate) groups: Option<[usize; 2]>,
}

impl Experts {
    fn read(keys: &Keys<'_>) -> Result<Option<Self>, ModelError> {
        let Some(count) = keys.optional_size("expert_count")? else { return Ok(None) };
        let used = keys.size("expert_used_count")?;
        if used > count {
            let expected = format!("a number up to {count}");
            return Err(keys.bad("expert_used_count", expected, used.to_string()));
        }
        let inner = match keys.optional_size("expert_feed_forward_length")? {
            Some(inner) => inner,
            None => keys.size("feed_forward_length")?,
        };
        let shared = keys.optional_size("expert_shared_count")?.unwrap_or(0);
        Ok(Some(Self {
            count,
            used,
            inner,
            shared: shared.saturating_mul(inner),
            gate: Gate::Softmax,
            to_one: true,
            scale: 1.0,
            dense_layers: 0,
            groups: None,
        }))
    }
}

/// Attention whose keys and values come out of a small row that all heads share.
#[derive(Clone, Debug)]
pub(crate) struct Latent {
    /// Features of the row that queries come out of, if they do.
    pub(crate) query_rank: Option<usize>,
    /// Features of the row that keys and values come out of.
    pub(crate) rank: usize,
    /// Elements of a head's queries and keys that are not turned; those that are follow.
    pub(crate) plain: usize,
    /// Elements of a head's values.
    pub(crate) value: usize,
    /// Whether the cache holds the row itself, as one head, and heads are made of what attention
    /// gives.
    pub(crate) absorbed: bool,
}

/// A decoder. What the keys say is read by [`Decoder::read`]; the files of architectures change the
/// rest.
#[derive(Clone, Debug)]
pub(crate) struct Decoder {
    pub(crate) layers: usize,
    pub(crate) features: usize,
    /// Features inside the feed-forward part.
    pub(crate) inner: usize,
    pub(crate) context: usize,
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    pub(crate) key_dim: usize,
    pub(crate) value_dim: usize,
    pub(crate) norm: Norm,
    pub(crate) epsilon: f64,
    /// Whether each part normalises what it gets.
    pub(crate) pre_norm: bool,
    /// Whether each part normalises what it gives.
    pub(crate) post_norm: bool,
    pub(crate) qk_norm: QkNorm,
    pub(crate) order: Order,
    pub(crate) rope: Rope,
    /// How layers with a window turn positions, if otherwise than the others.
    pub(crate) local_rope: Option<Rope>,
    /// Whether a table of positions is added to the embeddings.
    pub(crate) learned_positions: bool,
    /// Attention over a shared row, if it is one.
    pub(crate) latent: Option<Latent>,
    pub(crate) activation: Activation,
    /// Whether the feed-forward part multiplies a gate with a value.
    pub(crate) gated: bool,
    /// The mixture that feed-forward parts are, if they are one.
    pub(crate) experts: Option<Experts>,
    /// Whether the architecture is known with experts, too.
    pub(crate) mixes: bool,
    pub(crate) embedding_scale: f64,
    pub(crate) residual_scale: f64,
    /// What scores are multiplied with; one over the root of a key's size by default.
    pub(crate) attention_scale: f64,
    pub(crate) logit_scale: f64,
    pub(crate) attention_softcap: Option<f64>,
    pub(crate) final_softcap: Option<f64>,
    /// The window of layers that have one.
    pub(crate) window: Option<usize>,
    /// Which layers have a window, if not all.
    pub(crate) windowed: fn(layer: usize) -> bool,
    /// The weight that frequencies are divided by, if the file has it.
    pub(crate) divisors: &'static str,
    /// Positions that a sequence will have, and that the frequencies were trained for.
    pub(crate) wanted_context: usize,
    pub(crate) original_context: usize,
}

impl Decoder {
    /// What every architecture's keys say; the form is that of most: RMS norms in front of each part,
    /// gated `SiLU`.
    pub(crate) fn read(keys: &Keys<'_>, options: &Options) -> Result<Self, ModelError> {
        let features = keys.size("embedding_length")?;
        let heads = match keys.size_of_layers("attention.head_count")? {
            Some(heads) => heads,
            None => keys.size("attention.head_count")?,
        };
        let kv_heads = keys.size_of_layers("attention.head_count_kv")?.unwrap_or(heads);
        if !heads.is_multiple_of(kv_heads) {
            let expected = format!("a divisor of {heads}");
            return Err(keys.bad("attention.head_count_kv", expected, kv_heads.to_string()));
        }
        let key_dim = keys.optional_size("attention.key_length")?;
        let value_dim = keys.optional_size("attention.value_length")?;
        if key_dim.is_none() && !features.is_multiple_of(heads) {
            let expected = format!("a divisor of {features}");
            return Err(keys.bad("attention.head_count", expected, heads.to_string()));
        }
        let key_dim = key_dim.unwrap_or(features / heads);
        let value_dim = value_dim.unwrap_or(key_dim);
        let context = keys.size("context_length")?;
        let rms = keys.float("attention.layer_norm_rms_epsilon")?;
        let layer = keys.float("attention.layer_norm_epsilon")?;
        Ok(Self {
            layers: keys.size("block_count")?,
            features,
            inner: keys.size_of_layers("feed_forward_length")?.unwrap_or(4 * features),
            context,
            heads,
            kv_heads,
            key_dim,
            value_dim,
            norm: if rms.is_none() && layer.is_some() { Norm::Layer } else { Norm::Rms },
            epsilon: rms.or(layer).unwrap_or(1e-5),
            pre_norm: true,
            post_norm: false,
            qk_norm: QkNorm::None,
            order: Order::Serial,
            rope: Rope::read(keys, key_dim, context)?,
            local_rope: None,
            learned_positions: false,
            latent: None,
            activation: Activation::Silu,
            gated: true,
            experts: Experts::read(keys)?,
            mixes: false,
            embedding_scale: 1.0,
            residual_scale: 1.0,
            attention_scale: 1.0 / (key_dim as f64).sqrt(),
            logit_scale: 1.0,
            attention_softcap: None,
            final_softcap: None,
            window: keys.optional_size("attention.sliding_window")?,
            windowed: |_| true,
            divisors: "rope_freqs.weight",
            wanted_context: options.context.unwrap_or(context),
            original_context: keys
                .optional_size("rope.scaling.original_context_length")?
                .unwrap_or(context),
        })
    }

    /// The window of a layer.
    pub(crate) fn window_of(&self, layer: usize) -> Option<usize> {
        self.window.filter(|_| (self.windowed)(layer))
    }

    /// How positions turn in layers without and with a window.
    pub(super) fn ropes(&self) -> impl Iterator<Item = &Rope> {
        std::iter::once(&self.rope).chain(&self.local_rope)
    }

    /// Which of [`Self::ropes`] a layer uses.
    pub(super) fn rope_of(&self, layer: usize) -> usize {
        usize::from(self.local_rope.is_some() && self.window_of(layer).is_some())
    }
}
