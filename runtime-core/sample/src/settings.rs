//! Parameters by name, for those who get them as text: commands, configurations, requests.

use crate::error::SampleError;
use crate::params::{MirostatVersion, Params};

/// A parameter that is a number.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Its names, ours first.
    pub names: &'static [&'static str],
    /// What it does, in a few words.
    pub about: &'static str,
    /// What it is.
    pub get: fn(&Params) -> f64,
    set: fn(&mut Params, f64),
}

#[expect(clippy::cast_possible_truncation, reason = "parameters are single precision")]
fn single(value: f64) -> f32 {
    value as f32
}

/// A whole number from a setting; what is no such number is the nearest one.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
fn whole(value: f64) -> usize {
    value as usize
}

/// A number of tokens where a number below 0 stands for all of them.
fn span(value: f64) -> Option<usize> {
    (value >= 0.0).then(|| whole(value))
}

#[expect(clippy::cast_precision_loss, reason = "shown to people")]
fn shown(value: usize) -> f64 {
    value as f64
}

macro_rules! float {
    ($field:ident, $names:expr, $about:literal) => {
        Setting {
            names: $names,
            about: $about,
            get: |params| f64::from(params.$field),
            set: |params, value| params.$field = single(value),
        }
    };
}

macro_rules! count {
    ($field:ident, $names:expr, $about:literal) => {
        Setting {
            names: $names,
            about: $about,
            get: |params| shown(params.$field),
            set: |params, value| params.$field = whole(value),
        }
    };
}

macro_rules! last {
    ($field:ident, $names:expr, $about:literal) => {
        Setting {
            names: $names,
            about: $about,
            get: |params| params.$field.map_or(-1.0, shown),
            set: |params, value| params.$field = span(value),
        }
    };
}

/// Every parameter that is a number, but for the seed.
pub static SETTINGS: &[Setting] = &[
    float!(temperature, &["temperature", "temp"], "how freely tokens are chosen; 0: the likeliest"),
    float!(dynamic_range, &["dynatemp_range"], "how far the temperature follows the entropy"),
    float!(dynamic_exponent, &["dynatemp_exponent", "dynatemp_exp"], "how it follows it"),
    count!(top_k, &["top_k"], "keep so many of the likeliest; 0: all"),
    float!(top_p, &["top_p"], "keep the likeliest that make up this share; 1: all"),
    float!(min_p, &["min_p"], "drop what is rarer than this share of the likeliest; 0: nothing"),
    float!(typical_p, &["typical_p", "typical"], "keep the most typical of this share; 1: all"),
    float!(top_n_sigma, &["top_n_sigma"], "keep what is within so many deviations; -1: all"),
    float!(xtc_probability, &["xtc_probability"], "how often the likeliest are left out; 0: never"),
    float!(xtc_threshold, &["xtc_threshold"], "how likely those are that may be left out"),
    count!(min_keep, &["min_keep"], "samplers leave at least so many"),
    last!(penalty_last, &["repeat_last_n", "penalty_last_n"], "tokens penalised; -1: all"),
    float!(repeat_penalty, &["repeat_penalty"], "what repeated tokens are divided by; 1: off"),
    float!(frequency_penalty, &["frequency_penalty"], "taken off per repetition; 0: off"),
    float!(presence_penalty, &["presence_penalty"], "taken off what came before; 0: off"),
    float!(dry_multiplier, &["dry_multiplier"], "penalty of repeated runs; 0: off"),
    float!(dry_base, &["dry_base"], "how it grows with the run"),
    count!(dry_allowed_length, &["dry_allowed_length"], "runs that are not penalised"),
    last!(dry_last, &["dry_penalty_last_n"], "tokens looked at for runs; -1: all"),
    Setting {
        names: &["mirostat", "mirostat_mode"],
        about: "1 or 2: Mirostat in place of the samplers; 0: off",
        get: |params| match params.mirostat {
            None => 0.0,
            Some(MirostatVersion::One) => 1.0,
            Some(MirostatVersion::Two) => 2.0,
        },
        set: |params, value| {
            params.mirostat = match whole(value) {
                0 => None,
                1 => Some(MirostatVersion::One),
                _ => Some(MirostatVersion::Two),
            }
        },
    },
    float!(mirostat_tau, &["mirostat_tau", "mirostat_ent"], "the surprise that Mirostat aims at"),
    float!(mirostat_eta, &["mirostat_eta", "mirostat_lr"], "how fast it learns"),
];

impl Setting {
    /// The setting with one of these names; `-` and `_` are the same.
    ///
    /// # Errors
    /// When there is none.
    pub fn find(name: &str) -> Result<&'static Self, SampleError> {
        let plain = name.to_lowercase().replace('-', "_");
        let found = SETTINGS.iter().find(|setting| setting.names.contains(&plain.as_str()));
        found.ok_or_else(|| {
            let names = SETTINGS.iter().flat_map(|setting| setting.names).copied();
            SampleError::UnknownSetting {
                name: name.chars().take(40).collect(),
                nearest: remuda_base::nearest(&plain, names).map(ToOwned::to_owned),
            }
        })
    }
}

impl Params {
    /// Sets a parameter by its name.
    ///
    /// # Errors
    /// When there is none of that name, or the number is out of its range; nothing changes then.
    pub fn set(&mut self, name: &str, value: f64) -> Result<(), SampleError> {
        let setting = Setting::find(name)?;
        let name = setting.names.first().copied().unwrap_or_default();
        if !value.is_finite() {
            return Err(SampleError::Range { name, expected: "a finite number", got: value });
        }
        let mut changed = self.clone();
        (setting.set)(&mut changed, value);
        changed.check()?;
        *self = changed;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_gives_back_what_was_set() {
        for setting in SETTINGS {
            for name in setting.names {
                let mut params = Params::default();
                params.set(name, 1.0).unwrap();
                assert!(((setting.get)(&params) - 1.0).abs() < 1e-9, "{name}");
            }
        }
    }

    #[test]
    fn below_zero_stands_for_all_tokens() {
        let mut params = Params::default();
        params.set("repeat-last-n", -1.0).unwrap();
        assert_eq!(params.penalty_last, None);
        params.set("repeat_last_n", 0.0).unwrap();
        assert_eq!(params.penalty_last, Some(0));
    }

    #[test]
    fn what_is_wrong_is_named_and_changes_nothing() {
        let mut params = Params::default();
        let error = params.set("top_pp", 0.5).unwrap_err();
        assert_eq!(error.to_string(), "parameter `top_pp` is not known; did you mean `top_p`?");
        let error = params.set("top_p", 1.5).unwrap_err().to_string();
        assert_eq!(error, "`top_p`: expected a number from 0 to 1, got 1.5");
        assert!(params.set("temp", f64::NAN).is_err());
        assert_eq!(params, Params::default());
    }
}
