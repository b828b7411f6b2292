//! Filters as transformers' Jinja has them, and the charge of every other one.

use std::sync::Arc;

use minijinja::value::{Kwargs, Rest, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State, Value};

use crate::budget::{Budget, size};
use crate::python::{Dumps, dumps, str_of};

/// The built-in filters, each with the name of its charged twin.
const CHARGED: &[(&str, &str)] = &[
    ("batch", "charged batch"),
    ("capitalize", "charged capitalize"),
    ("chain", "charged chain"),
    ("dictsort", "charged dictsort"),
    ("e", "charged e"),
    ("escape", "charged escape"),
    ("float", "charged float"),
    ("format", "charged format"),
    ("groupby", "charged groupby"),
    ("indent", "charged indent"),
    ("int", "charged int"),
    ("items", "charged items"),
    ("join", "charged join"),
    ("length", "charged length"),
    ("count", "charged count"),
    ("lines", "charged lines"),
    ("list", "charged list"),
    ("lower", "charged lower"),
    ("map", "charged map"),
    ("max", "charged max"),
    ("min", "charged min"),
    ("pprint", "charged pprint"),
    ("reject", "charged reject"),
    ("rejectattr", "charged rejectattr"),
    ("replace", "charged replace"),
    ("reverse", "charged reverse"),
    ("select", "charged select"),
    ("selectattr", "charged selectattr"),
    ("slice", "charged slice"),
    ("sort", "charged sort"),
    ("split", "charged split"),
    ("sum", "charged sum"),
    ("title", "charged title"),
    ("trim", "charged trim"),
    ("unique", "charged unique"),
    ("upper", "charged upper"),
    ("zip", "charged zip"),
];
/// `format` fills up with spaces as far as its pattern says: no template needs more.
const MAX_WIDTH_DIGITS: usize = 3;

/// The charged twin of a filter. Names with a space are found without it.
pub(crate) fn charged(name: &str) -> Option<&'static str> {
    CHARGED.iter().find(|(plain, _)| *plain == name).map(|(_, charged)| *charged)
}

/// Makes the filters known.
pub(crate) fn register(env: &mut Environment<'_>, budget: &Arc<Budget>) {
    for &(plain, charged) in CHARGED {
        let charge = Arc::clone(budget);
        env.add_filter(
            charged.replace(' ', ""),
            move |state: &mut State<'_, '_>, args: Rest<Value>| {
                let bytes = cost(plain, &args)?;
                charge.charge(bytes)?;
                state.apply_filter(plain, &args)
            },
        );
    }
    let charge = Arc::clone(budget);
    env.add_filter("tojson", move |value: Value, options: Kwargs| {
        tojson(&value, &options, &charge)
    });
    let charge = Arc::clone(budget);
    env.add_filter("string", move |value: Value| str_of(&value, &charge));
}

/// At most how many bytes a filter or a method works through or makes.
pub(crate) fn cost(name: &str, args: &[Value]) -> Result<usize, Error> {
    let sizes = || args.iter().map(size);
    let all = sizes().fold(64_usize, usize::saturating_add);
    let first = args.first().map_or(0, size);
    Ok(match name {
        // As many copies of the last argument as the first can have matches.
        "replace" => {
            let from = args.get(1).map_or(0, size);
            let to = args.get(2).map_or(0, size);
            let matches = first.checked_div(from).unwrap_or(first.saturating_add(1));
            all.saturating_add(matches.saturating_mul(to))
        }
        "join" => {
            let separator = args.get(1).map_or(0, size);
            let (mut count, mut bytes) = (0_usize, 0_usize);
            for item in args.first().into_iter().filter_map(|items| items.try_iter().ok()).flatten()
            {
                count = count.saturating_add(1);
                bytes = bytes.saturating_add(size(&item));
            }
            all.saturating_add(bytes).saturating_add(count.saturating_mul(separator))
        }
        "indent" => {
            let lines = args.first().and_then(Value::as_str).map_or(0, |text| text.lines().count());
            let width = args.get(1).and_then(Value::as_usize).unwrap_or(4);
            all.saturating_add(lines.saturating_mul(width))
        }
        "format" => {
            let pattern = args.first().and_then(Value::as_str).unwrap_or_default();
            let long = |run: &str| run.len() > MAX_WIDTH_DIGITS;
            if pattern.split(|c: char| !c.is_ascii_digit()).any(long) {
                return Err(Error::new(ErrorKind::InvalidOperation, "a width is too large"));
            }
            all.saturating_mul(2).saturating_add(pattern.len().saturating_mul(1000))
        }
        _ => all,
    })
}

fn tojson(value: &Value, options: &Kwargs, budget: &Budget) -> Result<Value, Error> {
    let indent = match options.get::<Option<Value>>("indent")? {
        Some(indent) if !indent.is_none() => Some(match indent.as_str() {
            Some(text) => text.to_owned(),
            None => " ".repeat(usize::try_from(indent)?.min(64)),
        }),
        _ => None,
    };
    let separators = options.get::<Option<Value>>("separators")?.filter(|pair| !pair.is_none());
    let separators = separators.map(|pair| -> Result<_, Error> {
        let part = |at: usize| -> Result<String, Error> {
            let part = pair.get_item_by_index(at)?;
            Ok(part.as_str().unwrap_or_default().to_owned())
        };
        Ok((part(0)?, part(1)?))
    });
    let how = Dumps {
        ensure_ascii: options.get::<Option<bool>>("ensure_ascii")?.unwrap_or(false),
        indent,
        separators: separators.transpose()?,
        sort_keys: options.get::<Option<bool>>("sort_keys")?.unwrap_or(false),
    };
    options.assert_all_used()?;
    if value.kind() == ValueKind::Undefined {
        return Err(Error::new(ErrorKind::UndefinedError, "an undefined value is no JSON"));
    }
    Ok(Value::from(dumps(value, &how, budget)?))
}
