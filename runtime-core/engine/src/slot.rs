//! A sequence of the caches, and the request that uses it.

use crate::{Consumer, EngineError, Next, Usage};

/// A sequence of the caches.
#[derive(Default)]
pub(crate) struct Slot {
    /// The tokens whose keys and values are cached.
    pub(crate) cached: Vec<u32>,
    /// The request that uses it now.
    pub(crate) work: Option<Work>,
    /// When it was used last, in steps.
    pub(crate) used: u64,
}

/// A request under way.
pub(crate) struct Work {
    pub(crate) consumer: Box<dyn Consumer>,
    /// The prompt and what was generated; those beyond the cached ones are still to be run.
    pub(crate) tokens: Vec<u32>,
    /// The most tokens that there may be in the end.
    pub(crate) most: usize,
    pub(crate) usage: Usage,
}

impl Slot {
    /// Tokens that are still to be run.
    pub(crate) fn pending(&self) -> usize {
        let all = self.work.as_ref().map_or(0, |work| work.tokens.len());
        all.saturating_sub(self.cached.len())
    }

    /// How many of the first tokens of a prompt are cached. The last token of a prompt is always run,
    /// for its logits.
    pub(crate) fn shared(&self, prompt: &[u32]) -> usize {
        let same = self.cached.iter().zip(prompt).take_while(|(a, b)| a == b).count();
        same.min(prompt.len().saturating_sub(1))
    }

    /// Ends the request.
    pub(crate) fn end(&mut self, error: Option<EngineError>) {
        if let Some(mut work) = self.work.take() {
            work.consumer.ended(error.map_or(Ok(work.usage), Err));
        }
    }

    /// Hands over the logits of some tokens that were just run: those at `places` of the sequence.
    pub(crate) fn take_logits(&mut self, places: &[usize], logits: &[f32], vocabulary: usize) {
        let Some(work) = &mut self.work else { return };
        let mut ends = false;
        for (&place, row) in places.iter().zip(logits.chunks_exact(vocabulary)) {
            if place < work.usage.prompt && work.consumer.wants_prompt() {
                work.consumer.prompt(place, row);
            }
            if place + 1 < work.usage.prompt {
                continue;
            }
            if work.tokens.len() >= work.most {
                ends = true;
                continue;
            }
            match work.consumer.next(row) {
                Next::Token(token) if (token as usize) < vocabulary => {
                    work.tokens.push(token);
                    work.usage.generated += 1;
                    ends = work.tokens.len() >= work.most;
                }
                Next::Token(_) | Next::End => ends = true,
            }
        }
        if ends {
            self.end(None);
        }
    }
}
