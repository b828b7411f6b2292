//! Samplers that leave unlikely, or too likely, tokens out.

use crate::candidates::{Candidate, Candidates, TokenId};
use crate::random::Random;

/// Adds to the logits of some tokens.
pub fn bias(candidates: &mut Candidates, biases: &[(TokenId, f32)]) {
    if biases.is_empty() {
        return;
    }
    candidates.for_each(|candidate| {
        for &(_, bias) in biases.iter().filter(|(token, _)| *token == candidate.token) {
            let sum = candidate.logit + bias;
            candidate.logit = if sum.is_nan() { f32::NEG_INFINITY } else { sum };
        }
    });
}

/// Keeps the `k` likeliest; 0 keeps all.
pub fn top_k(candidates: &mut Candidates, k: usize) {
    if k > 0 {
        candidates.keep_likeliest(k);
    }
}

/// Keeps the likeliest whose probabilities reach `p` together, and at least `min_keep`.
pub fn top_p(candidates: &mut Candidates, p: f32, min_keep: usize) {
    if p >= 1.0 {
        return;
    }
    let mut sum = 0.0;
    let enough = candidates.ranked().iter().enumerate().position(|(index, candidate)| {
        sum += candidate.probability;
        sum >= p && index + 1 >= min_keep
    });
    if let Some(last) = enough {
        candidates.truncate(last + 1);
    }
}

/// Keeps those at least `p` times as likely as the likeliest, and at least `min_keep`.
pub fn min_p(candidates: &mut Candidates, p: f32, min_keep: usize) {
    if p <= 0.0 || candidates.is_empty() {
        return;
    }
    let least = candidates.largest_logit() + p.ln();
    let kept = candidates.logits().filter(|&logit| logit >= least).count();
    if kept >= min_keep.max(1) {
        candidates.retain(|candidate| candidate.logit >= least);
    } else {
        candidates.keep_likeliest(min_keep.max(1));
    }
}

/// Keeps those whose surprise is nearest to the expected one, until their probabilities exceed `p`
/// together, and at least `min_keep`.
pub fn typical(candidates: &mut Candidates, p: f32, min_keep: usize) {
    if p >= 1.0 || candidates.is_empty() {
        return;
    }
    let ranked = candidates.ranked();
    let possible = ranked.iter().filter(|candidate| candidate.probability > 0.0);
    let surprise = |candidate: &Candidate| -candidate.probability.ln();
    let entropy: f32 =
        possible.clone().map(|candidate| candidate.probability * surprise(candidate)).sum();
    let mut nearest: Vec<(f32, Candidate)> =
        possible.map(|candidate| ((surprise(candidate) - entropy).abs(), *candidate)).collect();
    nearest.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut sum = 0.0;
    let enough = nearest.iter().enumerate().position(|(index, (_, candidate))| {
        sum += candidate.probability;
        sum > p && index + 1 >= min_keep
    });
    nearest.truncate(enough.map_or(nearest.len(), |last| last + 1));
    candidates.replace(nearest.into_iter().map(|(_, candidate)| candidate).collect());
}

/// Rules out those more than `n` standard deviations below the largest logit; 0 or less rules out none.
#[expect(clippy::cast_precision_loss, reason = "a vocabulary has fewer than 2^24 tokens")]
pub fn top_n_sigma(candidates: &mut Candidates, n: f32) {
    if n <= 0.0 || candidates.len() <= 1 {
        return;
    }
    let finite = || candidates.logits().filter(|logit| logit.is_finite());
    let count = finite().count();
    if count == 0 {
        return;
    }
    let mean = finite().map(f64::from).sum::<f64>() / count as f64;
    let variance =
        finite().map(|logit| (f64::from(logit) - mean).powi(2)).sum::<f64>() / count as f64;
    #[expect(clippy::cast_possible_truncation, reason = "logits are single precision")]
    let least = (f64::from(candidates.largest_logit()) - f64::from(n) * variance.sqrt()) as f32;
    candidates.for_each_in_order(|candidate| {
        if candidate.logit < least {
            candidate.logit = f32::NEG_INFINITY;
        }
    });
}

/// With `probability`, leaves out all but the least likely of those that reach `threshold`.
pub fn xtc(
    candidates: &mut Candidates,
    probability: f32,
    threshold: f32,
    min_keep: usize,
    random: &mut Random,
) {
    if probability <= 0.0 || threshold > 0.5 || candidates.len() < 2 {
        return;
    }
    if random.unit() >= f64::from(probability) {
        return;
    }
    let ranked = candidates.ranked();
    let likely = ranked.iter().take_while(|candidate| candidate.probability >= threshold).count();
    let dropped = likely.saturating_sub(1);
    if dropped > 0 && ranked.len() - dropped >= min_keep {
        candidates.drop_first(dropped);
    }
}
