//! Flags that say how tokens are chosen and when an answer ends, as llama.cpp names them.

use std::path::PathBuf;
use std::sync::Arc;

use remuda::{Ask, Constraint, SamplerName, Sampling};

use crate::cancel;
use crate::failure::Failure;

/// How tokens are chosen. What is not given stays as llama.cpp has it.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Choice of tokens")]
pub(super) struct SamplingArgs {
    /// How freely tokens are chosen; 0 always takes the likeliest [default: 0.8]
    #[arg(long, alias = "temperature", value_name = "T")]
    temp: Option<f64>,
    /// Keep so many of the likeliest; 0 keeps all [default: 40]
    #[arg(long, value_name = "N")]
    top_k: Option<f64>,
    /// Keep the likeliest that make up this share [default: 0.95]
    #[arg(long, value_name = "P")]
    top_p: Option<f64>,
    /// Drop what is rarer than this share of the likeliest [default: 0.05]
    #[arg(long, value_name = "P")]
    min_p: Option<f64>,
    /// Keep the most typical of this share [default: 1]
    #[arg(long, alias = "typical-p", value_name = "P")]
    typical: Option<f64>,
    /// Keep what is within so many deviations; -1 keeps all [default: -1]
    #[arg(long, alias = "top-nsigma", value_name = "N", allow_negative_numbers = true)]
    top_n_sigma: Option<f64>,
    /// How often the likeliest are left out [default: 0]
    #[arg(long, value_name = "P")]
    xtc_probability: Option<f64>,
    /// How likely those are that may be left out [default: 0.1]
    #[arg(long, value_name = "P")]
    xtc_threshold: Option<f64>,
    /// How far the temperature follows the entropy [default: 0]
    #[arg(long, value_name = "T")]
    dynatemp_range: Option<f64>,
    /// How it follows it [default: 1]
    #[arg(long, value_name = "X")]
    dynatemp_exp: Option<f64>,
    /// How many tokens are penalised; -1 for all [default: 64]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    repeat_last_n: Option<f64>,
    /// What repeated tokens are divided by [default: 1]
    #[arg(long, value_name = "X")]
    repeat_penalty: Option<f64>,
    /// What is taken off tokens that came before [default: 0]
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    presence_penalty: Option<f64>,
    /// What is taken off for each repetition [default: 0]
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    frequency_penalty: Option<f64>,
    /// The penalty of repeated runs [default: 0]
    #[arg(long, value_name = "X")]
    dry_multiplier: Option<f64>,
    /// How it grows with the run [default: 1.75]
    #[arg(long, value_name = "X")]
    dry_base: Option<f64>,
    /// Runs that are not penalised [default: 2]
    #[arg(long, value_name = "N")]
    dry_allowed_length: Option<f64>,
    /// How many tokens are looked at for runs; -1 for all [default: 64]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    dry_penalty_last_n: Option<f64>,
    /// 1 or 2: Mirostat in place of the samplers [default: 0]
    #[arg(long, value_name = "N")]
    mirostat: Option<f64>,
    /// How fast Mirostat learns [default: 0.1]
    #[arg(long, value_name = "X")]
    mirostat_lr: Option<f64>,
    /// The surprise that Mirostat aims at [default: 5]
    #[arg(long, value_name = "X")]
    mirostat_ent: Option<f64>,
    /// Makes a token likelier or rarer, as `15043+1` or `15043-1`; may be given several times
    #[arg(short = 'l', long, value_name = "TOKEN±BIAS")]
    logit_bias: Vec<String>,
    /// The samplers in their order, apart by `;`
    #[arg(long, value_name = "NAMES")]
    samplers: Option<String>,
    /// Seed of the random choices [default: a new one each time]
    #[arg(short = 's', long, value_name = "N")]
    seed: Option<u64>,
    /// End the answer at this text; may be given several times
    #[arg(short = 'r', long = "stop", alias = "reverse-prompt", value_name = "TEXT")]
    stops: Vec<String>,
    /// Answer with text of this GBNF grammar
    #[arg(long, value_name = "GRAMMAR", group = "constraint")]
    grammar: Option<String>,
    /// Answer with text of the GBNF grammar in this file
    #[arg(long, value_name = "FILE", group = "constraint")]
    grammar_file: Option<PathBuf>,
    /// Answer with text of this Lark grammar
    #[arg(long, value_name = "GRAMMAR", group = "constraint")]
    lark: Option<String>,
    /// Answer with text of the Lark grammar in this file
    #[arg(long, value_name = "FILE", group = "constraint")]
    lark_file: Option<PathBuf>,
    /// Answer with JSON that this schema allows; `{}` for any object
    #[arg(short = 'j', long, value_name = "SCHEMA", group = "constraint")]
    json_schema: Option<String>,
    /// Answer with JSON that the schema in this file allows
    #[arg(long, value_name = "FILE", group = "constraint")]
    json_schema_file: Option<PathBuf>,
    /// Answer with text that this regular expression matches
    #[arg(long, value_name = "REGEX", group = "constraint")]
    regex: Option<String>,
    /// `json`: answer with a JSON object
    #[arg(long, value_name = "FORMAT", group = "constraint", value_parser = ["json"])]
    format: Option<String>,
}

