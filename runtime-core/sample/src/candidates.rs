//! The tokens that may come next.

use std::cmp::Ordering;

/// The number of a token in its vocabulary.
pub type TokenId = u32;

/// A token that may come next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// The token.
    pub token: TokenId,
    /// Its logit, as the samplers so far left it.
    pub logit: f32,
    /// Its probability, where [`Candidates::softmax`] was the last to be called.
    pub probability: f32,
}

/// The tokens that may come next. Tokens that may not are left out or have a logit of -∞.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Candidates {
    list: Vec<Candidate>,
    sorted: bool,
}

impl Candidates {
    /// All tokens, each with its logit; what is not a number may not come.
    #[must_use]
    pub fn new(logits: &[f32]) -> Self {
        Self::filtered(logits, |_| true)
    }

    /// The tokens that `allowed` lets through.
    #[must_use]
    pub fn filtered(logits: &[f32], allowed: impl Fn(TokenId) -> bool) -> Self {
        let candidates = (0..).zip(logits).filter(|&(token, _)| allowed(token));
        let list = candidates.map(|(token, &logit)| {
            let logit = if logit.is_nan() { f32::NEG_INFINITY } else { logit };
            Candidate { token, logit, probability: 0.0 }
        });
        Self { list: list.collect(), sorted: false }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// All of them, in no order unless [`sort`](Self::sort) was the last to change it.
    #[must_use]
    pub fn as_slice(&self) -> &[Candidate] {
        &self.list
    }

    /// Changes logits.
    pub(crate) fn for_each(&mut self, change: impl FnMut(&mut Candidate)) {
        self.list.iter_mut().for_each(change);
        self.sorted = false;
    }

    /// Changes logits in a way that keeps their order.
    pub(crate) fn for_each_in_order(&mut self, change: impl FnMut(&mut Candidate)) {
        self.list.iter_mut().for_each(change);
    }

    /// Moves logits: a token that may come still may, however far its logit is moved.
    pub(crate) fn shift(&mut self, mut shifted: impl FnMut(&Candidate) -> f32) {
        self.for_each(|candidate| {
            if candidate.logit.is_finite() {
                candidate.logit = shifted(candidate).clamp(f32::MIN, f32::MAX);
            }
        });
    }

    pub(crate) fn logits(&self) -> impl Iterator<Item = f32> {
        self.list.iter().map(|candidate| candidate.logit)
    }

    /// The likeliest first; of two that are equally likely, the one with the smaller number.
    pub fn sort(&mut self) {
        if !self.sorted {
            self.list.sort_unstable_by(likelier);
            self.sorted = true;
        }
    }

    /// Keeps the `count` likeliest, sorted.
    pub(crate) fn keep_likeliest(&mut self, count: usize) {
        if !self.sorted && count < self.list.len() && count > 0 {
            self.list.select_nth_unstable_by(count - 1, likelier);
        }
        self.list.truncate(count);
        self.sort();
    }

    /// Keeps the first `count`.
    pub(crate) fn truncate(&mut self, count: usize) {
        self.list.truncate(count);
    }

    /// Drops the first `count`.
    pub(crate) fn drop_first(&mut self, count: usize) {
        self.list.drain(..count.min(self.list.len()));
    }

    pub(crate) fn retain(&mut self, keep: impl Fn(&Candidate) -> bool) {
        self.list.retain(keep);
    }

    pub(crate) fn replace(&mut self, list: Vec<Candidate>) {
        self.list = list;
        self.sorted = false;
    }

    pub(crate) fn largest_logit(&self) -> f32 {
        self.logits().fold(f32::NEG_INFINITY, f32::max)
    }

    /// Probabilities from logits. They are 0 where every logit is -∞.
    pub fn softmax(&mut self) {
        let largest = self.largest_logit();
        if largest == f32::NEG_INFINITY {
            self.list.iter_mut().for_each(|candidate| candidate.probability = 0.0);
            return;
        }
        let mut sum = 0.0;
        for candidate in &mut self.list {
            candidate.probability = weight(candidate.logit, largest);
            sum += f64::from(candidate.probability);
        }
        for candidate in &mut self.list {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "probabilities are single precision"
            )]
            let probability = (f64::from(candidate.probability) / sum) as f32;
            candidate.probability = probability;
        }
    }

    /// Sorted, with probabilities.
    pub(crate) fn ranked(&mut self) -> &[Candidate] {
        self.sort();
        self.softmax();
        &self.list
    }

    /// The candidate that a number of at least 0 and below 1 falls on.
    pub(crate) fn pick(&self, unit: f64) -> Option<Candidate> {
        let total: f64 = self.list.iter().map(|candidate| f64::from(candidate.probability)).sum();
        let possible = |candidate: &&Candidate| candidate.probability > 0.0;
        let mut sum = 0.0;
        let mut last = None;
        for candidate in self.list.iter().filter(possible) {
            sum += f64::from(candidate.probability);
            last = Some(*candidate);
            if sum > unit * total {
                break;
            }
        }
        last
    }

    /// The likeliest; of equal ones the one with the smallest number.
    pub(crate) fn likeliest(&self) -> Option<Candidate> {
        let possible = self.list.iter().filter(|candidate| candidate.logit > f32::NEG_INFINITY);
        possible.min_by(|a, b| likelier(a, b)).copied()
    }
}

/// How likely a logit is beside the largest, which may be +∞.
fn weight(logit: f32, largest: f32) -> f32 {
    if largest == f32::INFINITY {
        return if logit == f32::INFINITY { 1.0 } else { 0.0 };
    }
    (logit - largest).exp()
}

fn likelier(a: &Candidate, b: &Candidate) -> Ordering {
    b.logit.total_cmp(&a.logit).then(a.token.cmp(&b.token))
}
