//! Penalties on tokens that came before: once (presence), each time (frequency), by a factor (repeat).

use remuda_base::Map;

use crate::candidates::{Candidates, TokenId};
use crate::history::History;

/// Penalties, and the tokens that they look at.
#[derive(Debug, Clone)]
pub struct Penalties {
    repeat: f32,
    frequency: f32,
    presence: f32,
    history: History,
    counts: Map<TokenId, u32>,
}

impl Penalties {
    /// Over the last `last` tokens, or over all.
    #[must_use]
    pub fn new(last: Option<usize>, repeat: f32, frequency: f32, presence: f32) -> Self {
        Self { repeat, frequency, presence, history: History::new(last), counts: Map::new() }
    }

    /// Takes a token of the sequence.
    pub fn accept(&mut self, token: TokenId) {
        *self.counts.entry(token).or_default() += 1;
        let Some(old) = self.history.push(token) else { return };
        if let Some(count) = self.counts.get_mut(&old) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&old);
            }
        }
    }

    /// Forgets the sequence.
    pub fn reset(&mut self) {
        self.history.clear();
        self.counts.clear();
    }

    /// Changes the logits of the tokens that came before.
    #[expect(clippy::cast_precision_loss, reason = "a sequence has fewer than 2^24 tokens")]
    pub fn apply(&self, candidates: &mut Candidates) {
        let nothing = self.repeat == 1.0 && self.frequency == 0.0 && self.presence == 0.0;
        if nothing || self.counts.is_empty() {
            return;
        }
        candidates.shift(|candidate| {
            let Some(&count) = self.counts.get(&candidate.token) else { return candidate.logit };
            // A factor makes a token less likely whichever sign its logit has.
            let factor = if candidate.logit <= 0.0 { self.repeat } else { 1.0 / self.repeat };
            candidate.logit * factor - (count as f32 * self.frequency + self.presence)
        });
    }
}
