//! A sequence of the caches, and the request that uses it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::gauge::Gauge;
use crate::{Consumer, EngineError, Next, Usage};

/// A sequence of the caches.
#[derive(Default)]
pub(crate) struct Slot {
    /// The request that uses it now.
    pub(crate) work: Option<Work>,
    /// When it was used last, in steps.
    pub(crate) used: u64,
}

/// A request under way.
pub(crate) struct Work {
    pub(crate) consumer: Box<dyn Consumer>,
    /// What an encoder has to read first, if there is one.
    pub(crate) reads: Vec<u32>,
    /// Whether it has.
    pub(crate) has_read: bool,
    /// What was given and what was generated; those beyond the cached ones are still to be run.
    pub(crate) tokens: Vec<u32>,
    /// How many of them were given.
    pub(crate) given: usize,
    /// The most tokens that there may be in the end.
    pub(crate) most: usize,
    pub(crate) usage: Usage,
    pub(crate) priority: i32,
    pub(crate) cancel: Arc<AtomicBool>,
    pub(crate) gauge: Gauge,
    /// Given places whose logits the consumer has seen.
    pub(crate) told: usize,
}

impl Work {
    /// Whether an encoder has to read before anything is run.
    pub(crate) fn is_unread(&self) -> bool {
        !self.reads.is_empty() && !self.has_read
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }
}

impl Slot {
    /// How much its request matters.
    pub(crate) fn priority(&self) -> i32 {
        self.work.as_ref().map_or(i32::MIN, |work| work.priority)
    }

    /// Tokens that are still to be run if so many are cached.
    pub(crate) fn pending(&self, cached: usize) -> usize {
        let all = self.work.as_ref().map_or(0, |work| work.tokens.len());
        all.saturating_sub(cached)
    }

    /// Ends the request.
    pub(crate) fn end(&mut self, error: Option<EngineError>) {
        if let Some(mut work) = self.work.take() {
            work.consumer.ended(error.map_or(Ok(work.usage), Err));
        }
    }

    /// Hands over the logits of some tokens that were just run: those at `places` of the sequence, of
    /// which the last ones may be of tokens `ahead` of what was sure. Gives how many tokens it came to, and
    /// how many of those that were run are part of the sequence.
    pub(crate) fn take_logits(
        &mut self,
        (places, ahead): (&[usize], &[u32]),
        logits: &[f32],
        vocabulary: usize,
    ) -> (usize, usize) {
        let Some(work) = &mut self.work else { return (0, 0) };
        let before = work.usage.generated;
        let sure = work.tokens.len();
        let mut ends = false;
        for (&place, row) in places.iter().zip(logits.chunks_exact(vocabulary)) {
            if place >= sure && work.tokens.get(place) != ahead.get(place - sure) {
                break;
            }
            ends = work.take_row(place, row, vocabulary);
            if ends {
                break;
            }
        }
        let gave = work.usage.generated - before;
        // One token of a step is sure without any that was run ahead.
        let right = gave.saturating_sub(1).min(ahead.len());
        work.usage.ahead += right;
        // What was run ahead in vain is no part of it.
        let kept = work.tokens.len().max(sure + 1) - 1;
        if ends {
            self.end(None);
        }
        (gave, kept)
    }
}

impl Work {
    /// Hands over the logits behind the token at a place; whether the request ends.
    fn take_row(&mut self, place: usize, row: &[f32], vocabulary: usize) -> bool {
        if (self.told..self.given).contains(&place) && self.consumer.wants_prompt() {
            self.consumer.prompt(place, row);
            self.told = place + 1;
        }
        if place + 1 < self.given {
            return false;
        }
        if self.tokens.len() >= self.most {
            return true;
        }
        match self.consumer.next(row) {
            Next::Token(token) if (token as usize) < vocabulary => {
                self.tokens.push(token);
                self.usage.generated += 1;
                self.tokens.len() >= self.most
            }
            Next::Token(_) | Next::End => true,
        }
    }
}
