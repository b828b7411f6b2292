//! The samplers of one sequence, one after the other.

use crate::candidates::{Candidate, Candidates, TokenId};
use crate::dry::Dry;
use crate::error::SampleError;
use crate::mirostat::Mirostat;
use crate::params::{Params, SamplerName};
use crate::penalties::Penalties;
use crate::random::Random;
use crate::temperature::{dynamic_temperature, temperature};
use crate::truncate;

/// The token that comes next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choice {
    /// The token.
    pub token: TokenId,
    /// Its probability among those that the samplers left.
    pub probability: f32,
}

/// What one sequence is sampled with.
#[derive(Debug, Clone)]
pub struct Chain {
    params: Params,
    penalties: Penalties,
    dry: Dry,
    mirostat: Option<Mirostat>,
    random: Random,
}

impl Chain {
    /// A chain at the start of a sequence.
    ///
    /// # Errors
    /// When a parameter is out of its range.
    pub fn new(params: Params) -> Result<Self, SampleError> {
        params.check()?;
        let penalties = Penalties::new(
            params.penalty_last,
            params.repeat_penalty,
            params.frequency_penalty,
            params.presence_penalty,
        );
        let dry = Dry::new(
            params.dry_multiplier,
            params.dry_base,
            params.dry_allowed_length,
            params.dry_last,
            params.dry_breakers.clone(),
        );
        let (tau, eta) = (params.mirostat_tau, params.mirostat_eta);
        let mirostat = params.mirostat.map(|version| Mirostat::new(version, tau, eta));
        let random = Random::new(params.seed);
        Ok(Self { params, penalties, dry, mirostat, random })
    }

    /// What it does.
    #[must_use]
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// Takes a token of the sequence: of the prompt, or one that was chosen.
    pub fn accept(&mut self, token: TokenId) {
        self.penalties.accept(token);
        self.dry.accept(token);
    }

    /// Back to the start of a sequence.
    pub fn reset(&mut self) {
        self.penalties.reset();
        self.dry.reset();
        self.random = Random::new(self.params.seed);
        if let Some(mirostat) = &mut self.mirostat {
            mirostat.reset();
        }
    }

    /// Chooses the next token; `None` if no logit is above -∞. It is not taken yet: see
    /// [`accept`](Self::accept).
    pub fn sample(&mut self, logits: &[f32]) -> Option<Choice> {
        self.choose(Candidates::new(logits))
    }

    /// Chooses among the tokens that `allowed` lets through, as a constraint asks for.
    pub fn sample_allowed(
        &mut self,
        logits: &[f32],
        allowed: impl Fn(TokenId) -> bool,
    ) -> Option<Choice> {
        self.choose(Candidates::filtered(logits, allowed))
    }

    fn choose(&mut self, mut candidates: Candidates) -> Option<Choice> {
        // One number for each token, whatever the samplers leave: chains stay in step.
        let unit = self.random.unit();
        truncate::bias(&mut candidates, &self.params.logit_bias);
        candidates.likeliest()?;
        if let Some(mirostat) = &mut self.mirostat {
            temperature(&mut candidates, self.params.temperature);
            return mirostat.choose(&mut candidates, &mut self.random).map(choice);
        }
        for sampler in self.params.samplers.clone() {
            self.apply(sampler, &mut candidates);
        }
        candidates.softmax();
        candidates.pick(unit).map(choice)
    }

    /// Runs one sampler.
    pub fn apply(&mut self, sampler: SamplerName, candidates: &mut Candidates) {
        let params = &self.params;
        match sampler {
            SamplerName::Penalties => self.penalties.apply(candidates),
            SamplerName::Dry => self.dry.apply(candidates),
            SamplerName::TopNSigma => truncate::top_n_sigma(candidates, params.top_n_sigma),
            SamplerName::TopK => truncate::top_k(candidates, params.top_k),
            SamplerName::Typical => {
                truncate::typical(candidates, params.typical_p, params.min_keep);
            }
            SamplerName::TopP => truncate::top_p(candidates, params.top_p, params.min_keep),
            SamplerName::MinP => truncate::min_p(candidates, params.min_p, params.min_keep),
            SamplerName::Xtc => truncate::xtc(
                candidates,
                params.xtc_probability,
                params.xtc_threshold,
                params.min_keep,
                &mut self.random,
            ),
            SamplerName::Temperature => dynamic_temperature(
                candidates,
                params.temperature,
                params.dynamic_range,
                params.dynamic_exponent,
            ),
        }
    }
}

fn choice(candidate: Candidate) -> Choice {
    Choice { token: candidate.token, probability: candidate.probability }
}
