//! Folders of architectures whose settings and weights go by names of their own: a table for each.
//!
//! A table has every setting that is known, and what it means. A setting that no table has is refused:
//! answers might depend on it.

pub(super) mod bert;
mod common;
pub(super) mod falcon;
pub(super) mod gpt2;
pub(super) mod gptneox;
pub(super) mod nomic_bert;

use remuda_gguf::{Builder, Value};
use serde_json::Value as Json;

use super::config::Config;
use crate::ModelError;

/// How folders of an architecture say what GGUF metadata says, and how they name weights.
#[derive(Debug)]
pub(super) struct Form {
    /// What each setting means, beside those that all have in common.
    pub(super) settings: &'static [(&'static str, Means)],
    /// What follows from several settings.
    pub(super) more: fn(&Config, &mut Builder) -> Result<(), ModelError>,
    /// What stands in front of all names of weights in some folders.
    pub(super) prefix: &'static str,
    /// Weights that stand by themselves: theirs, and ours.
    pub(super) whole: &'static [(&'static str, &'static str)],
    /// What stands in front of a layer's number.
    pub(super) layers: &'static str,
    /// What stands behind a layer's number: theirs, and ours.
    pub(super) layer: &'static [(&'static str, &'static str)],
    /// Names, without prefix, of what answers do not depend on.
    pub(super) left_out: fn(&str) -> bool,
    /// Whether matrices of layers have a row for each input, and not for each output.
    pub(super) transposed: bool,
    /// Where the answer comes from.
    pub(super) head: Head,
}

/// What gives an answer behind the last layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Head {
    /// Nothing: an encoder's rows are what is asked for.
    None,
    /// A matrix: whether that of the embeddings, where the configuration says nothing of it.
    Output { tied: bool },
}

