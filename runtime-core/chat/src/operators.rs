//! The operators by which a template can make large values, as filters that are charged.
//!
//! The engine counts instructions, but one `a ~ a` doubles a text. Each instruction of that sort is
//! replaced, where it stands, by a call of a filter that has the same effect on the stack, charges
//! the budget and behaves as Python does.

use std::sync::Arc;

use minijinja::machinery::{Instruction, Instructions};
use minijinja::value::ValueKind;
use minijinja::{Environment, Error, ErrorKind, Value};

use crate::budget::{Budget, size};
use crate::filters;
use crate::python::str_of;

const CONCAT: &str = "operator~";
const ADD: &str = "operator+";
const MULTIPLY: &str = "operator*";
const EQUAL: &str = "operator==";
const DIFFERENT: &str = "operator!=";
const ITEM: &str = "operator[]";
const SLICE: &str = "operator[:]";
/// Says that the place of a filter is not remembered between calls.
const NOT_CACHED: u8 = u8::MAX;
/// As many bytes can stand for one that is escaped.
const LONGEST_ESCAPE: usize = 5;

/// Replaces what must be charged.
pub(crate) fn replace(instructions: &mut Instructions<'_>) {
    let mut at = 0;
    while let Some(instruction) = instructions.get_mut(at) {
        let filter = |name, arguments| Instruction::ApplyFilter(name, Some(arguments), NOT_CACHED);
        let charged = match instruction {
            Instruction::StringConcat => Some(filter(CONCAT, 2)),
            Instruction::Add => Some(filter(ADD, 2)),
            Instruction::Mul => Some(filter(MULTIPLY, 2)),
            Instruction::Eq => Some(filter(EQUAL, 2)),
            Instruction::Ne => Some(filter(DIFFERENT, 2)),
            Instruction::GetItem => Some(filter(ITEM, 2)),
            Instruction::Slice => Some(filter(SLICE, 4)),
            Instruction::ApplyFilter(name, count, _) => filters::charged(name)
                .map(|name| Instruction::ApplyFilter(name, *count, NOT_CACHED)),
            _ => None,
        };
        if let Some(charged) = charged {
            *instruction = charged;
        }
        at = at.saturating_add(1);
    }
}

/// Makes the filters known that stand for operators.
pub(crate) fn register(env: &mut Environment<'_>, budget: &Arc<Budget>) {
    let own = || Arc::clone(budget);
    let charge = own();
    env.add_filter(CONCAT, move |a: Value, b: Value| -> Result<Value, Error> {
        Ok(Value::from(str_of(&a, &charge)? + &str_of(&b, &charge)?))
    });
    let charge = own();
    env.add_filter(ADD, move |a: Value, b: Value| add(&a, &b, &charge));
    let charge = own();
    env.add_filter(MULTIPLY, move |a: Value, b: Value| multiply(&a, &b, &charge));
    let charge = own();
    env.add_filter(EQUAL, move |a: Value, b: Value| equal(&a, &b, &charge));
    let charge = own();
    env.add_filter(DIFFERENT, move |a: Value, b: Value| equal(&a, &b, &charge).map(|equal| !equal));
    let charge = own();
    env.add_filter(ITEM, move |container: Value, key: Value| -> Result<Value, Error> {
        if container.is_undefined() {
            return Err(Error::from(ErrorKind::UndefinedError));
        }
        if container.kind() == ValueKind::String {
            charge.charge_value(&container)?;
        }
        container.get_item(&key)
    });
    let charge = own();
    env.add_filter(SLICE, move |value: Value, start: Value, stop: Value, step: Value| {
        slice(&value, &start, &stop, &step, &charge)
    });
}

/// Texts are compared to their end; other values rarely are.
fn equal(a: &Value, b: &Value, budget: &Budget) -> Result<bool, Error> {
    budget.charge(size(a).min(size(b)))?;
    Ok(a == b)
}

fn add(a: &Value, b: &Value, budget: &Budget) -> Result<Value, Error> {
    match (a.kind(), b.kind()) {
        (ValueKind::String, ValueKind::String) => {
            budget.charge_value(a)?;
            budget.charge_value(b)?;
            if a.is_safe() || b.is_safe() {
                return Ok(Value::from_safe_string(markup(a, budget)? + &markup(b, budget)?));
            }
            let (a, b) = (a.as_str().unwrap_or_default(), b.as_str().unwrap_or_default());
            Ok(Value::from([a, b].concat()))
        }
        (ValueKind::Seq | ValueKind::Iterable, ValueKind::Seq | ValueKind::Iterable) => {
            budget.charge_value(a)?;
            budget.charge_value(b)?;
            Ok(a.try_iter()?.chain(b.try_iter()?).collect())
        }
        _ => arithmetic(a, b, "+", i128::checked_add, |a, b| a + b),
    }
}

