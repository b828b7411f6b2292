//! What is asked of a language model, from named arguments.

use pyo3::prelude::*;
use pyo3::types::PyDict;
use remuda::{Ask, Constraint, SamplerName};

use crate::error::bad_input;

/// One text or several.
#[derive(FromPyObject)]
enum Texts {
    One(String),
    Several(Vec<String>),
}

impl Texts {
    fn list(self) -> Vec<String> {
        match self {
            Self::One(text) => vec![text],
            Self::Several(texts) => texts,
        }
    }
}

/// Reads what is asked; names that are not known here are parameters of sampling.
pub(crate) fn ask(py: Python<'_>, given: &Bound<'_, PyDict>) -> PyResult<Ask> {
    let mut ask = Ask::default();
    for (name, value) in given.iter() {
        let name: String = name.extract()?;
        if !value.is_none() {
            set(py, &mut ask, (&name, &value))?;
        }
    }
    Ok(ask)
}

fn set(py: Python<'_>, ask: &mut Ask, (name, value): (&str, &Bound<'_, PyAny>)) -> PyResult<()> {
    let text = || value.extract::<String>();
    match name {
        "max_tokens" => ask.most = Some(value.extract()?),
        "seed" => ask.sampling.seed = value.extract()?,
        "stop" => ask.stops = value.extract::<Texts>()?.list(),
        "priority" => ask.priority = value.extract()?,
        "logprobs" => ask.probabilities = Some(value.extract()?),
        "json_schema" => constrain(py, ask, Constraint::JsonSchema(text()?))?,
        "regex" => constrain(py, ask, Constraint::Regex(text()?))?,
        "grammar" => constrain(py, ask, Constraint::Gbnf(text()?))?,
        "lark" => constrain(py, ask, Constraint::Lark(text()?))?,
        "json" if value.extract()? => constrain(py, ask, Constraint::JsonObject)?,
        "json" => {}
        "samplers" => {
            let names = value.extract::<Texts>()?.list().join(";");
            let samplers = SamplerName::list(&names);
            ask.sampling.samplers = samplers.map_err(|error| bad_input(py, &error.to_string()))?;
        }
        "logit_bias" => {
            for (token, bias) in value.cast::<PyDict>()?.iter() {
                ask.sampling.logit_bias.push((token.extract()?, bias.extract()?));
            }
        }
        _ => {
            let set = ask.sampling.set(name, value.extract()?);
            set.map_err(|error| bad_input(py, &error.to_string()))?;
        }
    }
    Ok(())
}

fn constrain(py: Python<'_>, ask: &mut Ask, constraint: Constraint) -> PyResult<()> {
    if ask.constraint.is_some() {
        return Err(bad_input(py, "expected one of json, json_schema, regex, grammar and lark"));
    }
    ask.constraint = Some(constraint);
    Ok(())
}