/// What a setting means.
#[derive(Clone, Copy, Debug)]
pub(super) enum Means {
    /// A size under this key of ours, which has to be there.
    Needed(&'static str),
    /// A size under this key of ours.
    Size(&'static str),
    /// A number under this key of ours.
    Number(&'static str),
    /// Yes or no under this key of ours.
    Flag(&'static str),
    /// One of these, if it is there.
    Only(&'static [Fixed]),
    /// One of these; what it is without being there is not supported.
    Must(&'static [Fixed]),
    /// Something that the form's own code reads.
    Read,
    /// Nothing for answers.
    Nothing,
}

/// A value that a setting may have.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fixed {
    Bool(bool),
    Number(f64),
    Text(&'static str),
    /// An object or list without anything in it.
    Empty,
}

pub(super) const NO: &[Fixed] = &[Fixed::Bool(false)];
pub(super) const YES: &[Fixed] = &[Fixed::Bool(true)];

impl Fixed {
    fn is(&self, value: &Json) -> bool {
        match *self {
            Self::Bool(expected) => value.as_bool() == Some(expected),
            Self::Number(expected) => value.as_f64() == Some(expected),
            Self::Text(expected) => value.as_str() == Some(expected),
            Self::Empty => {
                value.as_object().is_some_and(serde_json::Map::is_empty)
                    || value.as_array().is_some_and(Vec::is_empty)
            }
        }
    }
}

impl std::fmt::Display for Fixed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bool(expected) => write!(f, "{expected}"),
            Self::Number(expected) => write!(f, "{expected}"),
            Self::Text(expected) => write!(f, "\"{expected}\""),
            Self::Empty => f.write_str("nothing in it"),
        }
    }
}

impl Form {
    fn meaning(&self, key: &str) -> Option<Means> {
        let mut all = self.settings.iter().chain(common::SETTINGS);
        all.find(|(known, _)| *known == key).map(|(_, means)| *means)
    }

    /// The name of a weight in GGUF; none for what answers do not depend on.
    pub(super) fn translate(&self, name: &str) -> Result<Option<String>, ModelError> {
        let unknown = || ModelError::Unused { name: name.chars().take(200).collect() };
        let plain = name.strip_prefix(self.prefix).unwrap_or(name);
        if (self.left_out)(plain) {
            return Ok(None);
        }
        let (stem, ending) = plain.rsplit_once('.').ok_or_else(unknown)?;
        let ending = match ending {
            // Norms of old files have names of their own for it.
            "weight" | "gamma" => "weight",
            "bias" | "beta" => "bias",
            _ => return Err(unknown()),
        };
        let of = |table: &[(&str, &'static str)], part: &str| {
            table.iter().find(|(theirs, _)| *theirs == part).map(|(_, ours)| *ours)
        };
        if let Some(ours) = of(self.whole, stem) {
            return Ok(Some(format!("{ours}.{ending}")));
        }
        let layer = stem.strip_prefix(self.layers).and_then(|rest| rest.split_once('.'));
        let (number, part) = layer.ok_or_else(unknown)?;
        let number: u32 = number.parse().map_err(|_| unknown())?;
        let ours = of(self.layer, part).ok_or_else(unknown)?;
        Ok(Some(format!("blk.{number}.{ours}.{ending}")))
    }
}

impl Config {
    /// Refuses settings that are not known, and values that are not supported.
    pub(super) fn check_form(&self, form: &Form) -> Result<(), ModelError> {
        for key in self.keys() {
            match form.meaning(key) {
                None => return Err(self.unsupported(key, "no setting of this name".to_owned())),
                Some(Means::Only(allowed) | Means::Must(allowed)) => self.one_of(key, allowed)?,
                Some(_) => {}
            }
        }
        for (key, means) in form.settings {
            if let (Means::Must(allowed), None) = (means, self.get(key)) {
                self.one_of(key, allowed)?;
            }
        }
        Ok(())
    }

    fn one_of(&self, key: &str, allowed: &[Fixed]) -> Result<(), ModelError> {
        let value = self.get(key).unwrap_or(&Json::Null);
        if allowed.iter().any(|fixed| fixed.is(value)) {
            return Ok(());
        }
        let list: Vec<_> = allowed.iter().map(ToString::to_string).collect();
        Err(self.unsupported(key, list.join(" or ")))
    }

    /// What the settings say, as metadata.
    pub(super) fn form(&self, form: &Form, builder: &mut Builder) -> Result<(), ModelError> {
        for (theirs, means) in form.settings {
            match *means {
                Means::Needed(ours) => {
                    let size = self.size(theirs)?.ok_or_else(|| self.wrong(theirs, "a size"))?;
                    builder.set(&self.ours(ours), Value::U32(size))?;
                }
                Means::Size(ours) => {
                    if let Some(size) = self.size(theirs)? {
                        builder.set(&self.ours(ours), Value::U32(size))?;
                    }
                }
                Means::Number(ours) => {
                    if let Some(number) = self.float(theirs)? {
                        builder.set(&self.ours(ours), Value::F64(number))?;
                    }
                }
                Means::Flag(ours) => {
                    if let Some(flag) = self.flag(theirs)? {
                        builder.set(&self.ours(ours), Value::Bool(flag))?;
                    }
                }
                Means::Only(_) | Means::Must(_) | Means::Read | Means::Nothing => {}
            }
        }
        (form.more)(self, builder)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::super::config::{Config, FAMILIES};
    use super::super::names::translate;
    use super::common;

    fn ours(family: &str, name: &str) -> Option<String> {
        let family = FAMILIES.iter().find(|known| known.theirs == family).unwrap();
        translate(name, family).unwrap()
    }

    #[test]
    fn tables_say_each_thing_once() {
        for form in FAMILIES.iter().filter_map(|family| family.form) {
            let settings = form.settings.iter().map(|(key, _)| *key);
            let weights = form.whole.iter().chain(form.layer).map(|(theirs, _)| *theirs);
            for mut keys in [settings.collect::<Vec<_>>(), weights.collect()] {
                let all = keys.len();
                keys.sort_unstable();
                keys.dedup();
                assert_eq!(keys.len(), all, "{keys:?}");
            }
        }
        assert!(common::SETTINGS.is_sorted_by_key(|(key, _)| *key));
    }

    #[test]
    fn names_are_known_with_and_without_a_prefix() {
        let some = |name: &str| Some(name.to_owned());
        for prefix in ["", "transformer."] {
            let of = |name: &str| ours("gpt2", &format!("{prefix}{name}"));
            assert_eq!(of("wte.weight"), some("token_embd.weight"));
            assert_eq!(of("h.11.attn.c_attn.bias"), some("blk.11.attn_qkv.bias"));
            assert_eq!(of("h.11.attn.bias"), None);
        }
        assert_eq!(ours("bert", "bert.embeddings.LayerNorm.gamma"), some("token_embd_norm.weight"));
        assert_eq!(ours("bert", "cls.predictions.bias"), None);
        assert_eq!(ours("falcon", "transformer.h.0.ln_attn.bias"), some("blk.0.attn_norm_2.bias"));
        for name in ["h.x.ln_1.weight", "h.1.ln_3.weight", "wte", "wte.scale", "score.weight"] {
            let gpt2 = FAMILIES.iter().find(|known| known.theirs == "gpt2").unwrap();
            assert!(translate(name, gpt2).is_err(), "{name}");
        }
    }

    #[test]
    fn settings_that_are_not_known_are_named() {
        let read = |json| Config::new(Path::new("config.json"), json).map(|_| ());
        read(json!({"model_type": "gpt2", "n_ctx": 3, "activation_function": "gelu_new"})).unwrap();
        read(json!({"model_type": "gpt2", "novelty": null})).unwrap();
        let cases = [
            (
                json!({"model_type": "gpt2", "novelty": 3}),
                "`novelty` is `3`, which is not supported: expected no setting of this name",
            ),
            (
                json!({"model_type": "gpt2", "activation_function": "relu"}),
                "`activation_function` is `\"relu\"`, which is not supported",
            ),
            (
                json!({"model_type": "nomic_bert", "rotary_emb_fraction": 1.0}),
                "`activation_function` is `nothing`, which is not supported: expected \"swiglu\"",
            ),
            (json!({"model_type": "bert", "is_decoder": true}), "`is_decoder` is `true`"),
        ];
        for (json, want) in cases {
            let error = read(json).unwrap_err().to_string();
            assert!(error.contains(want), "{error}");
        }
    }
}
