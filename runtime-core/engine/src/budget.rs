//! What an engine may take, and the memory that comes to.

use remuda_exec::work_bytes;
use remuda_host::{Failure, Provider};
use remuda_ir::StateType;
use remuda_models::LanguageModel;

use crate::EngineError;

/// What an engine may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Positions that a sequence may have, and tokens of a prompt that an encoder reads.
    pub context: usize,
    /// Sequences that may generate at once.
    pub sequences: u32,
    /// Tokens of one step.
    pub step_tokens: usize,
    /// Whether tokens that are likely to follow, because they did before, are run along with the one
    /// that is sure. Answers stay as they are but for rounding.
    pub lookup: bool,
    /// Whether caches on devices are kept in host memory, too, so that a lost device costs no
    /// computation.
    pub mirror: bool,
}

impl Budget {
    /// One sequence of so many positions.
    #[must_use]
    pub fn new(context: usize) -> Self {
        Self { context, sequences: 1, step_tokens: 512, lookup: false, mirror: false }
    }

    pub(crate) fn check(&self) -> Result<(), EngineError> {
        let sizes = [self.context, self.sequences as usize, self.step_tokens];
        if sizes.contains(&0) || self.step_tokens < self.sequences as usize {
            return Err(EngineError::Budget(format!(
                "expected a context and sequences above 0 and a token per sequence in a step, got \
                 {} positions, {} sequences and {} tokens",
                self.context, self.sequences, self.step_tokens
            )));
        }
        Ok(())
    }

    /// Positions that a state must hold: all of the context, or as many as its window reaches and a
    /// step adds.
    pub(crate) fn capacity(&self, ty: &StateType) -> u64 {
        let sequences = u64::from(self.sequences);
        let whole = self.context as u64;
        let kept = ty.window.map_or(whole, |window| {
            whole.min((window as u64).saturating_add(self.step_tokens as u64))
        });
        kept.saturating_mul(sequences)
    }
}

/// The memory of a model under a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Weights, in the mapped file.
    pub weight_bytes: u64,
    /// Keys and values of all sequences.
    pub cache_bytes: u64,
    /// Weights in forms of the devices' own, which the first run makes; what it makes them of is then
    /// let go.
    pub packed_bytes: u64,
    /// What a full step takes beside: values between the nodes, what kernels need, logits.
    pub work_bytes: u64,
}

impl Memory {
    /// What a model takes on a device; with `packs`, weights are taken to have copies of their own size
    /// there.
    ///
    /// # Errors
    /// When the device cannot keep such states.
    pub fn of(
        model: &LanguageModel,
        budget: &Budget,
        (provider, device, packs): (&Provider, u32, bool),
        opset: u32,
    ) -> Result<Self, Failure> {
        let info = &model.info;
        let mut cache_bytes = 0u64;
        for ty in &info.states {
            let capacity = budget.capacity(ty);
            let bytes = provider.state_bytes(device, ty, budget.sequences, capacity)?;
            cache_bytes = cache_bytes.saturating_add(bytes);
        }
        let (tokens, outputs) = (budget.step_tokens.min(budget.context), budget.sequences as usize);
        // A prompt that is encoded is read at once.
        let encoded = if info.start.is_some() { budget.context } else { 0 };
        let sizes = [("tokens", tokens), ("outputs", outputs), ("encoded", encoded)];
        let sizes = sizes.into_iter().map(|(name, size)| (name.to_owned(), size)).collect();
        let step = work_bytes(&model.graph, &sizes, (provider, device), opset)?;
        // What samplers choose from.
        let logits = outputs.saturating_mul(info.vocabulary).saturating_mul(size_of::<f32>());
        Ok(Self {
            weight_bytes: info.weight_bytes,
            cache_bytes,
            packed_bytes: if packs { info.weight_bytes } else { 0 },
            work_bytes: step.saturating_add(logits as u64),
        })
    }

    /// All that is taken beside the mapped weights.
    #[must_use]
    pub fn taken_bytes(&self) -> u64 {
        self.cache_bytes.saturating_add(self.packed_bytes).saturating_add(self.work_bytes)
    }
}
