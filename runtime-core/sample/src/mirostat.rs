//! Mirostat: keeps the surprise of the chosen tokens near a target.

use crate::candidates::{Candidate, Candidates};
use crate::params::MirostatVersion;
use crate::random::Random;
use crate::truncate::top_k;

/// How many of the likeliest tokens the first version looks at.
const LOOKED_AT: usize = 100;

/// The state of Mirostat.
#[derive(Debug, Clone)]
pub struct Mirostat {
    version: MirostatVersion,
    tau: f32,
    eta: f32,
    mu: f32,
    vocabulary: usize,
}

impl Mirostat {
    /// With the target surprise `tau` and the learning rate `eta`.
    #[must_use]
    pub fn new(version: MirostatVersion, tau: f32, eta: f32) -> Self {
        Self { version, tau, eta, mu: 2.0 * tau, vocabulary: 0 }
    }

    /// Forgets what it learnt.
    pub fn reset(&mut self) {
        self.mu = 2.0 * self.tau;
    }

    /// The surprise up to which tokens are chosen now.
    #[must_use]
    pub fn mu(&self) -> f32 {
        self.mu
    }

    /// Chooses a token, and learns from its surprise.
    pub fn choose(
        &mut self,
        candidates: &mut Candidates,
        random: &mut Random,
    ) -> Option<Candidate> {
        self.vocabulary = self.vocabulary.max(candidates.len());
        match self.version {
            MirostatVersion::One => {
                let k = self.k(candidates.ranked());
                top_k(candidates, k);
            }
            MirostatVersion::Two => {
                let surprising = |candidate: &Candidate| -candidate.probability.log2() > self.mu;
                let kept = candidates.ranked().iter().position(surprising);
                candidates.truncate(kept.unwrap_or(usize::MAX).max(1));
            }
        }
        candidates.softmax();
        let choice = candidates.pick(random.unit())?;
        self.mu -= self.eta * (-choice.probability.log2() - self.tau);
        Some(choice)
    }

    /// How many tokens to keep, from the exponent of the Zipf law that fits the likeliest.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "ranks are small, and the result is clamped"
    )]
    fn k(&self, ranked: &[Candidate]) -> usize {
        let (mut products, mut squares) = (0.0_f32, 0.0_f32);
        for (index, pair) in ranked.windows(2).take(LOOKED_AT - 1).enumerate() {
            let [first, second] = pair else { continue };
            if second.probability <= 0.0 {
                break;
            }
            let rank = ((index + 2) as f32 / (index + 1) as f32).ln();
            products += rank * (first.probability / second.probability).ln();
            squares += rank * rank;
        }
        let exponent = products / squares;
        let excess = exponent - 1.0;
        let tail = 1.0 - (self.vocabulary as f32).powf(-excess);
        let k = (excess * self.mu.exp2() / tail).powf(1.0 / exponent);
        if k.is_nan() { 1 } else { (k as usize).max(1) }
    }
}
