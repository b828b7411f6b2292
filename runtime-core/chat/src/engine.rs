//! The template engine, closed off: no loader, no files, no state between runs.

use std::sync::Arc;
use std::time::SystemTime;

use minijinja::machinery::{CompiledTemplate, TemplateConfig, eval, make_string_output};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::ValueKind;
use minijinja::{AutoEscape, Environment, Error, Value};

use crate::budget::{Budget, Limits};
use crate::error::{ChatError, refused};
use crate::python::str_of;
use crate::{calendar, filters, methods, operators};

const NAME: &str = "chat template";

/// Blocks as transformers reads them: a line that holds only a block leaves no empty line.
pub(crate) fn syntax() -> SyntaxConfig {
    let builder = &mut SyntaxConfig::builder();
    builder.trim_blocks(true).lstrip_blocks(true).build().unwrap_or_default()
}

/// Checks that a prepared source is a template.
pub(crate) fn check(source: &str) -> Result<(), ChatError> {
    compile(source).map(drop)
}

fn compile(source: &str) -> Result<CompiledTemplate<'_>, ChatError> {
    let config = TemplateConfig {
        syntax_config: syntax(),
        default_auto_escape: Arc::new(|_| AutoEscape::None),
    };
    CompiledTemplate::new(NAME, source, &config).map_err(|error| ChatError::syntax(&error))
}

/// Runs a prepared source over `context`.
pub(crate) fn run(
    source: &str,
    context: Value,
    now: SystemTime,
    limits: &Limits,
    conversation_bytes: u64,
) -> Result<String, ChatError> {
    let budget = Arc::new(Budget::new(limits, conversation_bytes));
    let env = environment(&budget, now, limits);
    let mut template = compile(source)?;
    operators::replace(&mut template.instructions);
    template.blocks.values_mut().for_each(operators::replace);
    let mut text = String::new();
    let mut output = make_string_output(&mut text);
    let CompiledTemplate { instructions, blocks, .. } = &template;
    let done = eval(&env, instructions, context, blocks, &mut output, AutoEscape::None);
    done.map(drop).map_err(|error| ChatError::run(&error))?;
    Ok(text)
}

fn environment<'a>(budget: &Arc<Budget>, now: SystemTime, limits: &Limits) -> Environment<'a> {
    let mut env = Environment::new();
    env.set_syntax(syntax());
    env.set_fuel(Some(limits.instructions));
    env.set_recursion_limit(Limits::RECURSION);
    env.set_auto_escape_callback(|_| AutoEscape::None);
    filters::register(&mut env, budget);
    operators::register(&mut env, budget);
    let charge = Arc::clone(budget);
    env.set_unknown_method_callback(move |state, value, method, args| {
        methods::call(state, value, method, args, &charge)
    });
    let charge = Arc::clone(budget);
    env.set_formatter(move |out, _, value| {
        if let Some(text) = value.as_str().filter(|_| value.kind() == ValueKind::String) {
            charge.charge(text.len())?;
            return out.write_str(text).map_err(Error::from);
        }
        out.write_str(&str_of(value, &charge)?).map_err(Error::from)
    });
    // A loop over nothing is empty, but nothing is no collection.
    env.add_test("iterable", |value: &Value| !value.is_none() && value.try_iter().is_ok());
    env.add_function("raise_exception", |message: String| -> Result<Value, Error> {
        Err(refused(&message))
    });
    env.add_function("strftime_now", move |format: String| calendar::strftime(now, &format));
    env
}