impl SamplingArgs {
    /// What is asked with them: at most so many tokens.
    pub(super) fn ask(&self, most: Option<usize>) -> Result<Ask, Failure> {
        Ok(Ask {
            most,
            sampling: self.sampling()?,
            stops: self.stops.clone(),
            constraint: self.constraint()?,
            cancel: Some(Arc::clone(cancel::shared())),
            ..Ask::default()
        })
    }

    fn sampling(&self) -> Result<Sampling, Failure> {
        let usage = |error: &dyn ToString| Failure::usage(error.to_string());
        let mut sampling =
            Sampling { seed: self.seed.unwrap_or_else(random_seed), ..Sampling::default() };
        for (name, value) in self.numbers() {
            if let Some(value) = value {
                sampling.set(name, value).map_err(|error| usage(&error))?;
            }
        }
        if let Some(names) = &self.samplers {
            sampling.samplers = SamplerName::list(names).map_err(|error| usage(&error))?;
        }
        for text in &self.logit_bias {
            sampling.logit_bias.push(bias(text)?);
        }
        Ok(sampling)
    }

    fn numbers(&self) -> [(&'static str, Option<f64>); 21] {
        [
            ("temperature", self.temp),
            ("top_k", self.top_k),
            ("top_p", self.top_p),
            ("min_p", self.min_p),
            ("typical_p", self.typical),
            ("top_n_sigma", self.top_n_sigma),
            ("xtc_probability", self.xtc_probability),
            ("xtc_threshold", self.xtc_threshold),
            ("dynatemp_range", self.dynatemp_range),
            ("dynatemp_exp", self.dynatemp_exp),
            ("repeat_last_n", self.repeat_last_n),
            ("repeat_penalty", self.repeat_penalty),
            ("presence_penalty", self.presence_penalty),
            ("frequency_penalty", self.frequency_penalty),
            ("dry_multiplier", self.dry_multiplier),
            ("dry_base", self.dry_base),
            ("dry_allowed_length", self.dry_allowed_length),
            ("dry_penalty_last_n", self.dry_penalty_last_n),
            ("mirostat", self.mirostat),
            ("mirostat_lr", self.mirostat_lr),
            ("mirostat_ent", self.mirostat_ent),
        ]
    }

    fn constraint(&self) -> Result<Option<Constraint>, Failure> {
        let read = |path: &PathBuf| {
            std::fs::read_to_string(path).map_err(|source| Failure::File {
                action: "read",
                path: path.clone(),
                source,
            })
        };
        if let Some(text) = &self.grammar {
            return Ok(Some(Constraint::Gbnf(text.clone())));
        }
        if let Some(path) = &self.grammar_file {
            return Ok(Some(Constraint::Gbnf(read(path)?)));
        }
        if let Some(text) = &self.lark {
            return Ok(Some(Constraint::Lark(text.clone())));
        }
        if let Some(path) = &self.lark_file {
            return Ok(Some(Constraint::Lark(read(path)?)));
        }
        if let Some(text) = &self.json_schema {
            return Ok(Some(Constraint::JsonSchema(text.clone())));
        }
        if let Some(path) = &self.json_schema_file {
            return Ok(Some(Constraint::JsonSchema(read(path)?)));
        }
        if let Some(text) = &self.regex {
            return Ok(Some(Constraint::Regex(text.clone())));
        }
        Ok(self.format.as_ref().map(|_| Constraint::JsonObject))
    }
}

/// `TOKEN+BIAS` or `TOKEN-BIAS`; a bias of `-inf` forbids the token.
fn bias(text: &str) -> Result<(u32, f32), Failure> {
    let parsed = text.find(['+', '-']).and_then(|at| {
        let (token, bias) = text.split_at(at);
        Some((token.parse().ok()?, bias.parse().ok()?))
    });
    parsed.ok_or_else(|| {
        let message = format!("`{text}` is no bias of a token");
        Failure::usage_hint(message, "expected a token's number and a bias, as `15043-1`")
    })
}

/// A seed that differs from run to run.
fn random_seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::bias;

    #[test]
    fn a_bias_is_a_token_and_a_signed_number() {
        assert_eq!(bias("15+1.5").unwrap(), (15, 1.5));
        assert_eq!(bias("15-inf").unwrap(), (15, f32::NEG_INFINITY));
        assert!(bias("15").is_err() && bias("+1").is_err() && bias("a+1").is_err());
    }
}