/// A text beside one that is marked safe, which is escaped then, though nothing else is: so Python's
/// `Markup` has it, and models were trained on what it makes.
fn markup(value: &Value, budget: &Budget) -> Result<String, Error> {
    let text = value.as_str().unwrap_or_default();
    if value.is_safe() {
        return Ok(text.to_owned());
    }
    budget.charge(text.len().saturating_mul(LONGEST_ESCAPE))?;
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\'' => escaped.push_str("&#39;"),
            '"' => escaped.push_str("&#34;"),
            other => escaped.push(other),
        }
    }
    Ok(escaped)
}

fn multiply(a: &Value, b: &Value, budget: &Budget) -> Result<Value, Error> {
    let (text, count) = match (a.kind(), b.kind()) {
        (ValueKind::String | ValueKind::Seq, _) => (a, b),
        (_, ValueKind::String | ValueKind::Seq) => (b, a),
        _ => return arithmetic(a, b, "*", i128::checked_mul, |a, b| a * b),
    };
    let count = i128::try_from(count.clone()).map_err(|_| unsupported(a, b, "*"))?;
    let count = usize::try_from(count.max(0)).unwrap_or(usize::MAX);
    budget.charge(size(text).saturating_mul(count))?;
    match text.as_str() {
        Some(text) => Ok(Value::from(text.repeat(count))),
        None => {
            let items: Vec<Value> = text.try_iter()?.collect();
            Ok(std::iter::repeat_n(items, count).flatten().collect())
        }
    }
}

fn arithmetic(
    a: &Value,
    b: &Value,
    name: &str,
    integers: impl Fn(i128, i128) -> Option<i128>,
    floats: impl Fn(f64, f64) -> f64,
) -> Result<Value, Error> {
    let numbers = |value: &Value| matches!(value.kind(), ValueKind::Number | ValueKind::Bool);
    if !numbers(a) || !numbers(b) {
        return Err(unsupported(a, b, name));
    }
    if let (Ok(a), Ok(b)) = (i128::try_from(a.clone()), i128::try_from(b.clone())) {
        return integers(a, b)
            .map(Value::from)
            .ok_or_else(|| unsupported(&a.into(), &b.into(), name));
    }
    let float = |value: &Value| f64::try_from(value.clone());
    Ok(Value::from(floats(float(a)?, float(b)?)))
}

fn unsupported(a: &Value, b: &Value, name: &str) -> Error {
    let text = format!("`{name}` is not defined for {} and {}", a.kind(), b.kind());
    Error::new(ErrorKind::InvalidOperation, text)
}

/// `value[start:stop:step]`.
fn slice(
    value: &Value,
    start: &Value,
    stop: &Value,
    step: &Value,
    budget: &Budget,
) -> Result<Value, Error> {
    budget.charge_value(value)?;
    let bound = |bound: &Value| -> Result<Option<i64>, Error> {
        if bound.is_none() { Ok(None) } else { i64::try_from(bound.clone()).map(Some) }
    };
    let (start, stop, step) = (bound(start)?, bound(stop)?, bound(step)?.unwrap_or(1));
    if step == 0 {
        return Err(Error::new(ErrorKind::InvalidOperation, "a slice cannot have a step of 0"));
    }
    if let Some(text) = value.as_str() {
        let characters: Vec<char> = text.chars().collect();
        return Ok(Value::from(pick(&characters, start, stop, step).collect::<String>()));
    }
    if !matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable) {
        let text = format!("a value of type {} cannot be sliced", value.kind());
        return Err(Error::new(ErrorKind::InvalidOperation, text));
    }
    let items: Vec<Value> = value.try_iter()?.collect();
    Ok(pick(&items, start, stop, step).collect())
}

/// The items of a slice, by Python's rules.
fn pick<T: Clone>(
    items: &[T],
    start: Option<i64>,
    stop: Option<i64>,
    step: i64,
) -> impl Iterator<Item = T> {
    let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
    let (lowest, highest) = if step > 0 { (0, length) } else { (-1, length.saturating_sub(1)) };
    let place = |bound: Option<i64>, default: i64| match bound {
        None => default,
        Some(bound) if bound < 0 => bound.saturating_add(length).clamp(lowest, highest),
        Some(bound) => bound.clamp(lowest, highest),
    };
    let (first, last) = if step > 0 { (lowest, highest) } else { (highest, lowest) };
    let (mut at, end) = (place(start, first), place(stop, last));
    std::iter::from_fn(move || {
        let inside = if step > 0 { at < end } else { at > end };
        let item = items.get(usize::try_from(at).ok().filter(|_| inside)?)?.clone();
        at = at.saturating_add(step);
        Some(item)
    })
}
