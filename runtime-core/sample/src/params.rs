//! The parameters of a chain, with llama.cpp's defaults.

use std::str::FromStr;

use crate::candidates::TokenId;
use crate::dry::Breakers;
use crate::error::SampleError;

/// A sampler of the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SamplerName {
    /// Repeat, frequency and presence penalties.
    Penalties,
    /// Penalties on repeated runs.
    Dry,
    /// Standard deviations below the largest logit.
    TopNSigma,
    /// The likeliest.
    TopK,
    /// Locally typical sampling.
    Typical,
    /// Nucleus sampling.
    TopP,
    /// A share of the likeliest one's probability.
    MinP,
    /// Leaving out top choices.
    Xtc,
    /// Temperature, dynamic where it has a range.
    Temperature,
}

/// Each sampler by its name, then by the other names that it is known by.
const NAMES: &[(SamplerName, &[&str])] = &[
    (SamplerName::Penalties, &["penalties"]),
    (SamplerName::Dry, &["dry"]),
    (SamplerName::TopNSigma, &["top_n_sigma", "top-n-sigma"]),
    (SamplerName::TopK, &["top_k", "top-k"]),
    (SamplerName::Typical, &["typ_p", "typ-p", "typ", "typical_p", "typical-p", "typical"]),
    (SamplerName::TopP, &["top_p", "top-p", "nucleus"]),
    (SamplerName::MinP, &["min_p", "min-p"]),
    (SamplerName::Xtc, &["xtc"]),
    (SamplerName::Temperature, &["temperature", "temp"]),
];

impl SamplerName {
    /// llama.cpp's order.
    pub const DEFAULT_ORDER: [Self; 9] = [
        Self::Penalties,
        Self::Dry,
        Self::TopNSigma,
        Self::TopK,
        Self::Typical,
        Self::TopP,
        Self::MinP,
        Self::Xtc,
        Self::Temperature,
    ];

    /// The samplers of a list such as `top_k;top_p;temperature`.
    ///
    /// # Errors
    /// When one of them is not known.
    pub fn list(names: &str) -> Result<Vec<Self>, SampleError> {
        let names = names.split([';', ',']).map(str::trim).filter(|name| !name.is_empty());
        names.map(str::parse).collect()
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        let named = NAMES.iter().find(|(sampler, _)| *sampler == self);
        named.and_then(|(_, names)| names.first()).copied().unwrap_or_default()
    }
}

impl FromStr for SamplerName {
    type Err = SampleError;

    fn from_str(name: &str) -> Result<Self, SampleError> {
        let wanted = name.to_lowercase();
        let known = NAMES.iter().find(|(_, names)| names.contains(&wanted.as_str()));
        known.map(|(sampler, _)| *sampler).ok_or_else(|| {
            let names = NAMES.iter().flat_map(|(_, names)| *names).copied();
            let nearest = remuda_base::nearest(name, names).map(ToOwned::to_owned);
            SampleError::UnknownSampler { name: name.chars().take(40).collect(), nearest }
        })
    }
}

/// A version of Mirostat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MirostatVersion {
    /// The first: estimates how many tokens to keep.
    One,
    /// The second: cuts at a surprise.
    Two,
}

/// What a chain does. The defaults are llama.cpp's.
#[derive(Debug, Clone, PartialEq)]
pub struct Params {
    /// What the random generator starts from.
    pub seed: u64,
    /// The samplers, in order. Mirostat replaces all but the temperature.
    pub samplers: Vec<SamplerName>,
    /// At least how many tokens those samplers keep that can be told so.
    pub min_keep: usize,
    /// How many tokens top-k keeps; 0 for all.
    pub top_k: usize,
    /// The probability that top-p keeps; 1 for all.
    pub top_p: f32,
    /// The share of the likeliest one's probability that min-p asks for; 0 for none.
    pub min_p: f32,
    /// The probability that typical sampling keeps; 1 for all.
    pub typical_p: f32,
    /// How many standard deviations top-n-sigma allows; 0 or less for any.
    pub top_n_sigma: f32,
    /// How often XTC is applied.
    pub xtc_probability: f32,
    /// What XTC counts as a top choice; above 0.5 for nothing.
    pub xtc_threshold: f32,
    /// The temperature; 0 or less for the likeliest token always.
    pub temperature: f32,
    /// How far dynamic temperature may go from it.
    pub dynamic_range: f32,
    /// How the certainty maps to it.
    pub dynamic_exponent: f32,
    /// How many tokens penalties look at; `None` for all.
    pub penalty_last: Option<usize>,
    /// The factor on tokens that came before; 1 for none.
    pub repeat_penalty: f32,
    /// What each time a token came before costs.
    pub frequency_penalty: f32,
    /// What it costs that a token came before.
    pub presence_penalty: f32,
    /// How strong DRY is; 0 for off.
    pub dry_multiplier: f32,
    /// How fast its penalty grows.
    pub dry_base: f32,
    /// The longest repetition that it allows.
    pub dry_allowed_length: usize,
    /// How many tokens it looks at; `None` for all.
    pub dry_last: Option<usize>,
    /// What ends a repetition.
    pub dry_breakers: Breakers,
    /// Mirostat, if it is used.
    pub mirostat: Option<MirostatVersion>,
    /// Its target surprise, in bits.
    pub mirostat_tau: f32,
    /// Its learning rate.
    pub mirostat_eta: f32,
    /// What is added to the logits of some tokens.
    pub logit_bias: Vec<(TokenId, f32)>,
}

