//! Log-probabilities as the model gives them, before any sampler.

use crate::candidates::{Candidates, TokenId};

/// A token and the natural logarithm of its probability.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogProb {
    /// The token.
    pub token: TokenId,
    /// The logarithm; -∞ if it cannot come.
    pub logprob: f32,
}

/// The log-probability of `token`, and those of the `top` likeliest tokens.
#[must_use]
pub fn log_probabilities(logits: &[f32], token: TokenId, top: usize) -> (LogProb, Vec<LogProb>) {
    let number = |logit: f32| if logit.is_nan() { f32::NEG_INFINITY } else { logit };
    let largest = logits.iter().copied().map(number).fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|&logit| f64::from(number(logit) - largest).exp()).sum();
    let of = |token: TokenId| {
        let logit = logits.get(token as usize).copied().map_or(f32::NEG_INFINITY, number);
        #[expect(clippy::cast_possible_truncation, reason = "logarithms are single precision")]
        let logprob = (f64::from(logit - largest) - sum.ln()) as f32;
        LogProb { token, logprob: if logprob.is_nan() { f32::NEG_INFINITY } else { logprob } }
    };
    let mut likeliest = Candidates::new(logits);
    likeliest.keep_likeliest(top.min(logits.len()));
    (of(token), likeliest.as_slice().iter().map(|candidate| of(candidate.token)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_add_up_to_one() {
        let logits = [0.5, -3.0, 88.0, 90.0, f32::NAN, f32::NEG_INFINITY];
        let (chosen, top) = log_probabilities(&logits, 3, 6);
        let sum: f32 = top.iter().map(|entry| entry.logprob.exp()).sum();
        assert!((sum - 1.0).abs() < 1e-6, "{sum}");
        assert_eq!(top[0], chosen);
        assert_eq!(top.iter().map(|entry| entry.token).collect::<Vec<_>>(), [3, 2, 0, 1, 4, 5]);
    }
}
