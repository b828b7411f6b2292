//! Temperature: how much likelier tokens are preferred.

use crate::candidates::Candidates;

/// Divides the logits; at 0 and below only the likeliest is left.
pub fn temperature(candidates: &mut Candidates, temperature: f32) {
    if temperature > 0.0 {
        candidates.for_each_in_order(|candidate| {
            if candidate.logit.is_finite() {
                candidate.logit = (candidate.logit / temperature).clamp(f32::MIN, f32::MAX);
            }
        });
        return;
    }
    let best = candidates.likeliest().map(|best| best.token);
    candidates.for_each(|candidate| {
        if Some(candidate.token) != best {
            candidate.logit = f32::NEG_INFINITY;
        }
    });
}

/// A temperature between `middle - range` and `middle + range`: the higher, the less certain the
/// model is. Without a range it is `middle`.
pub fn dynamic_temperature(candidates: &mut Candidates, middle: f32, range: f32, exponent: f32) {
    if range <= 0.0 {
        temperature(candidates, middle);
        return;
    }
    if candidates.len() <= 1 {
        return;
    }
    #[expect(clippy::cast_precision_loss, reason = "a vocabulary has fewer than 2^24 tokens")]
    let largest_entropy = (candidates.len() as f32).ln();
    let possible = candidates.ranked().iter().map(|candidate| candidate.probability);
    let entropy: f32 = possible.filter(|&p| p > 0.0).map(|p| -p * p.ln()).sum();
    let (low, high) = ((middle - range).max(0.0), middle + range);
    temperature(candidates, low + (high - low) * (entropy / largest_entropy).powf(exponent));
}