impl Params {
    /// What DRY counts as the end of a repetition unless a user says otherwise.
    pub const DRY_BREAKERS: [&'static str; 4] = ["\n", ":", "\"", "*"];

    /// Always the likeliest token.
    #[must_use]
    pub fn greedy() -> Self {
        Self { temperature: 0.0, ..Self::default() }
    }

    /// Checks every range.
    ///
    /// # Errors
    /// When a number is out of its range.
    pub fn check(&self) -> Result<(), SampleError> {
        const SHARE: (&str, fn(f32) -> bool) =
            ("a number from 0 to 1", |x| (0.0..=1.0).contains(&x));
        const ANY: (&str, fn(f32) -> bool) = ("a finite number", f32::is_finite);
        const POSITIVE: (&str, fn(f32) -> bool) =
            ("a number above 0", |x| x > 0.0 && x.is_finite());
        const AT_LEAST_0: (&str, fn(f32) -> bool) =
            ("a number of at least 0", |x| x >= 0.0 && x.is_finite());
        let checks = [
            ("top_p", self.top_p, SHARE),
            ("min_p", self.min_p, SHARE),
            ("typical_p", self.typical_p, SHARE),
            ("top_n_sigma", self.top_n_sigma, ANY),
            ("xtc_probability", self.xtc_probability, SHARE),
            ("xtc_threshold", self.xtc_threshold, SHARE),
            ("temperature", self.temperature, ANY),
            ("dynamic_range", self.dynamic_range, AT_LEAST_0),
            ("dynamic_exponent", self.dynamic_exponent, ANY),
            ("repeat_penalty", self.repeat_penalty, POSITIVE),
            ("frequency_penalty", self.frequency_penalty, ANY),
            ("presence_penalty", self.presence_penalty, ANY),
            ("dry_multiplier", self.dry_multiplier, AT_LEAST_0),
            ("dry_base", self.dry_base, AT_LEAST_0),
            ("mirostat_tau", self.mirostat_tau, AT_LEAST_0),
            ("mirostat_eta", self.mirostat_eta, AT_LEAST_0),
        ];
        for (name, value, (expected, fits)) in checks {
            if !fits(value) {
                return Err(SampleError::Range { name, expected, got: f64::from(value) });
            }
        }
        let numbers = |&&(_, bias): &&(TokenId, f32)| bias.is_nan();
        match self.logit_bias.iter().find(numbers) {
            None => Ok(()),
            Some(&(_, bias)) => {
                let (name, expected) = ("logit_bias", "numbers");
                Err(SampleError::Range { name, expected, got: f64::from(bias) })
            }
        }
    }
}

impl Default for Params {
    fn default() -> Self {
        Self {
            seed: 0,
            samplers: SamplerName::DEFAULT_ORDER.to_vec(),
            min_keep: 0,
            top_k: 40,
            top_p: 0.95,
            min_p: 0.05,
            typical_p: 1.0,
            top_n_sigma: -1.0,
            xtc_probability: 0.0,
            xtc_threshold: 0.1,
            temperature: 0.8,
            dynamic_range: 0.0,
            dynamic_exponent: 1.0,
            penalty_last: Some(64),
            repeat_penalty: 1.0,
            frequency_penalty: 0.0,
            presence_penalty: 0.0,
            dry_multiplier: 0.0,
            dry_base: 1.75,
            dry_allowed_length: 2,
            dry_last: Some(64),
            dry_breakers: Breakers::default(),
            mirostat: None,
            mirostat_tau: 5.0,
            mirostat_eta: 0.1,
            logit_bias: Vec::new(),
        }
    }
}
