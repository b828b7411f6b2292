//! Samplers: from the logits of a step to the next token, in llama.cpp's order and with its defaults.
//!
//! A [`Chain`] holds what one sequence needs: its [`Params`], the tokens so far that penalties look
//! at, and its random generator. The same parameters, seed, logits and tokens always lead to the same
//! choice, on every machine with the same floating-point results. Every sampler is a function over
//! [`Candidates`], so that each can be tested, and used, alone.
//!
//! ```
//! use remuda_sample::{Chain, Params};
//!
//! let mut chain = Chain::new(Params { seed: 7, ..Params::default() })?;
//! let choice = chain.sample(&[0.1, 4.0, 0.3]).expect("a logit is finite");
//! chain.accept(choice.token);
//! assert_eq!(choice.token, 1);
//! # Ok::<(), remuda_sample::SampleError>(())
//! ```
#![forbid(unsafe_code)]
#![warn(clippy::expect_used, clippy::indexing_slicing)]

mod candidates;
mod chain;
mod dry;
mod error;
mod history;
mod logprobs;
mod mirostat;
mod params;
mod penalties;
mod random;
mod settings;
mod temperature;
mod truncate;

pub use candidates::{Candidate, Candidates, TokenId};
pub use chain::{Chain, Choice};
pub use dry::{Breakers, Dry};
pub use error::SampleError;
pub use logprobs::{LogProb, log_probabilities};
pub use mirostat::Mirostat;
pub use params::{MirostatVersion, Params, SamplerName};
pub use penalties::Penalties;
pub use random::Random;
pub use settings::{SETTINGS, Setting};
pub use temperature::{dynamic_temperature, temperature};
pub use truncate::{bias, min_p, top_k, top_n_sigma, top_p, typical, xtc};
